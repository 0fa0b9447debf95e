"""The bus on Apache Kafka: the only package that imports aiokafka.

What aiokafka leaves open is closed here: every call has a deadline of our own, a producer or
consumer that stopped answering is thrown away and built anew, offsets are committed partition
by partition, and a consumer that fetches nothing although records wait is replaced.
"""

from __future__ import annotations

from shared.bus.kafka.bus import KafkaBus

__all__ = ["KafkaBus"]
