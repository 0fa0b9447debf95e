"""Dead letters as people meet them: pages, rehearsals, reasons, and one effect."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest
import pytest_asyncio
from sqlalchemy import select

from shared.bus.consumer import Arrived, Consumer
from shared.bus.embedded import EmbeddedBus
from shared.bus.ports import Record
from shared.db import timers
from shared.db.dead_letter import DeadLetter, LetterState
from shared.db.engine import Engines
from shared.db.transaction import Database, Transaction
from shared.errors import Invalid
from shared.events import topics
from shared.events.envelope import wrap
from shared.events.loop import ResponseHandled
from shared.identity import people, sessions
from shared.identity.audit import SYSTEM
from shared.identity.defaults import ensure_defaults
from shared.identity.person_keys import PersonKeys
from shared.identity.principal import Role
from shared.identity.tables import audit
from shared.ids import new_id
from shared.letters import Fate, LetterDesk, reason_of
from shared.sealing import Keyring
from shared.service import Service
from shared.settings import Settings
from shared.web.access import Web
from shared.web.app import create_app
from shared.web.dead_letters import letter_pages
from tests.fakes import ManualClock

AT = "/settings/dead-letters/loop"
SECRET = "sesame-words-of-a-customer"
ORIGIN = {"origin": "http://127.0.0.1:8000"}
NOTHING = {"go": ""}
"""What a browser sends of a form without fields, but for its content type."""


@dataclass
class Room:
    """A handler that sets one timer an event, or fails."""

    broken: bool = False

    async def __call__(self, tx: Transaction, fresh: Sequence[Arrived], now: datetime) -> None:
        for one in fresh:
            await timers.set_all(
                tx,
                # One that may stand there twice: a second effect must be seen.
                [timers.Timer(kind=new_id("x"), subject=one.envelope.id, due_at=now)],
            )
            if self.broken:
                raise KeyError(SECRET)


@dataclass(kw_only=True)
class Office:
    """A desk, its consumer and its pages."""

    desk: LetterDesk
    consumer: Consumer
    room: Room
    database: Database
    clock: ManualClock
    app: Any
    bus: EmbeddedBus

    async def send(self, *event_ids: str) -> None:
        event = ResponseHandled(response_id=SECRET, revision=1, state="no_action")
        records = [
            Record(
                topic=topics.HANDLED,
                key="k",
                value=wrap(event, event_id=each, at=self.clock.now()).encode(),
            )
            for each in event_ids
        ]
        await (await self.bus.publisher()).publish(records)
        while await self.consumer.step():
            pass

    async def parked(self, *event_ids: str) -> Sequence[DeadLetter]:
        """Have these events fail, and mend what they failed of."""
        self.room.broken = True
        await self.send(*event_ids)
        self.room.broken = False
        return await self.desk.list(oldest_first=True)

    async def effects(self) -> list[str]:
        table = self.database.plumbing.timers
        async with self.database.reading() as view:
            return sorted(row.subject for row in await view.all(select(table.c.subject)))

    async def trail(self) -> list[tuple[str, str, dict[str, Any]]]:
        async with self.database.reading() as view:
            rows = await view.all(select(audit).order_by(audit.c.at))
        return [
            (row.action, row.actor_id, dict(row.detail))
            for row in rows
            if row.action.startswith("dead-letter.")
        ]

    async def browser(self, role: Role = Role.ADMIN) -> httpx.AsyncClient:
        async with self.database.transaction() as tx:
            person = await people.create_staff(
                tx, email=f"{role}@example.test", name="Ann", role=role, now=self.clock.now()
            )
            token = await sessions.start(tx, person.id, now=self.clock.now())
        return httpx.AsyncClient(
            transport=httpx.ASGITransport(self.app),
            base_url=ORIGIN["origin"],
            headers={**ORIGIN, "cookie": f"session={token}", "accept": "text/html"},
        )


@pytest_asyncio.fixture
async def office(
    engines: Engines,
    database_of: Callable[[str], Database],
    clock: ManualClock,
    keyring: Keyring,
    person_keys: PersonKeys,
) -> AsyncIterator[Office]:
    database = database_of("loop")
    bus = EmbeddedBus(database_of("shared"), clock)
    await bus.create_topics(topics.ALL)

    async def no_pause(_: float) -> None:
        return

    room = Room()
    consumer = Consumer(
        name="loop",
        topics=[topics.HANDLED],
        kinds=[ResponseHandled],
        handler=room,
        database=database,
        bus=bus,
        clock=clock,
        keyring=keyring,
        pause=no_pause,
    )
    desk = LetterDesk(
        "loop", database=database, workers=[consumer], clock=clock, keyring=keyring
    )
    settings = Settings(public_url=ORIGIN["origin"])
    async with database.transaction() as tx:
        await ensure_defaults(tx, settings, clock.now())
    service = Service(name="loop", routers=[letter_pages(desk)], workers=[], resources=room)
    web = Web(
        settings=settings,
        clock=clock,
        database=database_of("shared"),
        keyring=keyring,
        person_keys=person_keys,
    )
    app = create_app(web=web, services=[service])
    yield Office(
        desk=desk,
        consumer=consumer,
        room=room,
        database=database,
        clock=clock,
        app=app,
        bus=bus,
    )
    await consumer.close()


# ------------------------------------------------------------------ at the desk


async def test_a_rehearsal_tells_the_truth_and_changes_nothing(office: Office) -> None:
    first, second = await office.parked("evt_1", "evt_2")
    await office.send("evt_2")

    rehearsed = [(await office.desk.rehearse(each)).fate for each in (first, second)]

    assert rehearsed == [Fate.HANDLED, Fate.KNOWN]
    assert await office.effects() == ["evt_2"]
    assert await office.desk.list(oldest_first=True) == [first, second]
    replayed = [
        (await office.desk.replay(each, by=SYSTEM, reason="repaired")).fate
        for each in (first, second)
    ]
    assert replayed == rehearsed
    assert await office.effects() == ["evt_1", "evt_2"]


async def test_a_rehearsal_of_what_still_fails_says_so_without_the_records_words(
    office: Office,
) -> None:
    (letter,) = await office.parked("evt_1")
    office.room.broken = True

    rehearsed = await office.desk.rehearse(letter)

    assert rehearsed.fate is Fate.FAILED
    assert rehearsed.why.startswith("KeyError at ")
    assert SECRET not in rehearsed.why
    assert await office.desk.get(letter.id) == letter


async def test_replays_from_two_sides_amid_live_traffic_take_effect_once(
    office: Office,
) -> None:
    """The same letters twice at once, and the same events from the bus in between."""
    ids = [f"evt_{n}" for n in range(10)]
    found = await office.parked(*ids)
    office.clock.advance(timedelta(minutes=1))

    async def replay_all() -> list[Fate]:
        done = [await office.desk.replay(each, by=SYSTEM, reason="repaired") for each in found]
        return [each.fate for each in done]

    one, other, _ = await asyncio.gather(replay_all(), replay_all(), office.send(*ids))

    assert await office.effects() == sorted(ids)
    for first, second in zip(one, other, strict=True):
        assert Fate.SETTLED in {first, second}
    assert (await office.desk.pile()).count == 0
    assert [action for action, *_ in await office.trail()] == ["dead-letter.replayed"] * 10


async def test_every_deed_is_on_record_with_the_reason(office: Office) -> None:
    first, second = await office.parked("evt_1", "evt_2")

    opened = await office.desk.open(first.id, by=SYSTEM)
    await office.desk.replay(first, by=SYSTEM, reason="cause  repaired")
    await office.desk.discard(second.id, by=SYSTEM, reason="not ours")

    assert SECRET.encode() in opened.body
    assert await office.trail() == [
        ("dead-letter.opened", "system", {"consumer": "loop", "event_id": "evt_1"}),
        (
            "dead-letter.replayed",
            "system",
            {"consumer": "loop", "event_id": "evt_1", "reason": "cause repaired"},
        ),
        (
            "dead-letter.discarded",
            "system",
            {"consumer": "loop", "event_id": "evt_2", "reason": "not ours"},
        ),
    ]


@pytest.mark.parametrize("reason", ["", "  ", "x" * 201, "ask ann@example.org", "a\u0007b"])
def test_a_reason_is_short_and_names_no_address(reason: str) -> None:
    with pytest.raises(Invalid, match="names nobody"):
        reason_of(reason)


async def test_what_nobody_consumes_any_more_stays(office: Office) -> None:
    (letter,) = await office.parked("evt_1")
    other = LetterDesk(
        "loop",
        database=office.database,
        workers=[],
        clock=office.clock,
        keyring=office.desk.keyring,
    )

    assert (await other.rehearse(letter)).fate is Fate.NOBODY
    assert (await other.replay(letter, by=SYSTEM, reason="repaired")).fate is Fate.NOBODY
    assert (await office.desk.get(letter.id)).state is LetterState.PARKED


async def test_an_old_letter_and_a_high_rate_are_alarms(office: Office) -> None:
    await office.send(*(f"evt_{n}" for n in range(10)))
    assert await office.desk.alarm() == ""
    await office.parked("evt_bad")
    assert "was parked" in await office.desk.alarm()

    office.clock.advance(timedelta(minutes=6))
    assert await office.desk.alarm() == ""

    office.clock.advance(timedelta(hours=24))
    assert "1 of loop wait" in await office.desk.alarm()


# ------------------------------------------------------------------ on the page


async def test_an_empty_list_says_so_and_the_start_leads_there(office: Office) -> None:
    browser = await office.browser()

    start = await browser.get("/settings/dead-letters")
    page = await browser.get(start.headers["location"])

    assert (start.status_code, start.headers["location"]) == (303, AT)
    assert page.status_code == 200
    assert "Nothing waits here" in page.text
    assert "/settings/dead-letters/ingest" in page.text


async def test_a_letter_is_looked_at_opened_rehearsed_and_replayed(office: Office) -> None:
    (letter,) = await office.parked("evt_1")
    browser = await office.browser()
    at = f"{AT}/{letter.id}"

    listed = await browser.get(AT)
    shown = await browser.get(at)
    opened = await browser.post(f"{at}/open", data=NOTHING)
    rehearsed = await browser.post(f"{at}/rehearse", data=NOTHING)
    unsaid = await browser.post(f"{at}/replay", data={"reason": ""})

    assert "KeyError at" in listed.text
    assert letter.topic in listed.text
    assert SECRET not in listed.text + shown.text + rehearsed.text
    assert SECRET in opened.text
    assert "It takes effect." in rehearsed.text
    assert await office.effects() == []
    assert unsaid.status_code == 422

    replayed = await browser.post(f"{at}/replay", data={"reason": "repaired"})
    done = await browser.get(replayed.headers["location"])

    assert replayed.status_code == 303
    assert "It takes effect." in done.text
    assert await office.effects() == ["evt_1"]
    assert [action for action, *_ in await office.trail()] == [
        "dead-letter.opened",
        "dead-letter.replayed",
    ]
    again = await browser.post(f"{at}/replay", data={"reason": "repaired"})
    assert "done=settled" in again.headers["location"]
    assert await office.effects() == ["evt_1"]


async def test_all_of_them_are_replayed_at_once(office: Office) -> None:
    await office.parked("evt_1", "evt_2", "evt_3")
    browser = await office.browser()

    rehearsed = await browser.post(f"{AT}/rehearse", data=NOTHING)
    assert "3: It takes effect." in rehearsed.text
    assert await office.effects() == []
    replayed = await browser.post(f"{AT}/replay", data={"reason": "repaired"})
    done = await browser.get(replayed.headers["location"])

    assert "3 were replayed." in done.text
    assert await office.effects() == ["evt_1", "evt_2", "evt_3"]


async def test_one_that_fails_again_says_why_and_stays(office: Office) -> None:
    (letter,) = await office.parked("evt_1")
    office.room.broken = True
    browser = await office.browser()

    failed = await browser.post(f"{AT}/{letter.id}/replay", data={"reason": "try"})

    assert failed.status_code == 409
    assert "It fails again. KeyError at" in failed.text
    assert (await office.desk.get(letter.id)).tries == letter.tries + 1


async def test_discarding_wants_a_reason_and_certainty(office: Office) -> None:
    (letter,) = await office.parked("evt_1")
    browser = await office.browser()
    at = f"{AT}/{letter.id}/discard"

    unsure = await browser.post(at, data={"reason": "not ours"})
    unsaid = await browser.post(at, data={"sure": "yes"})
    assert (unsure.status_code, unsaid.status_code) == (422, 422)
    assert (await office.desk.get(letter.id)).state is LetterState.PARKED
    done = await browser.post(at, data={"reason": "not ours", "sure": "yes"})

    assert done.status_code == 303
    assert (await office.desk.get(letter.id)).state is LetterState.DISCARDED
    assert (await browser.get(AT)).text.count("evt_1") == 0
    assert "discarded" in (await browser.get(f"{AT}?state=all")).text
    assert (await browser.post(f"{AT}/{letter.id}/open", data=NOTHING)).status_code == 409


@pytest.mark.parametrize("role", [Role.LEAD, Role.AUDITOR, Role.DEVELOPER])
async def test_whoever_may_only_read_settings_sees_the_list_and_nothing_more(
    office: Office, role: Role
) -> None:
    (letter,) = await office.parked("evt_1")
    browser = await office.browser(role)

    assert (await browser.get(AT)).status_code == 200
    page = await browser.get(f"{AT}/{letter.id}")
    assert "<form" not in page.text.partition("<main")[2].partition("</main>")[0]
    for deed in ("open", "rehearse", "replay", "discard"):
        answer = await browser.post(
            f"{AT}/{letter.id}/{deed}", data={"reason": "x", "sure": "yes"}
        )
        assert answer.status_code == 403
    assert (await office.desk.get(letter.id)).state is LetterState.PARKED
