"""The consumer: every event has its effect once, whatever happens in between."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError

from shared.bus.consumer import Arrived, Consumer, ConsumerState, Handler
from shared.bus.embedded import EmbeddedBus
from shared.bus.ports import Received, Record, Subscription
from shared.db import dead_letter, timers
from shared.db.dead_letter import DeadLetter, LetterState
from shared.db.transaction import Database, Transaction
from shared.errors import Conflict, Malformed, NotFound, TryLater
from shared.events import topics
from shared.events.envelope import Event, wrap
from shared.events.loop import ResponseHandled
from shared.events.registry import EVENTS
from shared.ids import new_id
from shared.sealing import Keyring
from tests.fakes import ManualClock

TOPIC = topics.HANDLED
GROUP = "closed-loop.ingest"


def handled(n: int) -> ResponseHandled:
    return ResponseHandled(response_id=f"rsp_{n}", revision=1, state="no_action")


def number(one: Arrived) -> int:
    assert isinstance(one.event, ResponseHandled)
    return int(one.event.response_id.removeprefix("rsp_"))


class Room:
    """A handler with an effect that can be counted: it sets one timer for each event.

    ``fails`` says what an event makes it raise; ``ran`` holds the numbers of each call.
    """

    def __init__(self) -> None:
        self.ran: list[list[int]] = []
        self.fails: Callable[[int], Exception | None] = lambda _: None

    async def __call__(self, tx: Transaction, fresh: Sequence[Arrived], now: datetime) -> None:
        numbers = [number(one) for one in fresh]
        self.ran.append(numbers)
        for n in numbers:
            await timers.set_all(
                tx, [timers.Timer(kind="effect", subject=f"{n}-{new_id('x')}", due_at=now)]
            )
            if (error := self.fails(n)) is not None:
                raise error


class Recording:
    """A bus that notes in which order its subscription is used, and can fail to commit."""

    def __init__(self, bus: EmbeddedBus) -> None:
        self._bus = bus
        self.verbs: list[str] = []
        self.commit_fails = False
        self.poll_fails = False
        self.inner: Subscription

    async def subscribe(self, *, group: str, topics: Sequence[str]) -> Subscription:
        self.inner = await self._bus.subscribe(group=group, topics=topics)
        return self

    async def poll(self, *, most: int, wait: timedelta) -> Sequence[Received]:
        if self.poll_fails:
            raise TryLater("the broker is away", slug="bus-unavailable")
        received = await self.inner.poll(most=most, wait=wait)
        if received:
            self.verbs.append("poll")
        return received

    async def commit(self, records: Sequence[Received]) -> None:
        self.verbs.append("commit")
        if self.commit_fails:
            raise TryLater("the broker is away", slug="bus-unavailable")
        await self.inner.commit(records)

    async def rewind(self) -> None:
        self.verbs.append("rewind")
        await self.inner.rewind()

    async def lag(self) -> int:
        return await self.inner.lag()

    async def close(self) -> None:
        await self.inner.close()

    async def publisher(self) -> Any:
        return await self._bus.publisher()

    async def create_topics(self, topics: Sequence[str]) -> None:
        raise NotImplementedError

    async def ping(self) -> None:
        raise NotImplementedError


@pytest.fixture
def database(database_of: Callable[[str], Database]) -> Database:
    return database_of("ingest")


@pytest_asyncio.fixture
async def bus(database_of: Callable[[str], Database], clock: ManualClock) -> Recording:
    made = EmbeddedBus(database_of("shared"), clock)
    await made.create_topics(topics.ALL)
    return Recording(made)


@pytest.fixture
def room() -> Room:
    return Room()


@pytest.fixture
def pauses() -> list[float]:
    return []


@pytest.fixture
def new_consumer(
    database: Database,
    bus: Recording,
    clock: ManualClock,
    keyring: Keyring,
    room: Room,
    pauses: list[float],
) -> Callable[..., Consumer]:
    async def pause(seconds: float) -> None:
        pauses.append(seconds)

    def make(handler: Handler = room, kinds: Sequence[type[Event]] = (ResponseHandled,)) -> Any:
        return Consumer(
            name=GROUP,
            topics=[TOPIC],
            kinds=kinds,
            handler=handler,
            database=database,
            bus=bus,
            clock=clock,
            keyring=keyring,
            pause=pause,
            chance=lambda: 0.5,
        )

    return make


@pytest.fixture
def consumer(new_consumer: Callable[..., Consumer]) -> Consumer:
    return new_consumer()


@pytest.fixture
def send(bus: Recording, clock: ManualClock) -> Callable[..., Any]:
    """Publish bodies, or the events of these numbers; return the event ids."""

    async def sent(*what: int | bytes | None) -> list[str]:
        ids, records = [], []
        for one in what:
            value = one
            if isinstance(one, int):
                ids.append(new_id("evt"))
                value = wrap(handled(one), event_id=ids[-1], at=clock.now()).encode()
            assert not isinstance(value, int)
            records.append(Record(topic=TOPIC, key="per_1", value=value))
        results = await (await bus.publisher()).publish(records)
        assert results == [None] * len(records)
        return ids

    return sent


@pytest.fixture
def effects(database: Database) -> Callable[[], Any]:
    """Return which numbers had their effect, in order."""

    async def read() -> list[int]:
        table = database.plumbing.timers
        async with database.reading() as view:
            rows = await view.all(select(table.c.subject).order_by(table.c.id))
        return [int(row.subject.partition("-")[0]) for row in rows]

    return read


@pytest.fixture
def letters(database: Database) -> Callable[[], Any]:
    async def read() -> Sequence[DeadLetter]:
        async with database.reading() as view:
            return await dead_letter.list_letters(
                view, database.plumbing.dead_letters, state=None, limit=1000
            )

    return read


def state_of(consumer: Consumer) -> ConsumerState:
    return consumer.health.state


def is_ready(consumer: Consumer) -> bool:
    return consumer.health.ready


async def drain(consumer: Consumer) -> None:
    """Let the consumer work until it has nothing to do now."""
    while await consumer.step():
        pass


class TestEffects:
    """Once, in order, a whole poll in one transaction."""

    async def test_a_poll_is_handled_in_one_call_in_order(
        self, consumer: Consumer, room: Room, send: Any, effects: Any
    ) -> None:
        await send(*range(120))

        await drain(consumer)

        assert room.ran == [list(range(120))]
        assert await effects() == list(range(120))
        assert await consumer.lag() == 0

    async def test_the_handler_gets_envelope_event_and_key(
        self, new_consumer: Callable[..., Consumer], send: Any, clock: ManualClock
    ) -> None:
        seen: list[Arrived] = []
        moments: list[datetime] = []

        async def handler(_: Transaction, fresh: Sequence[Arrived], now: datetime) -> None:
            seen.extend(fresh)
            moments.append(now)

        (event_id,) = await send(7)
        await drain(new_consumer(handler))

        assert (seen[0].envelope.id, seen[0].event, seen[0].key) == (
            event_id,
            handled(7),
            "per_1",
        )
        assert moments == [clock.now()]

    async def test_a_redelivered_event_has_no_second_effect(
        self, new_consumer: Callable[..., Consumer], bus: Recording, send: Any, effects: Any
    ) -> None:
        """The process died between the effect and the commit of the offset."""
        await send(1, 2, 3)
        bus.commit_fails = True
        await drain(new_consumer())
        bus.commit_fails = False

        await drain(new_consumer())

        assert await effects() == [1, 2, 3]

    async def test_a_record_that_is_in_the_log_twice_has_one_effect(
        self, consumer: Consumer, send: Any, effects: Any, clock: ManualClock
    ) -> None:
        body = wrap(handled(5), event_id="evt_twin", at=clock.now()).encode()
        await send(body, 1, body)
        await drain(consumer)
        await send(body)
        await drain(consumer)

        assert await effects() == [5, 1]

    async def test_the_offset_follows_the_effect(
        self,
        new_consumer: Callable[..., Consumer],
        bus: Recording,
        database: Database,
        send: Any,
    ) -> None:
        async def handler(_: Transaction, __: Sequence[Arrived], ___: datetime) -> None:
            bus.verbs.append("effect")

        await send(1)
        original = bus.commit

        async def commit(records: Sequence[Received]) -> None:
            async with database.reading() as view:
                marked = await view.scalar(
                    select(func.count()).select_from(database.plumbing.inbox)
                )
            bus.verbs.append(f"inbox has {marked}")
            await original(records)

        bus.commit = commit  # type: ignore[method-assign] # a failing commit
        await drain(new_consumer(handler))

        assert bus.verbs == ["poll", "effect", "inbox has 1", "commit"]

    async def test_an_offset_that_could_not_be_committed_is_committed_later(
        self, consumer: Consumer, bus: Recording, clock: ManualClock, send: Any, effects: Any
    ) -> None:
        await send(1, 2)
        bus.commit_fails = True
        await drain(consumer)
        assert state_of(consumer) is ConsumerState.DEGRADED
        bus.commit_fails = False
        clock.advance(timedelta(seconds=30))

        await drain(consumer)

        assert await consumer.lag() == 0
        assert await effects() == [1, 2]
        assert state_of(consumer) is ConsumerState.OK

    async def test_events_for_others_are_passed_over(
        self, consumer: Consumer, room: Room, send: Any, letters: Any, clock: ManualClock
    ) -> None:
        foreign = next(kind for name, kind in EVENTS.items() if name == "alert.delivered.v1")
        body = {
            **json.loads(wrap(handled(1), event_id="evt_1", at=clock.now()).encode()),
            "type": foreign.TYPE,
            "data": {"unknown": True},
        }
        await send(json.dumps(body).encode(), 2)

        await drain(consumer)

        assert room.ran == [[2]]
        assert await letters() == []

    async def test_waiting_ends_when_a_record_comes_and_keeps_it(
        self, consumer: Consumer, send: Any, effects: Any
    ) -> None:
        await drain(consumer)
        await send(1)

        await consumer.wait()
        await drain(consumer)

        assert await effects() == [1]

    async def test_being_cut_off_loses_nothing(
        self, new_consumer: Callable[..., Consumer], send: Any, effects: Any
    ) -> None:
        """A step was cancelled in the middle; the same consumer goes on later."""
        cut = True

        async def handler(tx: Transaction, fresh: Sequence[Arrived], now: datetime) -> None:
            await room(tx, fresh, now)
            if cut:
                raise asyncio.CancelledError

        room = Room()
        consumer = new_consumer(handler)
        await send(1, 2)
        with pytest.raises(asyncio.CancelledError):
            await consumer.step()
        cut = False

        await drain(consumer)

        assert await effects() == [1, 2]


def _shape(**changes: object) -> bytes:
    body = json.loads(
        wrap(
            handled(1), event_id="evt_poison", at=datetime.fromisoformat("2026-03-02T09:00Z")
        ).encode()
    )
    return json.dumps({**body, **changes}).encode()


POISON: dict[str, bytes | None] = {
    "no value": None,
    "nothing": b"",
    "no text": b"\xff\xfe\x00",
    "no JSON": b"{not json",
    "no object": b"[1, 2]",
    "no event": b"{}",
    "too deep": b"[" * 60_000,
    "no id": _shape(id=""),
    "an endless id": _shape(id="x" * 500),
    "an id with NUL": _shape(id="evt_\x00"),
    "another version": _shape(specversion="0.3"),
    "no such type": _shape(type="response.exploded.v9"),
    "no time": _shape(time="yesterday"),
    "data of another shape": _shape(data=[]),
    "a member of another type": _shape(data={"response_id": 1, "revision": "x"}),
    "half a character": _shape(id="evt_\ud83d"),
}


class TestUnreadable:
    """A record that nobody can read is parked at once and stops nobody."""

    async def test_every_shape_of_poison_is_parked_while_a_thousand_good_ones_pass(
        self, consumer: Consumer, send: Any, effects: Any, letters: Any
    ) -> None:
        await send(*range(500))
        await send(*POISON.values())
        await send(*range(500, 1_000))

        await drain(consumer)

        assert await effects() == list(range(1_000))
        assert len(await letters()) == len(POISON)
        assert await consumer.lag() == 0
        assert state_of(consumer) is ConsumerState.OK

    @pytest.mark.parametrize("shape", POISON)
    async def test_a_letter_says_where_from_and_why_and_keeps_the_bytes(
        self,
        consumer: Consumer,
        send: Any,
        letters: Any,
        database: Database,
        keyring: Keyring,
        clock: ManualClock,
        shape: str,
    ) -> None:
        await send(1, POISON[shape])

        await drain(consumer)

        (letter,) = await letters()
        assert (letter.consumer, letter.topic, letter.partition, letter.offset) == (
            GROUP,
            TOPIC,
            0,
            1,
        )
        assert letter.error.startswith("Malformed: ")
        assert (letter.tries, letter.state) == (1, LetterState.PARKED)
        assert letter.parked_at == clock.now()
        async with database.transaction() as tx:
            opened = await dead_letter.open_letter(tx, letter.id, keyring=keyring)
        assert opened.body == (POISON[shape] or b"")
        assert opened.key == "per_1"

    async def test_a_record_that_is_read_again_is_parked_once(
        self, new_consumer: Callable[..., Consumer], bus: Recording, send: Any, letters: Any
    ) -> None:
        await send(1, b"junk", 2)
        bus.commit_fails = True
        await drain(new_consumer())
        bus.commit_fails = False

        await drain(new_consumer())

        assert len(await letters()) == 1

    async def test_parked_bytes_are_sealed(
        self, consumer: Consumer, send: Any, database: Database
    ) -> None:
        await send(b"Anna Example waited forty minutes")

        await drain(consumer)

        async with database.reading() as view:
            row = await view.first(select(database.plumbing.dead_letters))
        assert row is not None
        assert b"Anna" not in row.sealed_body
        assert "Anna" not in repr(row)

    async def test_a_hundred_in_a_row_stop_the_consumer(
        self, consumer: Consumer, send: Any
    ) -> None:
        """Then it is this program that cannot read, and parking a whole topic helps nobody."""
        await send(*[b"junk"] * 99, 1, *[b"junk"] * 99)
        await drain(consumer)
        assert state_of(consumer) is ConsumerState.OK

        await send(b"junk")
        await drain(consumer)

        assert state_of(consumer) is ConsumerState.STOPPED
        assert not is_ready(consumer)


class Foreign(Exception):
    """Something that no time heals."""


class TestFailingForGood:
    """The poll is repeated one by one, and the one that still fails is parked."""

    async def test_the_failing_event_is_parked_and_the_others_have_their_effect(
        self,
        consumer: Consumer,
        room: Room,
        send: Any,
        effects: Any,
        letters: Any,
        pauses: list[float],
    ) -> None:
        room.fails = lambda n: Foreign("the customer said: forty minutes") if n == 4 else None
        ids = await send(*range(10))

        await drain(consumer)

        assert await effects() == [0, 1, 2, 3, 5, 6, 7, 8, 9]
        (letter,) = await letters()
        assert (letter.event_id, letter.event_type) == (ids[4], "response.handled.v1")
        assert letter.tries == 3
        assert letter.error.startswith("Foreign at test_consumer.py:")
        assert "forty" not in letter.error
        assert pauses == [0.2, 1.0]
        assert await consumer.lag() == 0
        assert state_of(consumer) is ConsumerState.OK

    async def test_what_succeeds_on_its_second_try_is_not_parked(
        self, consumer: Consumer, room: Room, send: Any, effects: Any, letters: Any
    ) -> None:
        failures = iter([Foreign(), Foreign()])
        room.fails = lambda n: next(failures, None) if n == 1 else None
        await send(0, 1, 2)

        await drain(consumer)

        assert await effects() == [0, 1, 2]
        assert await letters() == []

    async def test_a_broken_constraint_is_for_good(
        self, new_consumer: Callable[..., Consumer], send: Any, letters: Any
    ) -> None:
        async def handler(tx: Transaction, fresh: Sequence[Arrived], now: datetime) -> None:
            for one in fresh:
                if number(one) == 1:
                    row = {"kind": "k", "subject": "s", "due_at": now}
                    await tx.execute(
                        tx.insert(tx.plumbing.timers),
                        [{"id": "secret-name", **row}, {"id": "secret-name", **row}],
                    )

        await send(0, 1, 2)

        await drain(new_consumer(handler))

        (letter,) = await letters()
        assert letter.error.startswith(IntegrityError.__name__)
        assert "secret-name" not in letter.error

    async def test_malformed_from_the_handler_is_not_tried_again(
        self, consumer: Consumer, room: Room, send: Any, letters: Any, pauses: list[float]
    ) -> None:
        room.fails = lambda n: Malformed("no such scale") if n == 1 else None
        await send(0, 1, 2)

        await drain(consumer)

        (letter,) = await letters()
        assert letter.error.startswith("Malformed: no such scale")
        assert pauses == []

    async def test_twenty_parked_in_a_row_stop_the_consumer(
        self, new_consumer: Callable[..., Consumer], room: Room, send: Any, letters: Any
    ) -> None:
        consumer = new_consumer()
        room.fails = lambda n: Foreign() if n >= 3 else None
        await send(*range(50))

        await drain(consumer)

        assert state_of(consumer) is ConsumerState.STOPPED
        assert not is_ready(consumer)
        assert "20 events in a row" in consumer.health.reason
        assert len(await letters()) == 20
        assert await consumer.lag() == 27
        assert not await consumer.step()

        room.fails = lambda _: None
        await drain(new_consumer())  # the program was mended and started again
        assert room.ran[-1] == list(range(23, 50))

    async def test_a_success_in_between_starts_the_count_anew(
        self, consumer: Consumer, room: Room, send: Any, letters: Any
    ) -> None:
        room.fails = lambda n: Foreign() if n % 20 else None
        await send(*range(100))

        await drain(consumer)

        assert state_of(consumer) is ConsumerState.OK
        assert len(await letters()) == 95

    async def test_what_is_parked_already_is_not_tried_again_on_redelivery(
        self,
        new_consumer: Callable[..., Consumer],
        room: Room,
        bus: Recording,
        send: Any,
        letters: Any,
        pauses: list[float],
    ) -> None:
        room.fails = lambda n: Foreign() if n == 1 else None
        await send(0, 1, 2)
        bus.commit_fails = True
        await drain(new_consumer())
        bus.commit_fails = False
        pauses.clear()

        await drain(new_consumer())

        assert len(await letters()) == 1
        assert pauses == []


class TestTroubleThatTimeHeals:
    """The same poll again, later and later; nothing is parked."""

    @pytest.mark.parametrize(
        "error", [TryLater("later"), TimeoutError(), ConnectionResetError()], ids=repr
    )
    async def test_it_parks_nothing_however_long_it_takes(
        self,
        consumer: Consumer,
        room: Room,
        send: Any,
        effects: Any,
        letters: Any,
        clock: ManualClock,
        error: Exception,
    ) -> None:
        room.fails = lambda n: error if n == 2 else None
        await send(*range(5))
        for _ in range(30):
            await drain(consumer)
            clock.advance(timedelta(seconds=30))
        assert await effects() == []
        assert await letters() == []
        assert all(run == [0, 1, 2, 3, 4] for run in room.ran)

        room.fails = lambda _: None
        await drain(consumer)

        assert await effects() == [0, 1, 2, 3, 4]
        assert state_of(consumer) is ConsumerState.OK

    async def test_the_pauses_grow_to_half_a_minute(
        self, consumer: Consumer, room: Room, send: Any, clock: ManualClock
    ) -> None:
        room.fails = lambda _: TryLater("later")
        await send(1)
        for _ in range(1_200):
            await drain(consumer)
            clock.advance(timedelta(milliseconds=100))

        assert 10 <= len(room.ran) <= 14

    async def test_after_a_minute_it_is_unready(
        self, consumer: Consumer, room: Room, send: Any, clock: ManualClock
    ) -> None:
        room.fails = lambda _: TryLater("later", slug="database-unavailable")
        await send(1)
        await drain(consumer)
        assert state_of(consumer) is ConsumerState.DEGRADED
        assert consumer.health.reason == "database-unavailable"
        assert is_ready(consumer)

        clock.advance(timedelta(seconds=61))
        await drain(consumer)
        assert not is_ready(consumer)

        room.fails = lambda _: None
        clock.advance(timedelta(seconds=61))
        await drain(consumer)
        assert is_ready(consumer)

    async def test_a_bus_that_is_away_leaves_it_ready(
        self, consumer: Consumer, bus: Recording, clock: ManualClock
    ) -> None:
        """A restart would not bring the broker back."""
        bus.poll_fails = True
        for _ in range(5):
            await consumer.wait()
            assert not await consumer.step()
            clock.advance(timedelta(minutes=1))

        assert state_of(consumer) is ConsumerState.DEGRADED
        assert is_ready(consumer)

    async def test_trouble_while_going_one_by_one_keeps_what_was_done(
        self, consumer: Consumer, room: Room, send: Any, effects: Any, clock: ManualClock
    ) -> None:
        failures = iter([Foreign(), TryLater("later")])
        room.fails = lambda n: next(failures, None) if n == 2 else None
        await send(*range(5))
        await drain(consumer)
        assert await effects() == [0, 1]

        clock.advance(timedelta(seconds=30))
        await drain(consumer)

        assert await effects() == [0, 1, 2, 3, 4]


class TestReplay:
    """A person has a parked record handled again, once."""

    @pytest_asyncio.fixture
    async def letter(
        self, consumer: Consumer, room: Room, send: Any, letters: Any
    ) -> DeadLetter:
        room.fails = lambda n: Foreign() if n == 1 else None
        await send(0, 1, 2)
        await drain(consumer)
        found: Sequence[DeadLetter] = await letters()
        return found[0]

    async def test_it_has_its_effect_and_the_letter_is_settled(
        self,
        consumer: Consumer,
        room: Room,
        letter: DeadLetter,
        effects: Any,
        letters: Any,
        clock: ManualClock,
        database: Database,
    ) -> None:
        room.fails = lambda _: None
        clock.advance(timedelta(hours=1))

        assert await consumer.replay(letter.id)

        assert await effects() == [0, 2, 1]
        (settled,) = await letters()
        assert (settled.state, settled.settled_at) == (LetterState.REPLAYED, clock.now())
        async with database.reading() as view:
            row = await view.first(select(database.plumbing.dead_letters))
        assert row is not None
        assert (row.sealed_body, row.key) == (b"", None)
        with pytest.raises(Conflict):
            await consumer.replay(letter.id)

    async def test_an_event_that_was_handled_meanwhile_has_no_second_effect(
        self,
        consumer: Consumer,
        room: Room,
        letter: DeadLetter,
        send: Any,
        effects: Any,
        clock: ManualClock,
    ) -> None:
        room.fails = lambda _: None
        assert letter.event_id is not None
        await send(wrap(handled(1), event_id=letter.event_id, at=clock.now()).encode())
        await drain(consumer)

        assert not await consumer.replay(letter.id)

        assert await effects() == [0, 2, 1]

    async def test_when_it_fails_again_the_letter_stays_and_says_so(
        self, consumer: Consumer, room: Room, letter: DeadLetter, effects: Any, letters: Any
    ) -> None:
        room.fails = lambda _: KeyError("another reason")

        with pytest.raises(KeyError):
            await consumer.replay(letter.id)

        (still,) = await letters()
        assert (still.state, still.tries) == (LetterState.PARKED, 4)
        assert still.error.startswith("KeyError at ")
        assert await effects() == [0, 2]

    async def test_trouble_that_time_heals_leaves_the_letter_as_it_was(
        self, consumer: Consumer, room: Room, letter: DeadLetter, letters: Any
    ) -> None:
        room.fails = lambda _: TryLater("later")

        with pytest.raises(TryLater):
            await consumer.replay(letter.id)

        assert await letters() == [letter]

    async def test_what_nobody_can_read_stays(
        self, consumer: Consumer, send: Any, letters: Any
    ) -> None:
        await send(b"junk")
        await drain(consumer)
        (junk,) = await letters()

        with pytest.raises(Malformed):
            await consumer.replay(junk.id)

        (still,) = await letters()
        assert (still.state, still.tries) == (LetterState.PARKED, 2)

    async def test_a_discarded_letter_is_gone_for_good(
        self, consumer: Consumer, letter: DeadLetter, database: Database, clock: ManualClock
    ) -> None:
        table = database.plumbing.dead_letters
        async with database.transaction() as tx:
            await dead_letter.discard(tx, letter.id, now=clock.now())

        with pytest.raises(Conflict):
            await consumer.replay(letter.id)
        with pytest.raises(Conflict):
            async with database.transaction() as tx:
                await dead_letter.discard(tx, letter.id, now=clock.now())
        async with database.reading() as view:
            assert (await dead_letter.get(view, table, letter.id)).state == "discarded"
            assert (await dead_letter.pile(view, table)).count == 0

    async def test_an_unknown_letter_is_not_found(self, consumer: Consumer) -> None:
        with pytest.raises(NotFound):
            await consumer.replay("ltr_unknown")

    async def test_the_list_goes_backwards_page_by_page(
        self, consumer: Consumer, send: Any, database: Database, clock: ManualClock
    ) -> None:
        table = database.plumbing.dead_letters
        since = clock.now()
        for _ in range(5):
            await send(b"junk")
            await drain(consumer)
            clock.advance(timedelta(minutes=1))

        async with database.reading() as view:
            first = await dead_letter.list_letters(view, table, limit=3)
            rest = await dead_letter.list_letters(view, table, limit=3, after=first[-1].id)
            nobody = await dead_letter.list_letters(view, table, consumer="somebody")
            pile = await dead_letter.pile(view, table)

        assert [letter.offset for letter in (*first, *rest)] == [4, 3, 2, 1, 0]
        assert nobody == []
        assert (pile.count, pile.oldest) == (5, since)

    async def test_settled_letters_are_pruned(
        self, consumer: Consumer, letter: DeadLetter, database: Database, clock: ManualClock
    ) -> None:
        async with database.transaction() as tx:
            await dead_letter.discard(tx, letter.id, now=clock.now())
            assert await dead_letter.prune(tx, before=clock.now()) == 0
            assert await dead_letter.prune(tx, before=clock.now() + timedelta(days=1)) == 1
