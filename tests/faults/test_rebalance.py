"""Members of a group join, die and freeze at random: every event takes effect exactly once."""

from __future__ import annotations

import asyncio
import os
import random
import sys
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from pathlib import Path

import pytest
import pytest_asyncio
from aiokafka import AIOKafkaConsumer
from aiokafka.admin import AIOKafkaAdminClient
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.schema import CreateTable

from services.ingest.tables import PLUMBING
from shared.bus.kafka import KafkaBus
from shared.bus.ports import Record
from shared.clock import SystemClock
from shared.events.envelope import wrap
from shared.events.loop import ResponseHandled
from tests.faults.members import EFFECTS
from tests.infra.kafka import KafkaBroker
from tests.infra.postgres import PostgresServer
from tests.infra.processes import Child, data_folder

pytestmark = [pytest.mark.kafka, pytest.mark.postgres]

EVENTS = 2_000
KEYS = 20
MEMBERS = 3
PATIENCE = 3.0
CLOCK = SystemClock()
SECONDS = float(os.environ.get("CLOSED_LOOP_TEST_SOAK_SECONDS", "120"))
Offsets = Mapping[int, int]


class Group:
    """A topic, a database, and the members that are killed and frozen."""

    def __init__(self, broker: KafkaBroker, url: str, name: str, folder: Path) -> None:
        self.topic = f"handled-{name}"
        self.name = f"group-{name}"
        self.engine: AsyncEngine = create_async_engine(url)
        self.bus = KafkaBus(broker.bootstrap, CLOCK, topics=[self.topic])
        self.published: list[tuple[str, str]] = []
        self._bootstrap = broker.bootstrap
        self._url = url
        self._folder = folder
        self.members: list[Child] = []

    async def prepare(self) -> None:
        """Make the topic and the table of effects."""
        await self.bus.create_topics([self.topic])
        async with self.engine.begin() as connection:
            await connection.execute(CreateTable(EFFECTS))

    def join(self) -> None:
        """Start one more member."""
        command = [sys.executable, "-m", "tests.faults.members"]
        self.members.append(
            Child(
                "member",
                [*command, self._url, self._bootstrap, self.name, self.topic],
                log=self._folder / f"member-{len(self.members)}.log",
                cwd=Path(__file__).parents[2],
            )
        )

    async def publish(self, start: int, count: int) -> None:
        """Publish so many events; each key counts up."""
        publisher = await self.bus.publisher()
        for lower in range(start, start + count, KEYS):
            records = []
            for n in range(lower, lower + KEYS):
                event = ResponseHandled(response_id=f"rsp_{n}", revision=1, state="no_action")
                envelope = wrap(event, event_id=f"evt_{n:06}", at=CLOCK.now())
                key = f"key-{n % KEYS}"
                records.append(Record(topic=self.topic, key=key, value=envelope.encode()))
                self.published.append((envelope.id, key))
            # Everybody lives whom the publisher needs: it must not fail here.
            assert await publisher.publish(records) == [None] * KEYS
        await publisher.close()

    async def effects(self) -> list[tuple[str, str]]:
        """Return what the handlers wrote, in the order of their writing."""
        async with self.engine.connect() as connection:
            query = select(EFFECTS.c.event_id, EFFECTS.c.key).order_by(EFFECTS.c.seq)
            return [(row.event_id, row.key) for row in await connection.execute(query)]

    async def wait_for(self, count: int) -> None:
        """Wait until there are so many effects."""
        while len(await self.effects()) < count:  # noqa: ASYNC110 - in another process
            await asyncio.sleep(0.1)

    async def snapshot(self) -> tuple[Offsets, set[str]]:
        """Return the committed offsets, and then which events the inbox has."""
        admin = AIOKafkaAdminClient(bootstrap_servers=self._bootstrap)
        await admin.start()
        try:
            offsets = await admin.list_consumer_group_offsets(self.name)
        finally:
            await admin.close()
        inbox = PLUMBING.inbox
        async with self.engine.connect() as connection:
            found = await connection.execute(
                select(inbox.c.event_id).where(inbox.c.consumer == self.name)
            )
            handled = set(found.scalars())
        return {place.partition: meta.offset for place, meta in offsets.items()}, handled

    async def log(self) -> Mapping[int, Mapping[int, str]]:
        """Return the id of every record, by partition and offset."""
        places: dict[int, dict[int, str]] = defaultdict(dict)
        ids = {f"rsp_{n}": f"evt_{n:06}" for n in range(len(self.published))}
        consumer = AIOKafkaConsumer(
            self.topic, bootstrap_servers=self._bootstrap, auto_offset_reset="earliest"
        )
        await consumer.start()
        try:
            count = 0
            while count < len(self.published):
                found = await consumer.getmany(timeout_ms=1_000)
                for records in found.values():
                    for record in records:
                        subject = record.value.split(b'"subject":"', 1)[1].split(b'"', 1)[0]
                        places[record.partition][record.offset] = ids[subject.decode()]
                        count += 1
        finally:
            await consumer.stop()
        return places


@pytest_asyncio.fixture
async def group(
    kafka_broker: KafkaBroker,
    postgres_server: PostgresServer,
    postgres_template: str,
    unique: str,
) -> AsyncIterator[Group]:
    name = postgres_server.create_database(template=postgres_template)
    with data_folder("members") as folder:
        made = Group(kafka_broker, postgres_server.url(name), unique, folder)
        await made.prepare()
        yield made
        for member in made.members:
            member.kill()
        await made.bus.close()
        await made.engine.dispose()
    postgres_server.drop_database(name)


async def _storm(group: Group, lot: random.Random, *, events: int, seconds: float) -> None:
    """Kill, freeze and start members until everything has had its effect, then judge."""
    for _ in range(MEMBERS):
        group.join()
    publishing = asyncio.ensure_future(group.publish(0, events))
    deadline = CLOCK.monotonic() + seconds
    snapshots = []
    kills = freezes = 0
    frozen: list[Child] = []
    async with asyncio.timeout(60):
        await group.wait_for(1)
    while len(await group.effects()) < events:
        assert CLOCK.monotonic() < deadline, "\n".join(m.tail(5) for m in group.members)
        alive = [m for m in group.members if m.running and m not in frozen]
        one = lot.choice(alive) if len(alive) > 1 else None
        # The first dies and the second freezes, whatever the lot says afterwards.
        if one is not None and (not kills or (freezes and lot.random() < 0.5)):
            one.kill()
            kills += 1
            group.join()
        elif one is not None and not frozen:
            one.pause()
            frozen.append(one)
            freezes += 1
        elif frozen:
            frozen.pop().resume()
        snapshots.append(await group.snapshot())
        await _some_more(group, lot.randrange(20, 300), at_most=events)
    for one in frozen:
        one.resume()
    await publishing
    print(f"{kills} killed, {freezes} frozen, {len(snapshots)} looks")
    assert kills
    assert freezes

    effects = await group.effects()
    assert [event for event, n in Counter(e for e, _ in effects).items() if n > 1] == []
    assert {event for event, _ in effects} == {event for event, _ in group.published}
    for key in {key for _, key in group.published}:
        ours = [event for event, its in effects if its == key]
        assert ours == sorted(ours), f"{key} was handled in another order"
    log = await group.log()
    for offsets, handled in snapshots:
        for partition, end in offsets.items():
            passed = {event for offset, event in log[partition].items() if offset < end}
            assert passed <= handled, "an offset was committed before its effect"


async def _some_more(group: Group, count: int, *, at_most: int) -> None:
    """Wait for so many more effects, but never longer than members need to take over."""
    goal = min(at_most, len(await group.effects()) + count)
    with suppress(TimeoutError):
        async with asyncio.timeout(PATIENCE):
            await group.wait_for(goal)


async def test_members_come_and_go_and_every_event_takes_effect_once(group: Group) -> None:
    await _storm(group, random.Random(9), events=EVENTS, seconds=240)


@pytest.mark.soak
async def test_members_come_and_go_for_long(group: Group) -> None:
    events = int(SECONDS * 100) // KEYS * KEYS
    await _storm(group, random.Random(10), events=events, seconds=SECONDS + 900)
