"""The bus on Apache Kafka: the only file that imports aiokafka.

What aiokafka leaves open is closed here: every call has a deadline of our own, a producer or
consumer that stopped answering is thrown away and built anew, offsets are committed partition
by partition, and a consumer that fetches nothing although records wait is replaced.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRebalanceListener
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import (
    CommitFailedError,
    IllegalStateError,
    InvalidTopicError,
    KafkaError,
    MessageSizeTooLargeError,
    RecordListTooLargeError,
    TopicAlreadyExistsError,
    UnknownTopicOrPartitionError,
    for_code,
)
from aiokafka.partitioner import murmur2
from aiokafka.structs import TopicPartition

from shared.bus.ports import TOPIC_MISSING, Received, RecordRefused, refusal
from shared.errors import Misconfigured, TryLater
from shared.events import topics as our_topics
from shared.logs import get_logger
from shared.tasks import spawn

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterable, Mapping, Sequence
    from datetime import timedelta

    from shared.bus.ports import Record
    from shared.clock import Clock

PUBLISH_WITHIN = 10.0
ANSWER_WITHIN = 5.0
JOIN_WITHIN = 15.0
CLOSE_WITHIN = 3.0
RETENTION_MS = 30 * 24 * 3600 * 1000
PARTITIONS = 6

# Of our own making, so that one batch is one request's share of one partition.
_BATCH_BYTES = 256 * 1024
_REQUEST_BYTES = 4 * 1024 * 1024
# A handler may need its time, and a member that was thrown out cannot always come back.
_MAX_POLL_INTERVAL_MS = 3600 * 1000
_PROBE_EVERY = 5.0
_SILENCE = 60.0

_TROUBLE = (KafkaError, OSError, TimeoutError)

log = get_logger(__name__)


def _away(detail: str = "the Kafka broker does not answer") -> TryLater:
    return TryLater(detail, slug="bus-unavailable")


def _missing(topic: str) -> TryLater:
    return TryLater(
        f"the topic {topic} does not exist on the broker; `closed-loop migrate` creates it",
        slug=TOPIC_MISSING,
    )


async def _bounded(closing: Coroutine[Any, Any, Any], within: float = CLOSE_WITHIN) -> bool:
    """Run a clean-up for a bounded time; tell whether it came to its end.

    In a task of its own, because aiokafka lets the cancelling of its inner tasks escape.
    """
    task = spawn(closing, name="kafka-closing")
    done, _ = await asyncio.wait({task}, timeout=within)
    if not done:
        task.cancel()
        await asyncio.wait({task}, timeout=1)
        return False
    return not task.cancelled() and task.exception() is None


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
            bootstrap_servers=self._servers, request_timeout_ms=_ms(ANSWER_WITHIN)
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
                        timeout_ms=_ms(ANSWER_WITHIN),
                    )
                    _check_created(answer.topic_errors)
        except _TROUBLE as error:
            raise _away() from error
        finally:
            await _bounded(admin.close())

    async def ping(self) -> None:
        """Raise ``TryLater`` unless a broker answers and every topic of ours exists."""
        admin = AIOKafkaAdminClient(
            bootstrap_servers=self._servers, request_timeout_ms=_ms(ANSWER_WITHIN)
        )
        try:
            async with asyncio.timeout(ANSWER_WITHIN):
                await admin.start()
                there = set(await admin.list_topics())
        except _TROUBLE as error:
            raise _away() from error
        finally:
            await _bounded(admin.close())
        for topic in self._topics:
            if topic not in there:
                raise _missing(topic)

    async def close(self) -> None:
        """Let go of every publisher and subscription."""
        await asyncio.gather(*(one.close() for one in self._open))
        self._open.clear()


def _ms(seconds: float) -> int:
    return int(seconds * 1000)


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
                raise _away(f"Kafka did not create the topic {topic}: {kind.__name__}")
            raise Misconfigured(f"Kafka refuses to create the topic {topic}: {kind.__name__}.")


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
        unknown = _away("Kafka has not acknowledged the record in time")
        results: list[Exception | None] = [refusal(record) or unknown for record in records]
        try:
            async with asyncio.timeout(PUBLISH_WITHIN):
                producer = await self._ready()
                await self._send(producer, records, results, unknown)
        except _TROUBLE as error:
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
                request_timeout_ms=_ms(ANSWER_WITHIN),
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
                results[n] = _missing(topic)
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
                await (
                    await producer.send_batch(
                        batch.builder, batch.topic, partition=batch.partition
                    )
                )
            except (MessageSizeTooLargeError, RecordListTooLargeError):
                await self._send_apart(producer, batch, records, results)
            except _TROUBLE as error:
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
    if not await _bounded(producer.stop()):
        producer._closed = True  # noqa: SLF001
        await _bounded(producer.client.close())


class _Listener(ConsumerRebalanceListener):  # type: ignore[misc] # no types
    """Forgets what was polled when partitions move: their new owner reads it again."""

    def __init__(self, subscription: KafkaSubscription) -> None:
        self._subscription = subscription

    async def on_partitions_revoked(self, revoked: Any) -> None:  # noqa: ANN401
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
                timeout_ms=_ms(wait.total_seconds()), max_records=most
            )
        except _TROUBLE as error:
            await self._drop()
            raise _away() from error
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
            request_timeout_ms=_ms(ANSWER_WITHIN),
            max_poll_interval_ms=_MAX_POLL_INTERVAL_MS,
        )
        consumer.subscribe(topics=self._topics, listener=_Listener(self))
        try:
            async with asyncio.timeout(JOIN_WITHIN):
                await consumer.start()
        except UnknownTopicOrPartitionError as error:
            await _drop_consumer(consumer)
            log.error("bus.topic_missing", topics=self._topics)  # noqa: TRY400 - no trace
            raise _missing(" or ".join(self._topics)) from error
        except BaseException as error:
            await _drop_consumer(consumer)
            if isinstance(error, _TROUBLE):
                raise _away() from error
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
        except _TROUBLE as error:
            raise _away() from error

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
        except _TROUBLE as error:
            raise _away("Kafka has not taken the offsets in time") from error

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
        except _TROUBLE as error:
            raise _away() from error
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
    if await _bounded(consumer.stop()):
        return
    # Left behind half closed: end its tasks and connections by hand.
    coordinator, fetcher = consumer._coordinator, consumer._fetcher  # noqa: SLF001
    for task in (
        getattr(coordinator, "_coordination_task", None),
        getattr(coordinator, "_heartbeat_task", None),
        getattr(coordinator, "_commit_refresh_task", None),
        getattr(fetcher, "_fetch_task", None),
    ):
        if task is not None:
            task.cancel()
    await _bounded(consumer._client.close())  # noqa: SLF001
