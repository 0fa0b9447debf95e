"""The embedded bus keeps every promise of the bus, on both databases."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta

import pytest
import pytest_asyncio
from sqlalchemy import func, select

from shared.bus.embedded import EmbeddedBus
from shared.bus.ports import Bus, Record
from shared.db.plumbing import log
from shared.db.transaction import Database
from tests.contracts.bus import NOW, BusContract, collect, values
from tests.fakes import ManualClock

TOPICS = ("first", "second")


@pytest.fixture
def database(database_of: Callable[[str], Database]) -> Database:
    return database_of("shared")


@pytest_asyncio.fixture
async def bus(database: Database, clock: ManualClock) -> EmbeddedBus:
    made = EmbeddedBus(database, clock, topics=TOPICS)
    await made.create_topics(TOPICS)
    return made


@pytest.fixture
def topic() -> str:
    return "first"


@pytest.fixture
def other_topic() -> str:
    return "second"


@pytest.fixture
def bus_missing_a_topic(database: Database, clock: ManualClock) -> EmbeddedBus:
    return EmbeddedBus(database, clock, topics=["never-created"])


class TestEmbeddedBus(BusContract):
    """So it does."""


class TestItsLog:
    """What Kafka's brokers do by themselves is our own work here."""

    async def publish(self, bus: Bus, *numbers: int, topic: str = "first") -> None:
        publisher = await bus.publisher()
        await publisher.publish(
            [Record(topic=topic, key=f"per_{n}", value=str(n).encode()) for n in numbers]
        )

    async def test_offsets_are_dense_and_no_publisher_overtakes_another(
        self, bus: EmbeddedBus, database: Database
    ) -> None:
        await asyncio.gather(
            *(self.publish(bus, *range(n * 10, n * 10 + 10)) for n in range(12))
        )

        async with database.reading() as view:
            rows = await view.all(select(log.c.offset, log.c.body).order_by(log.c.offset))
        assert [row.offset for row in rows] == list(range(120))
        # Each call's records lie together: its transaction held the head.
        assert all(
            int(rows[n].body) + 1 == int(rows[n + 1].body) for n in range(119) if n % 10 != 9
        )

    async def test_a_reader_never_passes_over_an_offset_that_is_committed_later(
        self, bus: EmbeddedBus
    ) -> None:
        """Readers run while publishers commit in any order they like."""
        subscription = await bus.subscribe(group="reader", topics=["first"])

        async def publish_all() -> None:
            await asyncio.gather(*(self.publish(bus, n) for n in range(60)))

        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(publish_all())
            received = await collect(subscription, 60, most=7)

        assert [record.offset for record in received] == list(range(60))

    async def test_old_records_are_forgotten_once_every_group_has_read_them(
        self, bus: EmbeddedBus, database: Database, clock: ManualClock
    ) -> None:
        await self.publish(bus, *range(6))
        clock.advance(timedelta(days=8))
        await self.publish(bus, 6, 7)
        quick = await bus.subscribe(group="quick", topics=["first"])
        slow = await bus.subscribe(group="slow", topics=["first"])
        await quick.commit(await collect(quick, 8))
        received = await collect(slow, 8)
        await slow.commit(received[:4])
        week_ago = clock.now() - timedelta(days=7)

        assert await bus.forget(before=week_ago) == 4
        await slow.commit(received)
        assert await bus.forget(before=week_ago) == 2
        assert await bus.forget(before=week_ago) == 0

        newcomer = await bus.subscribe(group="newcomer", topics=["first"])
        assert await newcomer.lag() == 2
        assert values(await collect(newcomer, 2)) == [b"6", b"7"]

    async def test_forgetting_goes_in_small_pieces(
        self, bus: EmbeddedBus, database: Database, clock: ManualClock
    ) -> None:
        await self.publish(bus, *range(10))
        clock.advance(timedelta(days=8))

        pieces = [await bus.forget(before=clock.now(), most=4) for _ in range(4)]

        assert pieces == [4, 4, 2, 0]
        async with database.reading() as view:
            assert await view.scalar(select(func.count()).select_from(log)) == 0
        await self.publish(bus, 10)
        reader = await bus.subscribe(group="later", topics=["first"])
        assert [r.offset for r in await collect(reader, 1)] == [10]

    async def test_a_busy_topic_does_not_starve_the_other(self, bus: EmbeddedBus) -> None:
        await self.publish(bus, *range(50))
        await self.publish(bus, 99, topic="second")
        subscription = await bus.subscribe(group="both", topics=["first", "second"])

        polls = [await subscription.poll(most=10, wait=NOW) for _ in range(2)]

        assert {record.topic for record in polls[1]} == {"first", "second"}
