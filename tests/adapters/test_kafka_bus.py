"""Kafka keeps every promise of the bus, also while its broker is dead or frozen."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
import pytest_asyncio
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.structs import TopicPartition

from shared.bus.kafka import KafkaBus
from shared.bus.ports import Record, RecordRefused
from shared.clock import SystemClock
from shared.errors import TryLater
from tests.contracts.bus import NOW, SOON, BusContract, collect, until, values
from tests.fakes import ManualClock
from tests.infra.kafka import KafkaBroker

pytestmark = pytest.mark.kafka

DEADLINE = 10.0
MARGIN = 2.0


@pytest.fixture
def topic(unique: str) -> str:
    return f"first-{unique}"


@pytest.fixture
def other_topic(unique: str) -> str:
    return f"second-{unique}"


@pytest_asyncio.fixture
async def bus(
    kafka_broker: KafkaBroker, clock: ManualClock, topic: str, other_topic: str
) -> AsyncIterator[KafkaBus]:
    made = KafkaBus(kafka_broker.bootstrap, clock, topics=[topic, other_topic])
    await made.create_topics([topic, other_topic])
    yield made
    await made.close()


@pytest.fixture
def bus_missing_a_topic(kafka_broker: KafkaBroker, clock: ManualClock) -> KafkaBus:
    return KafkaBus(kafka_broker.bootstrap, clock, topics=["never-created"])


class TestKafkaBus(BusContract):
    """So it does."""


def records(topic: str, count: int, *, key: str | None = None) -> list[Record]:
    return BusContract.records(topic, count, key=key)


class TestItsNeighbours:
    """Other Kafka clients write to and read from the same topics."""

    async def test_topics_are_made_as_documented(
        self, bus: KafkaBus, kafka_broker: KafkaBroker, topic: str
    ) -> None:
        admin = AIOKafkaAdminClient(bootstrap_servers=kafka_broker.bootstrap)
        await admin.start()
        (described,) = await admin.describe_topics([topic])
        await admin.close()

        assert len(described["partitions"]) == 6

    async def test_a_key_has_the_same_partition_as_with_any_other_client(
        self, bus: KafkaBus, kafka_broker: KafkaBroker, topic: str
    ) -> None:
        publisher = await bus.publisher()
        await publisher.publish(records(topic, 20))
        async with AIOKafkaProducer(bootstrap_servers=kafka_broker.bootstrap) as producer:
            for n in range(20):
                await producer.send_and_wait(topic, b"theirs", key=f"per_{n}".encode())

        subscription = await bus.subscribe(group="neighbours", topics=[topic])
        received = await collect(subscription, 40)

        places = {(record.key, record.partition) for record in received}
        assert len(places) == 20

    async def test_a_record_without_key_and_value_is_read(
        self, bus: KafkaBus, kafka_broker: KafkaBroker, topic: str
    ) -> None:
        async with AIOKafkaProducer(bootstrap_servers=kafka_broker.bootstrap) as producer:
            await producer.send_and_wait(topic, b"no key")
            await producer.send_and_wait(topic, None, key=b"\xff\xfe")

        subscription = await bus.subscribe(group="strays", topics=[topic])
        received = await collect(subscription, 2)

        assert {(r.key, r.value) for r in received} == {("", b"no key"), ("��", None)}

    async def test_what_the_broker_finds_too_large_is_refused_alone(
        self, kafka_broker: KafkaBroker, clock: ManualClock, unique: str
    ) -> None:
        topic = f"small-{unique}"
        bus = KafkaBus(kafka_broker.bootstrap, clock, partitions=1)
        await bus.create_topics([topic])
        admin = AIOKafkaAdminClient(bootstrap_servers=kafka_broker.bootstrap)
        await admin.start()
        from aiokafka.admin.config_resource import (  # noqa: PLC0415 - only with a broker
            ConfigResource,
            ConfigResourceType,
        )

        await admin.alter_configs(
            [ConfigResource(ConfigResourceType.TOPIC, topic, {"max.message.bytes": "2000"})]
        )
        await admin.close()
        publisher = await bus.publisher()

        results = await publisher.publish(
            [
                *records(topic, 30),
                Record(topic=topic, key="per_1", value=b"x" * 3000),
                Record(topic=topic, key="per_1", value=b"the last"),
            ]
        )

        await bus.close()
        assert [type(result) for result in results] == [
            *[type(None)] * 30,
            RecordRefused,
            type(None),
        ]


class TestTwoMembers:
    """Partitions move between the members of a group."""

    async def test_a_second_member_takes_over_and_a_lost_partition_is_no_error(
        self, bus: KafkaBus, topic: str
    ) -> None:
        publisher = await bus.publisher()
        await publisher.publish(records(topic, 60))
        first = await bus.subscribe(group=f"pair-{topic}", topics=[topic])
        held = await collect(first, 60)

        second = await bus.subscribe(group=f"pair-{topic}", topics=[topic])
        async with asyncio.TaskGroup() as tasks:
            joining = tasks.create_task(collect(second, 1))

            async def keep_alive() -> None:
                while not joining.done():
                    await first.poll(most=1, wait=SOON)

            tasks.create_task(keep_alive())
        await first.commit(held)
        await first.rewind()

        assert await joining
        assert 0 < await second.lag() < 60

    async def test_what_a_dead_member_did_not_commit_goes_to_another(
        self, bus: KafkaBus, topic: str
    ) -> None:
        publisher = await bus.publisher()
        await publisher.publish(records(topic, 30))
        first = await bus.subscribe(group=f"heirs-{topic}", topics=[topic])
        held = await collect(first, 30)
        await first.commit(held[:10])
        await first.close()

        second = await bus.subscribe(group=f"heirs-{topic}", topics=[topic])

        assert len(await collect(second, 20)) == 20


@pytest.fixture
def wall() -> SystemClock:
    return SystemClock()


class TestWithoutItsBroker:
    """A broker that is away costs time, never records; every call comes back."""

    @pytest_asyncio.fixture
    async def own_bus(
        self, own_kafka_broker: KafkaBroker, wall: SystemClock
    ) -> AsyncIterator[KafkaBus]:
        bus = KafkaBus(own_kafka_broker.bootstrap, wall, topics=["first"])
        await bus.create_topics(["first"])
        yield bus
        await bus.close()

    @pytest.mark.parametrize("fault", ["kill", "pause"])
    async def test_publishing_answers_in_time_and_works_again_afterwards(
        self, own_bus: KafkaBus, own_kafka_broker: KafkaBroker, wall: SystemClock, fault: str
    ) -> None:
        publisher = await own_bus.publisher()
        assert await publisher.publish(records("first", 3)) == [None] * 3

        getattr(own_kafka_broker, fault)()
        started = wall.monotonic()
        results = await publisher.publish(records("first", 3))
        took = wall.monotonic() - started
        with pytest.raises(TryLater):
            await own_bus.ping()

        assert all(isinstance(result, TryLater) for result in results)
        assert took < DEADLINE + MARGIN

        if fault == "kill":
            own_kafka_broker.restart()
        else:
            own_kafka_broker.resume()

        async def published() -> bool:
            return list(await publisher.publish(records("first", 3))) == [None] * 3

        await until(published)
        await own_bus.ping()
        subscription = await own_bus.subscribe(group="after", topics=["first"])
        received = await collect(subscription, 6)
        # What was unknown may be there as well, never anything else.
        assert set(values(received)) == {b"value 0", b"value 1", b"value 2"}

    @pytest.mark.parametrize("fault", ["kill", "pause"])
    async def test_reading_notices_commits_in_time_and_goes_on_afterwards(
        self, own_bus: KafkaBus, own_kafka_broker: KafkaBroker, wall: SystemClock, fault: str
    ) -> None:
        publisher = await own_bus.publisher()
        await publisher.publish(records("first", 6))
        subscription = await own_bus.subscribe(group="reader", topics=["first"])
        received = await collect(subscription, 6)
        await subscription.commit(received[:3])

        getattr(own_kafka_broker, fault)()
        started = wall.monotonic()
        with pytest.raises(TryLater):
            await subscription.commit(received)
        assert wall.monotonic() - started < 5 + MARGIN
        with pytest.raises(TryLater):  # silence is told from "nothing there"
            await collect(subscription, 1_000)

        if fault == "kill":
            own_kafka_broker.restart()
        else:
            own_kafka_broker.resume()
        await subscription.rewind()

        again: list[bytes | None] = []

        async def delivered() -> bool:
            try:
                again.extend(values(await subscription.poll(most=10, wait=SOON)))
            except TryLater:
                return False
            return set(values(received[3:])) <= set(again)

        await until(delivered)

    @pytest.mark.parametrize("fault", ["kill", "pause"])
    async def test_closing_is_quick_although_nobody_answers(
        self, own_bus: KafkaBus, own_kafka_broker: KafkaBroker, wall: SystemClock, fault: str
    ) -> None:
        publisher = await own_bus.publisher()
        await publisher.publish(records("first", 6))
        subscription = await own_bus.subscribe(group="leaver", topics=["first"])
        await collect(subscription, 6)

        getattr(own_kafka_broker, fault)()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(publisher.publish(records("first", 3)))
            await asyncio.sleep(0)
            started = wall.monotonic()
            await own_bus.close()
            took = wall.monotonic() - started

        if fault == "pause":
            own_kafka_broker.resume()
        assert took < 10

    async def test_a_bus_that_was_never_there_says_so(self, clock: ManualClock) -> None:
        bus = KafkaBus("127.0.0.1:1", clock)
        publisher = await bus.publisher()
        subscription = await bus.subscribe(group="nobody", topics=["first"])

        (result,) = await publisher.publish(records("first", 1))

        assert isinstance(result, TryLater)
        for asking in (
            subscription.poll(most=1, wait=NOW),
            subscription.lag(),
            bus.ping(),
            bus.create_topics(["first"]),
        ):
            with pytest.raises(TryLater):
                await asking
        await subscription.commit([])
        await subscription.rewind()
        await bus.close()


class TestTheWatchdog:
    """A consumer that fetches nothing although records wait is replaced."""

    async def test_a_silent_consumer_is_rebuilt(
        self, bus: KafkaBus, clock: ManualClock, topic: str
    ) -> None:
        publisher = await bus.publisher()
        subscription = await bus.subscribe(group=f"silent-{topic}", topics=[topic])
        await subscription.poll(most=1, wait=NOW)
        stuck = subscription._consumer
        stuck.pause(*(TopicPartition(topic, n) for n in range(6)))
        await publisher.publish(records(topic, 5))

        for _ in range(14):
            clock.advance(timedelta(seconds=5))
            if await subscription.poll(most=10, wait=NOW):
                break

        assert subscription._consumer is not stuck
        assert len(await collect(subscription, 5)) == 5

    async def test_an_idle_consumer_is_left_alone(
        self, bus: KafkaBus, clock: ManualClock, topic: str
    ) -> None:
        subscription = await bus.subscribe(group=f"idle-{topic}", topics=[topic])
        await subscription.poll(most=1, wait=NOW)
        consumer = subscription._consumer

        for _ in range(14):
            clock.advance(timedelta(seconds=5))
            await subscription.poll(most=10, wait=NOW)

        assert isinstance(consumer, AIOKafkaConsumer)
        assert subscription._consumer is consumer
