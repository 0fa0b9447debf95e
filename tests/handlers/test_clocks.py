"""Deadlines by calendar, pauses, quiet nights and escalations, over a real database."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest_asyncio
from sqlalchemy import insert

from services.loop.jobs import TimerWorker
from services.loop.journey.domain import OwnerRef as Owner
from services.loop.journey.tables import calendars
from services.loop.tasks import store
from services.loop.tasks.domain.acts import Act, Assign, Claim, Reopen, Resume, Wait
from services.loop.tasks.domain.schemes import DEFAULT_SCHEME
from services.loop.tasks.domain.task import FollowUpTask
from services.loop.tasks.handlers import act_on, read_task
from services.loop.tasks.store import TaskFilter
from services.loop.tasks.tables import escalations, schemes
from shared.db.transaction import Database
from shared.events.loop import OwnerRef, TaskDueSoon, TaskEscalated, TaskOverdue
from shared.identity.defaults import ensure_defaults
from shared.identity.groups import DEFAULT_TEAM
from shared.identity.people import Staff, create_staff, disable_staff
from shared.identity.person_keys import PersonKeys
from shared.identity.principal import ROLE_SCOPES, Principal, Role
from shared.identity.teams import add_member, create_department, update_team
from shared.sealing import Keyring
from shared.settings import Settings
from tests.fakes import ManualClock
from tests.follow_up import HOUR, NOT_NEEDED, NOW, REACHED
from tests.handlers.intake import Intake

MACHINE = Principal(
    kind="key", id="key_crm", name="CRM", scopes=ROLE_SCOPES[Role.ADMIN], source="crm"
)
SHIFTS = [{"start": "09:00", "end": "12:00"}, {"start": "13:00", "end": "17:00"}]
OFFICE: dict[str, Any] = {
    "id": "office",
    "name": "Office",
    "version": 1,
    "time_zone": "Europe/Berlin",
    "week": dict.fromkeys(("monday", "tuesday", "wednesday", "thursday", "friday"), SHIFTS),
    "holidays": {"country": "DE", "region": "BY"},
    "closed": ["2026-03-04"],
    "special": {"2026-03-07": [{"start": "10:00", "end": "11:00"}]},
}
ESCALATING = [{"at": 1.0, "to": "lead"}, {"at": 1.5, "to": "head"}]
WAITS = Wait(waiting_for="customer")


def berlin(day: int, hour: int, minute: int = 0) -> datetime:
    """Return a moment of March 2026 by Berlin's clock, an hour ahead of UTC."""
    return datetime(2026, 3, day, hour, minute, tzinfo=UTC) - HOUR


class Clocks(Intake):
    """Loop's rooms, and what a test of their clocks does with them."""

    async def promises(self, **changes: Any) -> None:
        """Publish the next version of the standard scheme with these changes."""
        await self._publish(
            schemes, {**DEFAULT_SCHEME, "version": 2, **changes}, id="standard", version=2
        )

    async def works(self, **changes: Any) -> None:
        """Publish the office's calendar with these changes."""
        await self._publish(calendars, {**OFFICE, **changes}, id="office", version=1)

    async def _publish(self, table: Any, document: dict[str, Any], **key: Any) -> None:
        by = {"published_at": self.clock.now(), "published_by": "stf_admin"}
        async with self.database.transaction() as tx:
            await tx.execute(insert(table).values(document=document, **key, **by))

    async def has_task(self, **members: Any) -> FollowUpTask:
        """Take a detractor's answer in and return its task."""
        event = await self.response(**members)
        await self.take_in(event)
        async with self.database.reading() as view:
            return (await store.of_responses(view, [event.response_id]))[event.response_id]

    async def act(self, task: FollowUpTask, *acts: Act) -> FollowUpTask:
        """Carry out acts, each in a transaction of its own."""
        for act in acts:
            async with self.database.transaction() as tx:
                task = await act_on(
                    tx,
                    task.id,
                    act,
                    by=MACHINE,
                    expected=None,
                    person_keys=self.person_keys,
                    now=self.clock.now(),
                )
        return task

    async def ring_until(self, moment: datetime) -> None:
        """Let time pass in quarters of an hour, and the timers ring as it does."""
        worker = TimerWorker(self.loop)
        while self.clock.now() < moment:
            self.clock.advance(min(timedelta(minutes=15), moment - self.clock.now()))
            while await worker.step():
                pass

    async def rung(self) -> list[tuple[str, datetime]]:
        """Return what was warned of and when, in order."""
        kinds = (TaskDueSoon, TaskOverdue, TaskEscalated)
        return [
            (envelope.type.split(".")[1], envelope.time)
            for envelope, event in await self.announced()
            if isinstance(event, kinds)
        ]

    async def escalated(self) -> list[TaskEscalated]:
        """Return the escalations that were announced, in order."""
        return [e for _, e in await self.announced() if isinstance(e, TaskEscalated)]

    async def hires(
        self, name: str, role: Role, *, time_zone: str = "UTC", in_team: bool = True
    ) -> Staff:
        """Add somebody, to the team Customer care unless said otherwise."""
        now = self.clock.now()
        async with self.database.transaction() as tx:
            person = await create_staff(
                tx,
                email=f"{name}@example.org",
                name=name,
                role=role,
                language="en",
                time_zone=time_zone,
                now=now,
            )
            if in_team:
                await add_member(tx, DEFAULT_TEAM, person.id, now=now)
        return person


@pytest_asyncio.fixture
async def loop(
    database_of: Callable[[str], Database],
    clock: ManualClock,
    keyring: Keyring,
    person_keys: PersonKeys,
) -> Clocks:
    made = Clocks(
        database=database_of("loop"), clock=clock, keyring=keyring, person_keys=person_keys
    )
    await made.prepare()
    async with made.database.transaction() as tx:
        await ensure_defaults(tx, Settings(), now=clock.now())
    return made


def references(*people: Staff) -> list[OwnerRef]:
    return [OwnerRef(id=person.id, kind="person") for person in people]


# ------------------------------------------------------------------ deadlines by calendar


async def test_a_task_of_a_team_clock_is_due_in_opening_hours(loop: Clocks) -> None:
    """Monday 10:00 in Berlin; Wednesday is closed, so sixteen hours end on Thursday."""
    await loop.works()
    await loop.promises(
        clock="team", calendar="office", first_contact_within_hours=4, resolve_within_hours=16
    )

    task = await loop.has_task()

    assert loop.clock.now() == NOW == berlin(2, 10)
    assert task.first_contact_due_at == berlin(2, 15)
    assert task.due_at == berlin(5, 12)


async def test_the_holidays_of_the_region_are_closed(loop: Clocks) -> None:
    """Good Friday and Easter Monday of 2026 are 3 and 6 April."""
    await loop.works()
    await loop.promises(
        clock="team", calendar="office", first_contact_within_hours=1, resolve_within_hours=1
    )
    loop.clock.advance(datetime(2026, 4, 2, 14, 30, tzinfo=UTC) - NOW)

    task = await loop.has_task()

    assert task.due_at == datetime(2026, 4, 7, 7, 30, tzinfo=UTC)


async def test_lunch_break_is_not_counted_as_working_time(loop: Clocks) -> None:
    await loop.works()
    await loop.promises(
        clock="team", calendar="office", first_contact_within_hours=1, resolve_within_hours=4
    )
    loop.clock.advance(HOUR + HOUR / 2)

    task = await loop.has_task()

    assert task.first_contact_due_at == berlin(2, 13, 30)
    assert task.due_at == berlin(2, 16, 30)


async def test_a_task_keeps_what_was_promised_when_the_scheme_changes(loop: Clocks) -> None:
    before = await loop.has_task()
    await loop.promises(resolve_within_hours=2, reminders=[0.5], escalations=ESCALATING)

    await loop.ring_until(NOW + 48 * HOUR)

    after = await loop.act(before, Claim())
    assert (after.due_at, after.scheme.version) == (before.due_at, 1)
    # At 75 % it was three in the morning.
    assert await loop.rung() == [("due-soon", NOW + 23 * HOUR), ("overdue", NOW + 24 * HOUR)]


# ------------------------------------------------------------------ reminders and escalations


async def test_each_reminder_and_each_escalation_rings_once(loop: Clocks) -> None:
    await loop.promises(
        reminders=[0.5, 0.8], escalations=ESCALATING, resolve_within_hours=20, night=True
    )
    lead = await loop.hires("lea", Role.LEAD)
    head = await loop.hires("hed", Role.DEPARTMENT_HEAD, in_team=False)
    task = await loop.has_task()

    await loop.ring_until(NOW + 50 * HOUR)

    assert await loop.rung() == [
        ("due-soon", NOW + 10 * HOUR),
        ("due-soon", NOW + 16 * HOUR),
        ("overdue", NOW + 20 * HOUR),
        ("escalated", NOW + 20 * HOUR),
        ("escalated", NOW + 30 * HOUR),
    ]
    first, second = await loop.escalated()
    assert (first.level, first.to) == ("lead", references(lead))
    assert (second.level, second.to) == ("head", references(head))
    noted = {(row["task_id"], row["owner_id"]) for row in await loop.rows(escalations)}
    assert noted == {(task.id, lead.id), (task.id, head.id)}
    async with loop.database.reading() as view:
        (found,) = await store.page_of(
            view,
            TaskFilter(escalated_to=frozenset({lead.id})),
            now=loop.clock.now(),
            after=None,
            most=5,
        )
    assert found.id == task.id
    async with loop.database.reading() as view:
        seen = await read_task(view, task.id, caller=MACHINE, person_keys=loop.person_keys)
    assert seen.flags(loop.clock.now()) == ("overdue", "escalated")
    told = [line.named for line in seen.history if line.act == "escalated"]
    assert told == [[lead.id], [head.id]]
    done = await loop.act(task, NOT_NEEDED)
    async with loop.database.reading() as view:
        seen = await read_task(view, done.id, caller=MACHINE, person_keys=loop.person_keys)
    assert seen.flags(loop.clock.now()) == ()


async def test_an_escalation_follows_the_task_to_its_new_owner(loop: Clocks) -> None:
    """The head of the new owner's department is told, and the lead no more."""
    await loop.promises(reminders=[], escalations=ESCALATING, night=True)
    await loop.hires("lea", Role.LEAD)
    head = await loop.hires("hed", Role.DEPARTMENT_HEAD, in_team=False)
    other = await loop.hires("oth", Role.DEPARTMENT_HEAD, in_team=False)
    now = loop.clock.now()
    async with loop.database.transaction() as tx:
        care = await create_department(tx, name="Care", head_id=other.id, now=now)
        await update_team(tx, DEFAULT_TEAM, department_id=care.id, now=now)
        await create_department(tx, name="Sales", head_id=head.id, now=now)
    task = await loop.has_task()
    await loop.ring_until(NOW + 25 * HOUR)
    assert len(await loop.escalated()) == 1
    owner = await loop.hires("ole", Role.AGENT, in_team=False)
    await loop.act(
        task, Assign(owner=Owner(id=owner.id, kind="person"), reason="knows the customer")
    )

    await loop.ring_until(NOW + 40 * HOUR)

    *_, last = await loop.escalated()
    assert (last.level, last.owner.id) == ("head", owner.id)
    # Nobody heads the new owner, so that all heads are told.
    assert last.to == references(*sorted((head, other), key=lambda one: one.id))


async def test_an_escalation_with_nobody_of_that_role_goes_to_an_administrator(
    loop: Clocks,
) -> None:
    await loop.promises(reminders=[], escalations=ESCALATING, night=True)
    boss = await loop.hires("boss", Role.ADMIN, in_team=False)
    gone = await loop.hires("lea", Role.LEAD)
    async with loop.database.transaction() as tx:
        await disable_staff(tx, gone.id, now=loop.clock.now())
    await loop.has_task()

    await loop.ring_until(NOW + 40 * HOUR)

    assert [one.to for one in await loop.escalated()] == [references(boss), references(boss)]


async def test_who_owns_the_task_is_not_escalated_to(loop: Clocks) -> None:
    """Where the owner is all there is, a broken promise is told once."""
    boss = await loop.hires("boss", Role.ADMIN)
    task = await loop.has_task()
    await loop.act(task, Assign(owner=Owner(id=boss.id, kind="person"), reason="mine"))

    await loop.ring_until(NOW + 60 * HOUR)

    assert [kind for kind, _ in await loop.rung()] == ["due-soon", "overdue"]
    assert await loop.rows(escalations) == []


async def test_breach_mails_for_tickets_already_closed_are_never_sent(loop: Clocks) -> None:
    """Nothing is told of a task that is done; opened again it is told of like any other."""
    await loop.hires("boss", Role.ADMIN)
    await loop.promises(reminders=[0.5], escalations=ESCALATING, night=True)
    closed = await loop.act(await loop.has_task(), NOT_NEEDED)

    await loop.ring_until(NOW + 72 * HOUR)

    assert await loop.rung() == []
    await loop.act(closed, Reopen(reason="it was needed"))
    await loop.ring_until(NOW + 73 * HOUR)
    assert {kind for kind, _ in await loop.rung()} == {"overdue", "escalated"}


# ------------------------------------------------------------------ quiet nights


async def test_reminders_at_midnight_and_on_weekends_wait_for_opening_hours(
    loop: Clocks,
) -> None:
    """By the wall clock it is due on Friday night; it is told on Monday, once."""
    await loop.works()
    await loop.hires("boss", Role.ADMIN)
    await loop.promises(calendar="office", reminders=[0.5, 0.8], escalations=ESCALATING)
    loop.clock.advance(berlin(5, 23) - NOW)
    await loop.has_task()

    await loop.ring_until(berlin(11, 12))

    assert await loop.rung() == [
        ("due-soon", berlin(6, 11)),
        # Saturday is a special day, open for an hour; at 80 % it was Friday evening still.
        ("overdue", berlin(7, 10)),
        ("escalated", berlin(7, 10)),
        ("escalated", berlin(9, 9)),
    ]


async def test_without_a_calendar_alerts_keep_to_the_owners_day(loop: Clocks) -> None:
    """Eight to eight by the clock of whoever gets the mail."""
    await loop.hires("aiko", Role.AGENT, time_zone="Asia/Tokyo")
    await loop.promises(reminders=[0.5], resolve_within_hours=8)
    await loop.has_task()

    # 9:00 UTC is 18:00 in Tokyo: half the time is 22:00 there, the deadline 2:00.
    await loop.ring_until(NOW + 48 * HOUR)

    assert await loop.rung() == [("overdue", NOW + 14 * HOUR)]


async def test_a_night_full_of_reminders_is_one_in_the_morning(loop: Clocks) -> None:
    await loop.promises(reminders=[0.2, 0.3, 0.4], resolve_within_hours=40)
    loop.clock.advance(8 * HOUR)
    await loop.has_task()

    await loop.ring_until(NOW + 40 * HOUR)

    # 25:00, 29:00 and 33:00 after midnight of the first day: 1:00, 5:00 and 9:00.
    assert await loop.rung() == [
        ("due-soon", NOW + 23 * HOUR),
        ("due-soon", NOW + 24 * HOUR),
    ]


async def test_a_scheme_may_ask_for_alerts_at_night(loop: Clocks) -> None:
    await loop.works()
    await loop.promises(calendar="office", reminders=[0.5], night=True)
    await loop.has_task()

    await loop.ring_until(NOW + 24 * HOUR)

    assert await loop.rung() == [("due-soon", NOW + 12 * HOUR), ("overdue", NOW + 24 * HOUR)]


# ------------------------------------------------------------------ pauses


async def test_it_never_escalates_although_the_agent_was_last_to_answer(loop: Clocks) -> None:
    """While it is the customer's turn nothing rings; then everything as much later."""
    await loop.hires("boss", Role.ADMIN)
    await loop.promises(
        reminders=[0.5],
        escalations=ESCALATING,
        pauses_in=["waiting_customer"],
        night=True,
    )
    task = await loop.has_task()
    await loop.ring_until(NOW + HOUR)
    waiting = await loop.act(task, REACHED, WAITS)

    await loop.ring_until(NOW + 101 * HOUR)

    assert await loop.rung() == []
    async with loop.database.reading() as view:
        late = await store.page_of(
            view, TaskFilter(overdue=True), now=loop.clock.now(), after=None, most=5
        )
    assert late == []
    resumed = await loop.act(waiting, Resume())
    assert resumed.due_at == task.due_at + 100 * HOUR
    await loop.ring_until(NOW + 160 * HOUR)
    assert await loop.rung() == [
        ("due-soon", NOW + 112 * HOUR),
        ("overdue", NOW + 124 * HOUR),
        ("escalated", NOW + 124 * HOUR),
        ("escalated", NOW + 136 * HOUR),
    ]


async def test_what_rang_before_a_pause_does_not_ring_again(loop: Clocks) -> None:
    await loop.promises(reminders=[0.5], pauses_in=["waiting_customer"], night=True)
    task = await loop.has_task()
    await loop.ring_until(NOW + 13 * HOUR)
    waiting = await loop.act(task, WAITS)
    await loop.ring_until(NOW + 15 * HOUR)
    await loop.act(waiting, Resume())

    await loop.ring_until(NOW + 60 * HOUR)

    assert [kind for kind, _ in await loop.rung()] == ["due-soon", "overdue"]


async def test_a_task_that_is_closed_out_of_a_pause_stays_silent(loop: Clocks) -> None:
    await loop.promises(reminders=[0.5], pauses_in=["waiting_customer"], night=True)
    task = await loop.act(await loop.has_task(), WAITS)
    loop.clock.advance(HOUR)
    await loop.act(task, NOT_NEEDED)

    await loop.ring_until(NOW + 60 * HOUR)

    assert await loop.rung() == []


# ------------------------------------------------------------------ answers that come later


async def test_an_answer_after_a_pause_brings_nothing_back_to_its_former_time(
    loop: Clocks,
) -> None:
    await loop.promises(
        reminders=[0.5], escalations=ESCALATING, pauses_in=["waiting_customer"], night=True
    )
    task = await loop.act(await loop.has_task(response_id="rsp_1", score=4), REACHED, WAITS)
    loop.clock.advance(100 * HOUR)
    await loop.act(task, Resume())
    await loop.take_in(await loop.response(response_id="rsp_1", revision=2, score=1))

    await loop.ring_until(NOW + 111 * HOUR)

    assert await loop.rung() == []
    await loop.ring_until(NOW + 113 * HOUR)
    assert await loop.rung() == [("due-soon", NOW + 112 * HOUR)]


async def test_a_revised_answer_is_watched_by_the_version_of_its_task(loop: Clocks) -> None:
    await loop.has_task(response_id="rsp_1", score=4)
    await loop.promises(resolve_within_hours=4, reminders=[0.5], escalations=ESCALATING)
    await loop.take_in(await loop.response(response_id="rsp_1", revision=2, score=4))

    await loop.ring_until(NOW + 20 * HOUR)

    assert await loop.rung() == []
