"""A thousand good records with every shape of poison among them: a thousand effects."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest
import pytest_asyncio
from aiokafka import AIOKafkaProducer
from sqlalchemy import insert, select

from shared.bus.consumer import UNREADABLE_LIMIT, Arrived, Consumer, ConsumerState
from shared.bus.embedded import EmbeddedBus
from shared.bus.kafka import KafkaBus
from shared.bus.ports import Bus, Record
from shared.bus.recent import SPAN, Recent
from shared.clock import SystemClock
from shared.db import dead_letter, timers
from shared.db.dead_letter import DeadLetter
from shared.db.transaction import Database, Transaction
from shared.events import topics
from shared.events.loop import ResponseHandled
from shared.sealing import Keyring
from tests.fakes import ManualClock
from tests.infra.kafka import KafkaBroker
from tests.poison import SHAPES, a_good_one, poison

GOOD = 1_000
Send = Callable[[Sequence[bytes | None]], Any]


class Room:
    """Sets a timer for each event; fails for good where a number is listed."""

    def __init__(self) -> None:
        self.failing: dict[int, str] = {}

    async def __call__(self, tx: Transaction, fresh: Sequence[Arrived], now: datetime) -> None:
        for one in fresh:
            assert isinstance(one.event, ResponseHandled)
            n = int(one.event.response_id.removeprefix("rsp_"))
            await timers.set_all(
                tx, [timers.Timer(kind=f"effect-{one.envelope.id}", subject=f"{n}", due_at=now)]
            )
            failing = self.failing.get(n)
            if failing == "value":
                message = "Ann said she was ill"
                raise ValueError(message)
            if failing == "key":
                raise KeyError(n)
            if failing == "constraint":
                await tx.execute(insert(tx.plumbing.inbox).values(consumer=None))


@pytest.fixture
def room() -> Room:
    return Room()


@pytest.fixture
def database(database_of: Callable[[str], Database]) -> Database:
    return database_of("ingest")


def consumer_of(
    room: Room, database: Database, bus: Bus, keyring: Keyring, *, topic: str, group: str
) -> Consumer:
    async def no_pause(_: float) -> None:
        return

    return Consumer(
        name=group,
        topics=[topic],
        kinds=[ResponseHandled],
        handler=room,
        database=database,
        bus=bus,
        clock=SystemClock(),
        keyring=keyring,
        pause=no_pause,
    )


async def drain(consumer: Consumer, *, until: Callable[[], Any]) -> None:
    """Let the consumer work until nothing is left and this holds."""
    for _ in range(600):
        while await consumer.step():
            pass
        if await until():
            return
        await consumer.wait()
    pytest.fail("it never came to an end")


async def effects(database: Database) -> list[int]:
    table = database.plumbing.timers
    async with database.reading() as view:
        return sorted(int(row.subject) for row in await view.all(select(table.c.subject)))


async def letters(database: Database) -> Sequence[DeadLetter]:
    async with database.reading() as view:
        return await dead_letter.list_letters(view, database.plumbing.dead_letters, limit=1000)


async def prove(
    room: Room, database: Database, new_consumer: Callable[[], Consumer], send: Send
) -> None:
    """Send the mixture and hold what comes of it to the table."""
    at = SystemClock().now()
    room.failing = {GOOD + 1: "value", GOOD + 2: "key", GOOD + 3: "constraint"}
    good = [a_good_one(n, at) for n in range(GOOD)]
    bad = [poison(name, at) for name in SHAPES] + [a_good_one(n, at) for n in room.failing]
    mixed: list[bytes | None] = []
    for n, record in enumerate(good):
        mixed.append(record)
        if n % 30 == 15 and n // 30 < len(bad):
            mixed.append(bad[n // 30])
    assert len(mixed) == GOOD + len(bad)
    await send(mixed)
    consumer = new_consumer()

    async def done() -> bool:
        return len(await letters(database)) >= len(bad) and await consumer.lag() == 0

    await drain(consumer, until=done)

    assert await effects(database) == list(range(GOOD))
    parked = await letters(database)
    assert len(parked) == len(bad)
    tries = sorted(letter.tries for letter in parked)
    assert tries == [1] * len(SHAPES) + [3] * len(room.failing)
    assert not any("ill" in letter.error or "Ann" in letter.error for letter in parked)
    assert consumer.health.state is ConsumerState.OK
    await consumer.close()

    # The next process finds nothing to do: no record is met again and again.
    again = new_consumer()
    await drain(again, until=lambda: _is_zero(again))
    assert len(await letters(database)) == len(bad)
    assert await effects(database) == list(range(GOOD))
    await again.close()


async def _is_zero(consumer: Consumer) -> bool:
    return await consumer.lag() == 0


class TestEmbedded:
    """The bus in the database, on both databases."""

    @pytest_asyncio.fixture
    async def bus(self, database_of: Callable[[str], Database]) -> EmbeddedBus:
        made = EmbeddedBus(database_of("shared"), SystemClock())
        await made.create_topics(topics.ALL)
        return made

    @pytest.fixture
    def send(self, bus: EmbeddedBus) -> Send:
        async def sent(values: Sequence[bytes | None]) -> None:
            publisher = await bus.publisher()
            records = [
                Record(topic=topics.HANDLED, key=f"k{n % 7}", value=value)
                for n, value in enumerate(values)
            ]
            assert await publisher.publish(records) == [None] * len(records)

        return sent

    async def test_poison_among_good_ones_costs_none_of_them(
        self, room: Room, database: Database, bus: EmbeddedBus, keyring: Keyring, send: Send
    ) -> None:
        def new_consumer() -> Consumer:
            return consumer_of(
                room, database, bus, keyring, topic=topics.HANDLED, group="ingest"
            )

        await prove(room, database, new_consumer, send)

    async def test_a_topic_of_rubbish_stops_it_although_another_one_is_sound(
        self, room: Room, database: Database, bus: EmbeddedBus, keyring: Keyring, send: Send
    ) -> None:
        """What is right on one topic says nothing about a foreign program on the other."""
        consumer = Consumer(
            name="ingest",
            topics=[topics.HANDLED, topics.TASKS],
            kinds=[ResponseHandled],
            handler=room,
            database=database,
            bus=bus,
            clock=SystemClock(),
            keyring=keyring,
        )
        at = SystemClock().now()
        publisher = await bus.publisher()
        for n in range(40):
            rubbish = [Record(topic=topics.TASKS, key="k", value=b"{") for _ in range(20)]
            await publisher.publish(rubbish)
            await send([a_good_one(n, at)])
            while await consumer.step():
                pass
            if consumer.health.state is ConsumerState.STOPPED:
                break

        assert consumer.health.state is ConsumerState.STOPPED
        assert not consumer.health.ready
        assert topics.TASKS in consumer.health.reason
        assert len(await letters(database)) == UNREADABLE_LIMIT
        assert await consumer.step() is False
        assert len(await letters(database)) == UNREADABLE_LIMIT


@pytest.mark.kafka
class TestKafka:
    """A real broker; SQLite behind it."""

    @pytest_asyncio.fixture
    async def bus(self, kafka_broker: KafkaBroker, unique: str) -> AsyncIterator[KafkaBus]:
        made = KafkaBus(kafka_broker.bootstrap, SystemClock(), topics=[unique], partitions=3)
        await made.create_topics([unique])
        yield made
        await made.close()

    @pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
    async def test_poison_among_good_ones_costs_none_of_them(
        self,
        room: Room,
        database: Database,
        bus: KafkaBus,
        keyring: Keyring,
        kafka_broker: KafkaBroker,
        unique: str,
    ) -> None:
        async def send(values: Sequence[bytes | None]) -> None:
            producer = AIOKafkaProducer(bootstrap_servers=kafka_broker.bootstrap)
            await producer.start()
            try:
                for n, value in enumerate(values):
                    await producer.send(unique, value, key=f"k{n % 7}".encode())
                await producer.flush()
            finally:
                await producer.stop()

        def new_consumer() -> Consumer:
            return consumer_of(room, database, bus, keyring, topic=unique, group=f"g-{unique}")

        await prove(room, database, new_consumer, send)


def test_the_rate_forgets_what_is_older_than_five_minutes() -> None:
    clock = ManualClock()
    recent = Recent(clock)
    assert recent.share_parked() == 0
    recent.add(handled=98, parked=2)
    assert recent.share_parked() == pytest.approx(0.02)
    clock.advance(timedelta(seconds=SPAN / 2))
    recent.add(handled=100)
    assert recent.share_parked() == pytest.approx(0.01)
    clock.advance(timedelta(seconds=SPAN / 2 + 1))
    assert recent.share_parked() == 0
