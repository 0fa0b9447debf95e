"""The writing side: records in batches of their partitions, each answered for in time."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from aiokafka import AIOKafkaProducer
from aiokafka.errors import (
    InvalidTopicError,
    KafkaError,
    MessageSizeTooLargeError,
    RecordListTooLargeError,
    UnknownTopicOrPartitionError,
)
from aiokafka.partitioner import murmur2

from shared.bus.kafka.bounds import (
    ANSWER_WITHIN,
    PUBLISH_WITHIN,
    TROUBLE,
    away,
    bounded,
    missing,
    ms,
)
from shared.bus.ports import RecordRefused, refusal
from shared.logs import get_logger
from shared.tasks import spawn

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shared.bus.ports import Record

# Of our own making, so that one batch is one request's share of one partition.
_BATCH_BYTES = 256 * 1024
_REQUEST_BYTES = 4 * 1024 * 1024

log = get_logger(__name__)


@lru_cache(maxsize=50_000)
def _hash(key: bytes) -> int:
    """Return Kafka's own hash of a key, so that other clients agree on its partition."""
    number: int = murmur2(key) & 0x7FFFFFFF
    return number


@dataclass
class _Batch:
    """What goes to one partition in one piece; ``places`` are indexes into the call."""

    topic: str
    partition: int
    builder: Any
    places: list[int] = field(default_factory=list)


class KafkaPublisher:
    """One producer, replaced whenever it did not answer in time.

    Without idempotence, which would keep it from ever giving up: a record may arrive twice,
    and the inbox of every reader takes care of that.
    """

    def __init__(self, servers: Sequence[str]) -> None:
        self._servers = list(servers)
        self._producer: Any = None
        self._leaving: asyncio.Task[None] | None = None

    async def publish(self, records: Sequence[Record]) -> Sequence[Exception | None]:
        """Append records; return per record None (durable) or what went wrong."""
        unknown = away("Kafka has not acknowledged the record in time")
        results: list[Exception | None] = [refusal(record) or unknown for record in records]
        try:
            async with asyncio.timeout(PUBLISH_WITHIN):
                producer = await self._ready()
                await self._send(producer, records, results, unknown)
        except TROUBLE as error:
            log.warning("kafka.publish_failed", error=type(error).__name__)
        if any(result is unknown for result in results):
            self._abandon()
        return results

    async def _ready(self) -> Any:  # noqa: ANN401 - aiokafka has no types
        if self._producer is None:
            producer = AIOKafkaProducer(
                bootstrap_servers=self._servers,
                acks="all",
                enable_idempotence=False,
                request_timeout_ms=ms(ANSWER_WITHIN),
                linger_ms=5,
                max_batch_size=_BATCH_BYTES,
                max_request_size=_REQUEST_BYTES,
            )
            # Known before it is connected, so that a deadline in between throws it away.
            self._producer = producer
            await producer.start()
        return self._producer

    async def _send(
        self,
        producer: Any,  # noqa: ANN401
        records: Sequence[Record],
        results: list[Exception | None],
        unknown: Exception,
    ) -> None:
        """Send all fitting records and note what became of each."""
        by_topic: dict[str, list[int]] = defaultdict(list)
        for n, result in enumerate(results):
            if result is unknown:
                by_topic[records[n].topic].append(n)
        # Side by side: a topic that is missing costs five seconds, but not the others'.
        await asyncio.gather(
            *(
                self._send_topic(producer, topic, places, records, results)
                for topic, places in by_topic.items()
            )
        )

    async def _send_topic(
        self,
        producer: Any,  # noqa: ANN401
        topic: str,
        places: Sequence[int],
        records: Sequence[Record],
        results: list[Exception | None],
    ) -> None:
        try:
            partitions = sorted(await producer.partitions_for(topic))
        except (UnknownTopicOrPartitionError, InvalidTopicError):
            log.error("bus.topic_missing", topic=topic)  # noqa: TRY400 - no trace needed
            for n in places:
                results[n] = missing(topic)
            return
        lanes: dict[int, list[_Batch]] = defaultdict(list)
        for batch in _batches(producer, topic, partitions, places, records):
            lanes[batch.partition].append(batch)
        # All partitions at once; within one, the next batch goes when the former is safe.
        await asyncio.gather(
            *(self._send_lane(producer, lane, records, results) for lane in lanes.values())
        )

    async def _send_lane(
        self,
        producer: Any,  # noqa: ANN401
        lane: Sequence[_Batch],
        records: Sequence[Record],
        results: list[Exception | None],
    ) -> None:
        for batch in lane:
            try:
                written = await producer.send_batch(
                    batch.builder, batch.topic, partition=batch.partition
                )
                written.add_done_callback(_seen)
                await written
            except (MessageSizeTooLargeError, RecordListTooLargeError):
                await self._send_apart(producer, batch, records, results)
            except TROUBLE as error:
                # Its places keep "unknown", and so does everything behind it in this lane.
                log.warning(
                    "kafka.batch_failed",
                    topic=batch.topic,
                    partition=batch.partition,
                    error=type(error).__name__,
                )
                return
            else:
                for n in batch.places:
                    results[n] = None

    async def _send_apart(
        self,
        producer: Any,  # noqa: ANN401
        batch: _Batch,
        records: Sequence[Record],
        results: list[Exception | None],
    ) -> None:
        """Send one by one what the broker found too large together."""
        if len(batch.places) == 1:
            results[batch.places[0]] = RecordRefused("the broker says it is too large")
            return
        apart = []
        for n in batch.places:
            single = _Batch(batch.topic, batch.partition, producer.create_batch(), [n])
            _append(single.builder, records[n])
            single.builder.close()
            apart.append(single)
        await self._send_lane(producer, apart, records, results)

    def _abandon(self) -> None:
        """Throw the producer away; what it still had on its way is unknown for ever."""
        producer, self._producer = self._producer, None
        if producer is not None:
            self._leaving = spawn(_drop_producer(producer), name="kafka-drop-producer")

    async def close(self) -> None:
        """Let go of the connection within a few seconds."""
        self._abandon()
        if self._leaving is not None:
            await self._leaving


def _seen(written: asyncio.Future[Any]) -> None:
    """Look at what became of a batch also where nobody waits for it any more."""
    if not written.cancelled():
        written.exception()


def _batches(
    producer: Any,  # noqa: ANN401
    topic: str,
    partitions: Sequence[int],
    places: Sequence[int],
    records: Sequence[Record],
) -> Sequence[_Batch]:
    """Put records into batches of their partitions, in order.

    Batches of our own cost a fraction of the producer's record by record way.
    """
    growing: dict[int, _Batch] = {}
    done: list[_Batch] = []
    for n in places:
        record = records[n]
        partition = partitions[_hash(record.key.encode()) % len(partitions)]
        batch = growing.get(partition)
        if batch is not None and _append(batch.builder, record):
            batch.places.append(n)
            continue
        if batch is not None:
            done.append(batch)
        batch = _Batch(topic, partition, producer.create_batch(), [n])
        growing[partition] = batch
        _append(batch.builder, record)
    done += growing.values()
    for batch in done:
        batch.builder.close()
    return done


def _append(builder: Any, record: Record) -> bool:  # noqa: ANN401
    """Put one record into a batch; False when the batch is full."""
    done = builder.append(
        timestamp=None,
        key=record.key.encode(),
        value=record.value,
        headers=[(name, value.encode()) for name, value in record.headers.items()],
    )
    return done is not None


async def _drop_producer(producer: Any) -> None:  # noqa: ANN401
    """Close a producer that may never answer again.

    Its own ``stop`` waits for what is unsent, for as long as a dead broker likes (aiokafka
    #1101). So what waits is given up first, which aiokafka has no public word for.
    """
    accumulator, sender = producer._message_accumulator, producer._sender  # noqa: SLF001 - as argued above
    accumulator.fail_all(KafkaError("abandoned"))
    if sender.sender_task is not None:
        sender.sender_task.cancel()
    if not await bounded(producer.stop()):
        producer._closed = True  # noqa: SLF001
        await bounded(producer.client.close())
