"""The bus itself: hands out publishers and subscriptions, and looks after the topics."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import TopicAlreadyExistsError, for_code

from shared.bus.kafka.bounds import (
    ANSWER_WITHIN,
    PUBLISH_WITHIN,
    TROUBLE,
    away,
    bounded,
    missing,
    ms,
)
from shared.bus.kafka.publisher import KafkaPublisher
from shared.bus.kafka.subscription import KafkaSubscription
from shared.bus.ports import LOG_KEPT
from shared.errors import Misconfigured
from shared.events import topics as our_topics

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from shared.clock import Clock

RETENTION_MS = int(LOG_KEPT.total_seconds() * 1000)
PARTITIONS = 6


class KafkaBus:
    """Publishes to and reads from the brokers named by ``bootstrap`` (``host:port,…``)."""

    def __init__(
        self,
        bootstrap: str,
        clock: Clock,
        *,
        topics: Sequence[str] = our_topics.ALL,
        partitions: int = PARTITIONS,
        replication: int | None = None,
    ) -> None:
        self._servers = [server.strip() for server in bootstrap.split(",") if server.strip()]
        self._clock = clock
        self._topics = tuple(topics)
        self._partitions = partitions
        self._replication = replication
        self._open: list[KafkaPublisher | KafkaSubscription] = []

    async def publisher(self) -> KafkaPublisher:
        """Return a publisher; it connects with its first publish."""
        publisher = KafkaPublisher(self._servers)
        self._open.append(publisher)
        return publisher

    async def subscribe(self, *, group: str, topics: Sequence[str]) -> KafkaSubscription:
        """Return a member of ``group``; it connects with its first poll."""
        subscription = KafkaSubscription(self._servers, group, topics, self._clock)
        self._open.append(subscription)
        return subscription

    async def create_topics(self, topics: Sequence[str]) -> None:
        """Create missing topics; existing ones stay as they are."""
        admin = AIOKafkaAdminClient(
            bootstrap_servers=self._servers, request_timeout_ms=ms(ANSWER_WITHIN)
        )
        try:
            async with asyncio.timeout(PUBLISH_WITHIN):
                await admin.start()
                there = set(await admin.list_topics())
                brokers = len((await admin.describe_cluster())["brokers"])
                wanted = [topic for topic in topics if topic not in there]
                if wanted:
                    copies = self._replication or min(3, brokers)
                    answer = await admin.create_topics(
                        [
                            NewTopic(
                                topic, self._partitions, copies, topic_configs=_settings(copies)
                            )
                            for topic in wanted
                        ],
                        timeout_ms=ms(ANSWER_WITHIN),
                    )
                    _check_created(answer.topic_errors)
        except TROUBLE as error:
            raise away() from error
        finally:
            await bounded(admin.close())

    async def ping(self) -> None:
        """Raise ``TryLater`` unless a broker answers and every topic of ours exists."""
        admin = AIOKafkaAdminClient(
            bootstrap_servers=self._servers, request_timeout_ms=ms(ANSWER_WITHIN)
        )
        try:
            async with asyncio.timeout(ANSWER_WITHIN):
                await admin.start()
                there = set(await admin.list_topics())
        except TROUBLE as error:
            raise away() from error
        finally:
            await bounded(admin.close())
        for topic in self._topics:
            if topic not in there:
                raise missing(topic)

    async def close(self) -> None:
        """Let go of every publisher and subscription."""
        await asyncio.gather(*(one.close() for one in self._open))
        self._open.clear()


def _settings(copies: int) -> dict[str, str]:
    return {
        "cleanup.policy": "delete",
        "retention.ms": str(RETENTION_MS),
        "min.insync.replicas": "2" if copies >= 3 else "1",
    }


def _check_created(errors: Iterable[Sequence[Any]]) -> None:
    for topic, code, *_ in errors:
        kind = for_code(code)
        if code and kind is not TopicAlreadyExistsError:
            if getattr(kind, "retriable", False):
                raise away(f"Kafka did not create the topic {topic}: {kind.__name__}")
            raise Misconfigured(f"Kafka refuses to create the topic {topic}: {kind.__name__}.")
