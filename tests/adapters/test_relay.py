"""The relay publishes what was announced: all of it, in order per key, one relay at a time."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, select

from shared.bus.embedded import EmbeddedBus
from shared.bus.ports import TOPIC_MISSING, Publisher, Record, RecordRefused, Subscription
from shared.bus.relay import Relay
from shared.db import dead_letter
from shared.db.dead_letter import LetterState
from shared.db.transaction import Database
from shared.errors import Conflict, NotFound, TryLater
from shared.events import topics
from shared.events.envelope import decode
from shared.events.loop import ResponseHandled
from shared.sealing import Keyring
from tests.fakes import ManualClock


def handled(n: int = 0) -> ResponseHandled:
    return ResponseHandled(response_id=f"rsp_{n}", revision=1, state="no_action")


async def nothing() -> None:
    """Let others have their turn."""
    await asyncio.sleep(0)


class RecordingBus:
    """A bus that keeps what it was given, and fails as it is told."""

    def __init__(self) -> None:
        self.log: list[Record] = []
        self.calls: list[Sequence[Record]] = []
        self.fails: Callable[[Record], Exception | None] = lambda _: None
        self.loses_acknowledgements = False
        self.on_its_way: Counter[str] = Counter()
        self.most_on_its_way: Counter[str] = Counter()
        self.closed = 0
        self.meanwhile: Callable[[], Awaitable[None]] | None = None

    async def publisher(self) -> Publisher:
        return self

    async def publish(self, records: Sequence[Record]) -> Sequence[Exception | None]:
        self.calls.append(records)
        for record in records:
            self.on_its_way[record.key] += 1
            self.most_on_its_way[record.key] = max(
                self.most_on_its_way[record.key], self.on_its_way[record.key]
            )
        await (self.meanwhile or nothing)()
        results = [self.fails(record) for record in records]
        self.log += [r for r, failed in zip(records, results, strict=True) if failed is None]
        for record in records:
            self.on_its_way[record.key] -= 1
        if self.loses_acknowledgements:
            return [TryLater("the acknowledgement was lost")] * len(records)
        return results

    async def close(self) -> None:
        self.closed += 1

    async def subscribe(self, *, group: str, topics: Sequence[str]) -> Subscription:
        raise NotImplementedError

    async def create_topics(self, topics: Sequence[str]) -> None:
        raise NotImplementedError

    async def ping(self) -> None:
        raise NotImplementedError

    @property
    def ids(self) -> list[str]:
        """The event ids in the order of the log."""
        return [record.headers["ce_id"] for record in self.log]


AWAY = TryLater("the broker is away", slug="bus-unavailable")


@pytest.fixture
def database(database_of: Callable[[str], Database]) -> Database:
    return database_of("loop")


@pytest.fixture
def bus() -> RecordingBus:
    return RecordingBus()


@pytest.fixture
def new_relay(
    database: Database, bus: RecordingBus, clock: ManualClock, keyring: Keyring
) -> Callable[[], Relay]:
    return lambda: Relay(
        database=database, bus=bus, clock=clock, keyring=keyring, chance=lambda: 0.5
    )


@pytest.fixture
def relay(new_relay: Callable[[], Relay]) -> Relay:
    return new_relay()


@pytest.fixture
def announce(database: Database, clock: ManualClock) -> Callable[..., Any]:
    async def announced(*keys: str) -> list[str]:
        async with database.transaction() as tx:
            return [
                tx.announce(handled(n), key=key, at=clock.now()).id
                for n, key in enumerate(keys)
            ]

    return announced


async def drain(relay: Relay) -> None:
    """Let the relay work until it has nothing to do now."""
    while await relay.step():
        pass


async def test_what_was_announced_is_published_in_order(
    relay: Relay, bus: RecordingBus, announce: Callable[..., Any]
) -> None:
    ids = await announce("per_1", "per_2", "per_3")

    await drain(relay)

    assert bus.ids == ids
    assert (await relay.backlog()).count == 0


async def test_a_record_carries_what_other_programs_look_for(
    relay: Relay, bus: RecordingBus, announce: Callable[..., Any]
) -> None:
    (event_id,) = await announce("per_1")

    await drain(relay)

    (record,) = bus.log
    assert record.topic == topics.HANDLED
    assert record.key == "per_1"
    assert record.headers == {
        "ce_id": event_id,
        "ce_type": "response.handled.v1",
        "content-type": "application/cloudevents+json",
    }
    assert decode(record.value).id == event_id


async def test_nothing_is_published_twice_when_all_goes_well(
    relay: Relay, bus: RecordingBus, announce: Callable[..., Any]
) -> None:
    await announce(*(f"per_{n}" for n in range(2_300)))
    await drain(relay)
    await announce("per_1")
    await drain(relay)

    assert len(bus.ids) == len(set(bus.ids)) == 2_301


async def test_one_key_has_one_record_on_its_way(
    relay: Relay, bus: RecordingBus, announce: Callable[..., Any]
) -> None:
    chance = random.Random(7)
    keys = [f"per_{chance.randrange(20)}" for _ in range(300)]
    ids = await announce(*keys)

    await drain(relay)

    assert set(bus.most_on_its_way.values()) == {1}
    assert all(len({r.key for r in call}) == len(call) for call in bus.calls)
    wanted = defaultdict(list)
    for key, event_id in zip(keys, ids, strict=True):
        wanted[key].append(event_id)
    published = defaultdict(list)
    for record in bus.log:
        published[record.key].append(record.headers["ce_id"])
    assert published == wanted


async def test_a_record_that_fails_holds_the_later_ones_of_its_key_only(
    relay: Relay, bus: RecordingBus, clock: ManualClock, announce: Callable[..., Any]
) -> None:
    a0, b0, a1, b1, a2 = await announce("a", "b", "a", "b", "a")
    bus.fails = lambda record: AWAY if record.headers["ce_id"] == a1 else None

    await drain(relay)
    assert bus.ids == [a0, b0, b1]
    assert (await relay.backlog()).count == 2

    bus.fails = lambda _: None
    clock.advance(timedelta(seconds=1))
    await drain(relay)
    assert bus.ids == [a0, b0, b1, a1, a2]


async def test_order_per_key_survives_failures_anywhere(
    relay: Relay, bus: RecordingBus, clock: ManualClock, announce: Callable[..., Any]
) -> None:
    chance = random.Random(3)
    keys = [f"per_{chance.randrange(12)}" for _ in range(400)]
    ids = await announce(*keys)
    bus.fails = lambda _: AWAY if chance.random() < 0.2 else None

    async with asyncio.timeout(60):
        while (await relay.backlog()).count:
            await drain(relay)
            clock.advance(timedelta(seconds=30))

    for person in set(keys):
        wanted = [i for i, key in zip(ids, keys, strict=True) if key == person]
        assert [r.headers["ce_id"] for r in bus.log if r.key == person] == wanted


async def test_a_bus_that_is_away_is_asked_less_and_less_and_then_again_at_once(
    relay: Relay, bus: RecordingBus, clock: ManualClock, announce: Callable[..., Any]
) -> None:
    await announce("per_1")
    bus.fails = lambda _: AWAY
    asked_at: list[float] = []

    for _ in range(4_000):
        before = len(bus.calls)
        assert not await relay.step()
        if len(bus.calls) > before:
            asked_at.append(clock.monotonic())
        clock.advance(timedelta(milliseconds=50))

    pauses = [round(b - a, 2) for a, b in itertools.pairwise(asked_at)]
    assert pauses[:4] == pytest.approx([0.15, 0.3, 0.6, 1.2], abs=0.06)
    assert max(pauses) == pytest.approx(22.5, abs=0.06)
    bus.fails = lambda _: None
    clock.advance(timedelta(seconds=30))
    await drain(relay)
    await announce("per_1")
    await drain(relay)
    assert len(bus.log) == 2


async def test_a_lost_acknowledgement_has_the_record_sent_again(
    relay: Relay, bus: RecordingBus, clock: ManualClock, announce: Callable[..., Any]
) -> None:
    """What may be in the log is not marked: twice is absorbed by the inbox, never is not."""
    (event_id,) = await announce("per_1")
    bus.loses_acknowledgements = True
    await drain(relay)

    bus.loses_acknowledgements = False
    clock.advance(timedelta(seconds=1))
    await drain(relay)

    assert bus.ids == [event_id, event_id]
    assert (await relay.backlog()).count == 0


async def test_held_records_do_not_stand_in_the_way_of_those_behind_them(
    relay: Relay, bus: RecordingBus, announce: Callable[..., Any]
) -> None:
    """One key's thousands of rows fill a whole claim, and the next one still gets its turn."""
    await announce("fine", *["stuck"] * 2_500, "behind")
    bus.fails = lambda record: AWAY if record.key == "stuck" else None

    await drain(relay)

    assert [record.key for record in bus.log] == ["fine", "behind"]
    assert (await relay.backlog()).count == 2_500


async def test_a_missing_topic_holds_its_own_records_only(
    relay: Relay, bus: RecordingBus, clock: ManualClock, database: Database, announce: Any
) -> None:
    async with database.transaction() as tx:
        for n in range(1_200):
            tx.announce(handled(), key=f"per_{n}", at=clock.now())
            tx._announced[-1]["topic"] = "missing"
    (fine,) = await announce("per_9999")
    bus.fails = lambda r: (
        TryLater("no such topic", slug=TOPIC_MISSING) if r.topic == "missing" else None
    )

    await drain(relay)
    assert bus.ids == [fine]
    calls = len(bus.calls)
    clock.advance(timedelta(seconds=5))
    await drain(relay)
    assert len(bus.calls) == calls

    bus.fails = lambda _: None
    clock.advance(timedelta(seconds=30))
    await drain(relay)
    assert len(set(bus.ids)) == 1_201


async def test_a_refused_record_is_parked_and_the_others_go_on(
    relay: Relay,
    bus: RecordingBus,
    database: Database,
    keyring: Keyring,
    announce: Callable[..., Any],
) -> None:
    first, refused, last = await announce("per_1", "per_2", "per_2")
    bus.fails = lambda r: RecordRefused("too large") if r.headers["ce_id"] == refused else None

    await drain(relay)

    assert bus.ids == [first, last]
    assert (await relay.backlog()).count == 0
    table = database.plumbing.dead_letters
    async with database.transaction() as tx:
        (letter,) = await dead_letter.list_letters(tx, table)
        opened = await dead_letter.open_letter(tx, letter.id, keyring=keyring)
    assert (letter.consumer, letter.event_id, letter.tries) == ("relay", refused, 1)
    assert letter.event_type == "response.handled.v1"
    assert "too large" in letter.error
    assert decode(opened.body).id == refused


async def test_a_refused_record_can_be_published_again_later(
    relay: Relay, bus: RecordingBus, database: Database, announce: Callable[..., Any]
) -> None:
    (refused,) = await announce("per_1")
    bus.fails = lambda _: RecordRefused("too large")
    await drain(relay)
    table = database.plumbing.dead_letters
    async with database.reading() as view:
        (letter,) = await dead_letter.list_letters(view, table)

    bus.fails = lambda _: None
    await relay.replay(letter.id)
    await drain(relay)

    assert bus.ids == [refused]
    async with database.reading() as view:
        assert (await dead_letter.get(view, table, letter.id)).state is LetterState.REPLAYED
    with pytest.raises(Conflict):
        await relay.replay(letter.id)
    with pytest.raises(NotFound):
        await relay.replay("ltr_unknown")


async def test_only_one_relay_works_at_a_time(
    new_relay: Callable[[], Relay], bus: RecordingBus, announce: Callable[..., Any]
) -> None:
    one, two = new_relay(), new_relay()
    await announce("per_1")
    await drain(one)
    await announce("per_1")

    assert not await two.step()
    assert len(bus.log) == 1

    await one.close()
    await drain(two)
    assert len(bus.log) == 2


async def test_a_relay_that_lost_its_lease_publishes_nothing_more(
    new_relay: Callable[[], Relay],
    bus: RecordingBus,
    clock: ManualClock,
    announce: Callable[..., Any],
) -> None:
    """It was paused in the middle of a claim, and another one took over."""
    one = new_relay()
    token = one._token
    await announce("per_1", "per_1", "per_1")

    def paused(_: Record) -> None:
        clock.advance(timedelta(seconds=31))
        one._token = "somebody else's"

    bus.fails = paused
    await one.step()

    assert len(bus.log) == 1
    bus.fails = lambda _: None
    one._token = token
    await drain(one)
    assert len(bus.log) == 3


async def test_an_idle_relay_writes_nothing(relay: Relay, database: Database) -> None:
    from shared.db.plumbing import leases  # noqa: PLC0415 - only here

    await drain(relay)

    async with database.reading() as view:
        assert await view.scalar(select(func.count()).select_from(leases)) == 0


async def test_a_smaller_number_that_is_committed_later_is_published(
    relay: Relay, bus: RecordingBus, database: Database, clock: ManualClock
) -> None:
    """PostgreSQL gives numbers out before the commit, and commits overtake each other."""
    if database.dialect == "sqlite":
        async with database.transaction() as tx:
            tx.announce(handled(), key="per_1", at=clock.now())
        await drain(relay)
        assert len(bus.log) == 1
        return
    async with database.transaction() as slow:
        early = slow.announce(handled(), key="slow", at=clock.now())
        await slow._flush()
        slow._announced.clear()
        async with database.transaction() as quick:
            late = quick.announce(handled(), key="quick", at=clock.now())
        await drain(relay)
        assert bus.ids == [late.id]

    await drain(relay)

    assert bus.ids == [late.id, early.id]


async def test_a_smaller_number_that_is_committed_during_a_sweep_keeps_its_place(
    relay: Relay, bus: RecordingBus, database: Database, clock: ManualClock, announce: Any
) -> None:
    """More than a claim is held while it commits, and the next one of its key comes behind."""
    if database.dialect == "sqlite":
        pytest.skip("its one writer commits in the order of the numbers")
    bus.fails = lambda record: AWAY if record.key == "stuck" else None
    async with AsyncExitStack() as stack:
        slow = await stack.enter_async_context(database.transaction())
        first = slow.announce(handled(), key="per_1", at=clock.now())
        await slow._flush()
        slow._announced.clear()
        await announce("fine", *["stuck"] * 1_000)
        bus.meanwhile = stack.aclose
        await relay.step()
        bus.meanwhile = None
    (second,) = await announce("per_1")

    await drain(relay)

    assert [one for one in bus.ids if one in {first.id, second}] == [first.id, second]


async def test_a_smaller_number_that_is_committed_while_we_publish_is_not_marked_with_it(
    relay: Relay, bus: RecordingBus, database: Database, clock: ManualClock
) -> None:
    if database.dialect == "sqlite":
        pytest.skip("its one writer commits in the order of the numbers")
    async with AsyncExitStack() as stack:
        slow = await stack.enter_async_context(database.transaction())
        early = slow.announce(handled(), key="slow", at=clock.now())
        await slow._flush()
        slow._announced.clear()
        async with database.transaction() as quick:
            late = quick.announce(handled(), key="quick", at=clock.now())
        bus.meanwhile = stack.aclose
        await relay.step()
        bus.meanwhile = None
    assert bus.ids == [late.id]

    await drain(relay)

    assert bus.ids == [late.id, early.id]


async def test_the_backlog_says_how_much_waits_since_when(
    relay: Relay, clock: ManualClock, announce: Callable[..., Any]
) -> None:
    assert (await relay.backlog()).oldest is None
    since = clock.now()
    await announce("per_1")
    clock.advance(timedelta(minutes=3))
    await announce("per_1", "per_2")

    backlog = await relay.backlog()

    assert (backlog.count, backlog.oldest) == (3, since)


async def test_published_rows_are_kept_a_week_and_then_pruned(
    relay: Relay,
    bus: RecordingBus,
    database: Database,
    clock: ManualClock,
    announce: Callable[..., Any],
) -> None:
    outbox = database.plumbing.outbox

    async def rows() -> int:
        async with database.reading() as view:
            return int(await view.scalar(select(func.count()).select_from(outbox)))

    await announce(*(f"per_{n}" for n in range(25)))
    await drain(relay)
    clock.advance(timedelta(days=6))
    await announce("per_1")
    await drain(relay)
    assert await rows() == 26

    clock.advance(timedelta(days=1, seconds=1))
    assert await relay.prune(most=10) == 10
    await drain(relay)
    assert await rows() == 1
    clock.advance(timedelta(days=8))
    bus.fails = lambda _: AWAY
    await announce("per_2")
    await drain(relay)
    assert await relay.prune() == 1
    assert await rows() == 1


async def test_an_announcement_wakes_the_relay(
    relay: Relay, announce: Callable[..., Any]
) -> None:
    await drain(relay)
    async with asyncio.timeout(30), asyncio.TaskGroup() as tasks:
        waiting = tasks.create_task(relay.wait())
        await asyncio.sleep(0)
        await announce("per_1")
        await waiting


async def test_it_works_with_the_embedded_bus(
    database: Database,
    database_of: Callable[[str], Database],
    clock: ManualClock,
    keyring: Keyring,
    announce: Callable[..., Any],
) -> None:
    bus = EmbeddedBus(database_of("shared"), clock)
    await bus.create_topics(topics.ALL)
    relay = Relay(database=database, bus=bus, clock=clock, keyring=keyring)
    ids = await announce("per_1", "per_2", "per_1")

    await drain(relay)

    subscription = await bus.subscribe(group="reader", topics=[topics.HANDLED])
    received = await subscription.poll(most=10, wait=timedelta(0))
    assert [r.headers["ce_id"] for r in received] == [ids[0], ids[1], ids[2]]
    await relay.close()
