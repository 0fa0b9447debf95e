"""The reading side: a member of a group that commits what is done and starts over if mute."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener
from aiokafka.errors import CommitFailedError, IllegalStateError, UnknownTopicOrPartitionError
from aiokafka.structs import TopicPartition

from shared.bus.kafka.bounds import (
    ANSWER_WITHIN,
    JOIN_WITHIN,
    TROUBLE,
    away,
    bounded,
    missing,
    ms,
)
from shared.bus.ports import Received
from shared.logs import get_logger

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import timedelta

    from shared.clock import Clock

# A handler may need its time, and a member that was thrown out cannot always come back.
_MAX_POLL_INTERVAL_MS = 3600 * 1000
_PROBE_EVERY = 5.0
_SILENCE = 60.0

log = get_logger(__name__)


class _Listener(ConsumerRebalanceListener):  # type: ignore[misc] # no types
    """Forgets what was polled when partitions move: their new owner reads it again."""

    def __init__(self, subscription: KafkaSubscription) -> None:
        self._subscription = subscription

    async def on_partitions_revoked(self, revoked: Any) -> None:  # noqa: ANN401 - aiokafka has none
        self._subscription.forget_polled()
        log.info("kafka.revoked", partitions=len(revoked))

    async def on_partitions_assigned(self, assigned: Any) -> None:  # noqa: ANN401
        self._subscription.forget_polled()
        log.info("kafka.assigned", partitions=len(assigned))


class KafkaSubscription:
    """One member of a consumer group; its consumer is rebuilt when it falls silent."""

    def __init__(
        self, servers: Sequence[str], group: str, topics: Sequence[str], clock: Clock
    ) -> None:
        self._servers = list(servers)
        self._group = group
        self._topics = tuple(topics)
        self._clock = clock
        self._consumer: Any = None
        self._first: dict[Any, int] = {}  # per partition, the first record not committed
        self._after: dict[Any, int] = {}  # … and the one behind the last record polled
        self._committed: dict[Any, int] = {}
        self._fetched_at = 0.0
        self._probed_at = 0.0

    async def poll(self, *, most: int, wait: timedelta) -> Sequence[Received]:
        """Return up to ``most`` records after the position, waiting up to ``wait``."""
        consumer = await self._joined()
        try:
            found = await consumer.getmany(
                timeout_ms=ms(wait.total_seconds()), max_records=most
            )
        except TROUBLE as error:
            await self._drop()
            raise away() from error
        received = []
        for partition, messages in found.items():
            self._first.setdefault(partition, messages[0].offset)
            self._after[partition] = messages[-1].offset + 1
            received += [_received(message) for message in messages]
        now = self._clock.monotonic()
        if received:
            self._fetched_at = now
        elif now - self._probed_at >= _PROBE_EVERY:
            await self._probe(now)
        return received

    async def _joined(self) -> Any:  # noqa: ANN401
        """Return the consumer, a member of the group with its partitions."""
        if self._consumer is not None:
            return self._consumer
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self._servers,
            group_id=self._group,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            request_timeout_ms=ms(ANSWER_WITHIN),
            max_poll_interval_ms=_MAX_POLL_INTERVAL_MS,
        )
        consumer.subscribe(topics=self._topics, listener=_Listener(self))
        try:
            async with asyncio.timeout(JOIN_WITHIN):
                await consumer.start()
        except UnknownTopicOrPartitionError as error:
            await _drop_consumer(consumer)
            log.error("bus.topic_missing", topics=self._topics)  # noqa: TRY400 - no trace
            raise missing(" or ".join(self._topics)) from error
        except BaseException as error:
            await _drop_consumer(consumer)
            if isinstance(error, TROUBLE):
                raise away() from error
            raise
        self._consumer = consumer
        self._fetched_at = self._probed_at = self._clock.monotonic()
        return consumer

    async def _probe(self, now: float) -> None:
        """See whether silence means that there is nothing: ``getmany`` would never tell."""
        self._probed_at = now
        waiting = await self._waiting({})
        if waiting == 0:
            self._fetched_at = now
        elif now - self._fetched_at >= _SILENCE:
            log.warning("kafka.silent", group=self._group, waiting=waiting)
            await self._drop()

    async def _waiting(self, since: Mapping[Any, int]) -> int:
        """Return how many records lie behind these offsets, or behind the fetch positions."""
        consumer = self._consumer
        try:
            async with asyncio.timeout(ANSWER_WITHIN):
                mine = list(consumer.assignment())
                ends = await consumer.end_offsets(mine) if mine else {}
                waiting = 0
                for p, end in ends.items():
                    start = since[p] if p in since else await consumer.position(p)
                    waiting += max(0, end - start)
                return waiting
        except TROUBLE as error:
            raise away() from error

    async def commit(self, records: Sequence[Received]) -> None:
        """Make the position durable behind these records, partition by partition."""
        behind: dict[Any, int] = {}
        for record in records:
            partition = TopicPartition(record.topic, record.partition)
            behind[partition] = max(behind.get(partition, 0), record.offset + 1)
        if not behind or self._consumer is None:
            return  # thrown away meanwhile: the new consumer reads them again
        consumer = self._consumer
        try:
            async with asyncio.timeout(ANSWER_WITHIN):
                for partition, offset in behind.items():
                    await self._commit_one(consumer, partition, offset)
        except TROUBLE as error:
            raise away("Kafka has not taken the offsets in time") from error

    async def _commit_one(self, consumer: Any, partition: Any, offset: int) -> None:  # noqa: ANN401
        try:
            await consumer.commit({partition: offset})
        except (IllegalStateError, CommitFailedError):
            # Lost in a rebalance; one such partition must not keep the others from moving.
            log.info("kafka.commit_lost", topic=partition.topic, partition=partition.partition)
            self._first.pop(partition, None)
            return
        self._committed[partition] = offset
        if offset >= self._after.get(partition, 0):
            self._first.pop(partition, None)
        else:
            self._first[partition] = offset

    async def rewind(self) -> None:
        """Read again from the last commit on."""
        for partition, offset in self._first.items():
            if self._consumer is not None:
                with suppress(IllegalStateError):  # its new owner reads it
                    self._consumer.seek(partition, offset)
        self._first.clear()

    def forget_polled(self) -> None:
        """After a rebalance every partition starts at its last commit by itself."""
        self._first.clear()
        self._after.clear()
        self._committed.clear()

    async def lag(self) -> int:
        """Return how many records lie behind the last commit, on this member's partitions."""
        consumer = await self._joined()
        try:
            async with asyncio.timeout(ANSWER_WITHIN):
                for partition in consumer.assignment():
                    if partition not in self._committed:
                        known = await consumer.committed(partition)
                        if known is None:
                            known = (await consumer.beginning_offsets([partition]))[partition]
                        self._committed.setdefault(partition, known)
        except TROUBLE as error:
            raise away() from error
        return await self._waiting(self._committed)

    async def _drop(self) -> None:
        """Throw the consumer away; the next poll builds one that starts at the last commit."""
        consumer, self._consumer = self._consumer, None
        self.forget_polled()
        if consumer is not None:
            await _drop_consumer(consumer)

    async def close(self) -> None:
        """Leave the group within a few seconds."""
        await self._drop()


def _received(message: Any) -> Received:  # noqa: ANN401
    return Received(
        topic=message.topic,
        key=(message.key or b"").decode("utf-8", "replace"),
        value=message.value,
        headers={name: value.decode("utf-8", "replace") for name, value in message.headers},
        partition=message.partition,
        offset=message.offset,
    )


async def _drop_consumer(consumer: Any) -> None:  # noqa: ANN401
    """Close a consumer that may never answer again (aiokafka #773)."""
    if await bounded(consumer.stop()):
        return
    # Left behind half closed: end its tasks and connections by hand.
    coordinator, fetcher = consumer._coordinator, consumer._fetcher  # noqa: SLF001 - it has no public word for this
    for task in (
        getattr(coordinator, "_coordination_task", None),
        getattr(coordinator, "_heartbeat_task", None),
        getattr(coordinator, "_commit_refresh_task", None),
        getattr(fetcher, "_fetch_task", None),
    ):
        if task is not None:
            task.cancel()
    await bounded(consumer._client.close())  # noqa: SLF001
