"""Follow-up over a real database: one task per response, timers that ring once, races."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy import insert, select, update

from services.loop.jobs import LEASE, SET_ASIDE, TimerWorker
from services.loop.journey.domain import OwnerRef
from services.loop.tasks import store
from services.loop.tasks.domain.acts import (
    Act,
    AddNote,
    Assign,
    Claim,
    Close,
    Reopen,
    Wait,
)
from services.loop.tasks.domain.rules import DEFAULT_RULES, NoAction
from services.loop.tasks.domain.schemes import DEFAULT_SCHEME
from services.loop.tasks.domain.task import FollowUpTask, TaskState
from services.loop.tasks.handlers import (
    Opened,
    TaskView,
    act_on,
    counts_of,
    list_tasks,
    open_tasks,
    queue,
    reach_of,
    read_task,
    resolve_owner,
)
from services.loop.tasks.store import TaskFilter
from services.loop.tasks.tables import rules, schemes, task_history, tasks
from shared.db.transaction import Database
from shared.errors import Conflict, Forbidden, Invalid, NotFound, Stale
from shared.events.envelope import wrap
from shared.events.loop import (
    TaskAssigned,
    TaskClosed,
    TaskContacted,
    TaskDueSoon,
    TaskEscalated,
    TaskOpened,
    TaskOverdue,
    TaskReopened,
    TaskResolved,
)
from shared.identity.defaults import ensure_defaults
from shared.identity.erasure import erase_person
from shared.identity.people import create_staff
from shared.identity.person_keys import PersonKeys
from shared.identity.principal import ROLE_SCOPES, Principal, Role
from shared.sealing import Keyring, open_document, seal_document
from tests.fakes import ManualClock
from tests.follow_up import (
    AGREED,
    CARE,
    ELIMINATED,
    HOUR,
    NO_ANSWER,
    NOT_NEEDED,
    REACHED,
    RESOLVED,
    TO_RESOLVE,
    a_response,
)
from tests.handlers.intake import WAITED, Intake

MACHINE = Principal(
    kind="key", id="key_crm", name="CRM", scopes=ROLE_SCOPES[Role.ADMIN], source="crm"
)


def staff(role: Role = Role.AGENT, **said: Any) -> Principal:
    """Return a member of staff, of no team unless the test says so."""
    plain = {"kind": "staff", "id": "stf_ana", "name": "Ana Ruiz"}
    return Principal(**(plain | {"role": role, "scopes": ROLE_SCOPES[role]} | said))


ANA = staff(teams=frozenset({CARE.id}))


class Loop(Intake):
    """Loop's rooms, and what a test of follow-up does with them."""

    async def has_task(self, **members: Any) -> FollowUpTask:
        """Take a detractor's answer in and return its task."""
        event = await self.response(**members)
        await self.take_in(event)
        return await self.task_of(event.response_id)

    async def task_of(self, response_id: str) -> FollowUpTask:
        """Return the one task of a response."""
        async with self.database.reading() as view:
            return (await store.of_responses(view, [response_id]))[response_id]

    async def act(
        self,
        task: FollowUpTask,
        *acts: Act,
        by: Principal = MACHINE,
        expected: int | None = None,
    ) -> FollowUpTask:
        """Carry out acts, each in a transaction of its own."""
        for act in acts:
            async with self.database.transaction() as tx:
                task = await act_on(
                    tx,
                    task.id,
                    act,
                    by=by,
                    expected=expected,
                    person_keys=self.person_keys,
                    now=self.clock.now(),
                )
        return task

    async def reads(self, task: FollowUpTask) -> TaskView:
        """Return the task as its team sees it."""
        async with self.database.reading() as view:
            return await read_task(view, task.id, caller=ANA, person_keys=self.person_keys)

    async def kinds(self) -> list[str]:
        """Return the types of what was announced of tasks, in order."""
        return [e.type for e, _ in await self.announced() if e.type.startswith("task.")]

    async def ring(self) -> None:
        """Let the timers work until there is nothing left to ring."""
        worker = TimerWorker(self.loop)
        while await worker.step():
            pass

    async def timers(self) -> dict[str, str | None]:
        """Return what became of each timer, by kind."""
        rows = await self.rows(self.database.plumbing.timers)
        return {row["kind"]: row["outcome"] for row in rows}


def said_in(seen: TaskView) -> list[str]:
    """Return the words of the history."""
    return [text for line in seen.history for text in line.words.values()]


@pytest_asyncio.fixture
async def loop(
    database_of: Callable[[str], Database],
    clock: ManualClock,
    keyring: Keyring,
    person_keys: PersonKeys,
) -> Loop:
    made = Loop(
        database=database_of("loop"), clock=clock, keyring=keyring, person_keys=person_keys
    )
    await made.prepare()
    await made.alert_at_any_hour()
    return made


# ------------------------------------------------------------------ opening


async def test_a_redelivered_response_finds_its_task(loop: Loop) -> None:
    event = await loop.response()
    await loop.take_in(event)
    await loop.take_in(event)

    assert len(await loop.rows(tasks)) == 1
    assert len(await loop.rows(task_history)) == 1
    assert len(await loop.rows(loop.database.plumbing.timers)) == 4
    assert (await loop.kinds()).count(TaskOpened.TYPE) == 1
    first, second = await loop.handled()
    assert first.task_id == second.task_id


async def test_a_poll_of_mixed_responses_opens_exactly_what_the_rules_call_for(
    loop: Loop,
) -> None:
    now = loop.clock.now()
    poll = [
        a_response(id="rsp_bad", touchpoint="door"),
        a_response(id="rsp_good", score=9),
        a_response(id="rsp_csat", metric="csat", score=2),
        a_response(id="rsp_relation", measurement="periodic", score=1),
        a_response(
            id="rsp_letter", measurement="unsolicited", score=None, sentiment="negative"
        ),
        a_response(id="rsp_old", answered_at=now - timedelta(days=31)),
        a_response(id="rsp_import", answered_at=now - timedelta(days=31), as_new=True),
    ]
    door = OwnerRef(id="stf_door", kind="person")
    cause = wrap(await loop.response(), event_id="evt_1", at=now, correlation_id="cor_1")
    async with loop.database.transaction() as tx:
        became = await open_tasks(
            tx, poll, owners={"rsp_bad": door}, causes={"rsp_bad": cause}, now=now
        )

    assert {r: b.reason for r, b in became.items() if isinstance(b, NoAction)} == {
        "rsp_good": "no_rule",
        "rsp_relation": "periodic",
        "rsp_old": "too_old",
    }
    opened = {r: b for r, b in became.items() if isinstance(b, Opened)}
    assert set(opened) == {"rsp_bad", "rsp_csat", "rsp_letter", "rsp_import"}
    assert all(b.is_new and b.is_open for b in opened.values())
    rows = {row["response_id"]: row for row in await loop.rows(tasks)}
    assert {r: row["id"] for r, row in rows.items()} == {
        r: b.task_id for r, b in opened.items()
    }
    assert {r: row["owner_id"] for r, row in rows.items()} == {
        "rsp_bad": "stf_door",
        "rsp_csat": CARE.id,
        "rsp_letter": CARE.id,
        "rsp_import": CARE.id,
    }
    announced = {e.data["response_id"]: e for e, _ in await loop.announced()}
    assert set(announced) == set(opened)
    assert announced["rsp_bad"].causationid == "evt_1"
    assert announced["rsp_bad"].correlationid == "cor_1"
    assert rows["rsp_import"]["waiting_since"] == poll[-1].received_at


async def test_the_same_response_twice_in_one_poll_is_one_task(loop: Loop) -> None:
    poll = [a_response(score=3), a_response(score=1, revision=2)]
    async with loop.database.transaction() as tx:
        await open_tasks(tx, poll, owners={}, causes={}, now=loop.clock.now())

    (row,) = await loop.rows(tasks)
    assert (row["score"], row["response_revision"], row["version"]) == (1, 2, 1)


async def test_two_workers_that_open_the_same_task_agree_on_one(loop: Loop) -> None:
    async def open_it() -> Opened | NoAction:
        async with loop.database.transaction() as tx:
            became = await open_tasks(
                tx, [a_response()], owners={}, causes={}, now=loop.clock.now()
            )
            return became["rsp_1"]

    both = await asyncio.gather(open_it(), open_it())

    assert {one.task_id for one in both if isinstance(one, Opened)} == {
        row["id"] for row in await loop.rows(tasks)
    }
    assert sorted(one.is_new for one in both if isinstance(one, Opened)) == [False, True]
    assert await loop.kinds() == [TaskOpened.TYPE]
    assert len(await loop.rows(task_history)) == 1


async def test_a_task_follows_a_revision_and_stays_ended_once_staff_ended_it(
    loop: Loop,
) -> None:
    task = await loop.has_task(response_id="rsp_1", comment=WAITED)
    other = await loop.response(response_id="rsp_1", revision=2, score=4, comment="Thanks!")
    await loop.take_in(other)
    await loop.take_in(other)

    followed = await loop.task_of("rsp_1")
    assert (followed.id, followed.score, followed.version) == (task.id, 4, 2)
    assert followed.state is TaskState.ASSIGNED
    assert followed.sealed_person == other.person
    assert [row["act"] for row in await loop.rows(task_history)] == ["open", "revise"]
    closed = await loop.act(followed, Close(reason="customer_revised", note="happy now"))
    again = await loop.response(response_id="rsp_1", revision=3, score=1)
    await loop.take_in(again)
    assert (await loop.task_of("rsp_1")).state is closed.state
    assert (await loop.handled())[-1].state == "closed"


async def test_a_task_follows_the_customer_who_is_named_later(loop: Loop) -> None:
    task = await loop.has_task(response_id="rsp_1", customer=None, comment=WAITED)
    await loop.act(task, AddNote(text="said before"))
    named = await loop.response(response_id="rsp_1", revision=2, customer="c-9", comment="Ana!")
    await loop.take_in(named)
    followed = await loop.act(task, AddNote(text="said after"), Claim(), by=ANA)

    assert followed.person_ref == named.person_ref != "rsp_1"
    assert [row["person_ref"] for row in await loop.rows(task_history)] == [
        *["rsp_1"] * 2,
        *[named.person_ref] * 3,
    ]
    last = (await loop.announced())[-1][1]
    assert isinstance(last, TaskAssigned)
    assert (last.person_ref, last.person) == (named.person_ref, named.person)
    seen = await loop.reads(task)
    assert seen.personal is not None
    assert seen.personal.comment == "Ana!"
    assert said_in(seen) == ["said before", "said after"]


@pytest.mark.parametrize(
    ("erased", "left"),
    [("rsp_1", ["said after"]), (None, [])],
    ids=["the former ref", "the customer"],
)
async def test_an_erasure_takes_the_words_that_were_said_under_that_ref(
    loop: Loop, erased: str | None, left: list[str]
) -> None:
    task = await loop.has_task(response_id="rsp_1", customer=None, comment=WAITED)
    await loop.act(task, AddNote(text="said before"))
    named = await loop.response(response_id="rsp_1", revision=2, customer="c-9")
    await loop.take_in(named)
    await loop.act(task, AddNote(text="said after"))

    async with loop.database.transaction() as tx:
        now = loop.clock.now()
        # As ingest does when it takes the later part in.
        await loop.person_keys.attribute(tx, {"rsp_1": named.person_ref}, now=now)
        await erase_person(tx, erased or named.person_ref, now)

    seen = await loop.reads(task)
    assert said_in(seen) == left
    assert seen.erased is (erased is None)


async def test_a_word_about_a_customer_who_never_said_any_is_kept(loop: Loop) -> None:
    plain = await loop.response(response_id="rsp_1", person_ref="rsp_1")
    await loop.take_in(plain.model_copy(update={"person": None, "person_ref": "rsp_silent"}))
    task = await loop.task_of("rsp_1")
    await loop.act(task, AddNote(text="nobody answers"))

    seen = await loop.reads(task)
    assert said_in(seen) == ["nobody answers"]
    assert not seen.erased


async def test_published_rules_and_schemes_apply_to_new_tasks_only(loop: Loop) -> None:
    before = await loop.has_task()
    book = {**DEFAULT_RULES, "version": 2}
    book["rules"] = [{**book["rules"][0], "id": "passives-too", "scores": {"nps": [0, 8]}}]
    book["rules"][0]["scheme"] = "gone"
    scheme = {**DEFAULT_SCHEME, "version": 2, "resolve_within_hours": 4, "attempts": 1}
    published = {"published_at": loop.clock.now(), "published_by": "stf_ana"}
    async with loop.database.transaction() as tx:
        await tx.execute(insert(rules).values(version=2, document=book, **published))
        await tx.execute(
            insert(schemes).values(id="standard", version=2, document=scheme, **published)
        )

    after = await loop.has_task(score=8, customer="c-2")

    assert after.rule == "passives-too"
    assert after.due_at == loop.clock.now() + 4 * HOUR
    assert (after.scheme.version, after.scheme.attempts) == (2, 1)
    assert (await loop.task_of(before.response_id)).scheme.attempts == 3


async def test_a_poll_of_a_thousand_opens_a_thousand(loop: Loop) -> None:
    poll = [a_response(id=f"rsp_{n}") for n in range(1_200)]
    async with loop.database.transaction() as tx:
        became = await open_tasks(tx, poll, owners={}, causes={}, now=loop.clock.now())

    assert len({b.task_id for b in became.values() if isinstance(b, Opened)}) == 1_200
    assert len(await loop.rows(loop.database.plumbing.timers)) == 4_800


# ------------------------------------------------------------------ acting


async def test_the_whole_way_is_announced_and_remembered(loop: Loop) -> None:
    task = await loop.has_task(comment=WAITED)
    done = await loop.act(task, Claim(), NO_ANSWER, *TO_RESOLVE, by=ANA)

    assert done.state is TaskState.RESOLVED
    assert await loop.kinds() == [
        TaskOpened.TYPE,
        TaskAssigned.TYPE,
        TaskContacted.TYPE,
        TaskContacted.TYPE,
        TaskResolved.TYPE,
    ]
    acts = [
        (row["act"], row["version"], row["by_name"]) for row in await loop.rows(task_history)
    ]
    assert acts == [
        ("open", 1, "Closed Loop"),
        ("claim", 2, "Ana Ruiz"),
        ("contacts", 3, "Ana Ruiz"),
        ("contacts", 4, "Ana Ruiz"),
        ("agreement", 5, "Ana Ruiz"),
        ("steps", 6, "Ana Ruiz"),
        ("resolve", 7, "Ana Ruiz"),
    ]
    for envelope, event in await loop.announced():
        if envelope.type.startswith("task."):
            assert event.person == task.sealed_person  # type: ignore[attr-defined] # of every task event
    assert await loop.task_of(task.response_id) == done


async def test_what_was_said_is_sealed_and_gone_with_the_person(loop: Loop) -> None:
    task = await loop.has_task(comment=WAITED)
    secret = "she mentioned her illness"
    await loop.act(task, AddNote(text=secret), AGREED)

    stored = str(await loop.rows(task_history)) + str(await loop.rows(tasks))
    assert secret not in stored
    assert AGREED.agreed not in stored
    note = next(r for r in await loop.rows(task_history) if r["act"] == "notes")
    async with loop.database.reading() as view:
        key = (await loop.person_keys.for_reading(view, [task.person_ref]))[task.person_ref]
        seen = await read_task(view, task.id, caller=ANA, person_keys=loop.person_keys)
    context = f"{task.id}/sealed_words"
    assert open_document(key, note["sealed_words"], context=context) == {"text": secret}
    assert [dict(line.words) for line in seen.history if line.act == "notes"] == [
        {"text": secret}
    ]
    assert seen.personal is not None
    assert seen.personal.comment == WAITED

    async with loop.database.transaction() as tx:
        await erase_person(tx, task.person_ref, loop.clock.now())
    await loop.act(task, AddNote(text="after the erasure"))

    async with loop.database.reading() as view:
        seen = await read_task(view, task.id, caller=ANA, person_keys=loop.person_keys)
    assert seen.erased
    assert seen.personal is None
    assert [line.act for line in seen.history] == ["open", "notes", "agreement", "notes"]
    assert not any(line.words for line in seen.history)


async def test_of_two_who_claim_at_once_one_wins(loop: Loop) -> None:
    task = await loop.has_task()
    ole = replace(ANA, id="stf_ole", name="Ole Berg")

    results = await asyncio.gather(
        loop.act(task, Claim(), by=ANA),
        loop.act(task, Claim(), by=ole),
        return_exceptions=True,
    )

    assert [type(r) for r in results if not isinstance(r, FollowUpTask)] == [Conflict]
    assert (await loop.kinds()).count(TaskAssigned.TYPE) == 1
    winner = next(r for r in results if isinstance(r, FollowUpTask))
    assert (await loop.task_of(task.response_id)).owner == winner.owner


async def test_a_change_to_an_older_version_is_told_the_current_one(loop: Loop) -> None:
    task = await loop.act(await loop.has_task(), NO_ANSWER)

    with pytest.raises(Stale) as refused:
        await loop.act(task, REACHED, expected=1)

    assert refused.value.extra == {"version": 2}
    assert (await loop.act(task, REACHED, expected=2)).version == 3
    with pytest.raises(NotFound):
        await loop.act(replace(task, id="tsk_unknown"), REACHED)


async def test_a_save_that_comes_too_late_changes_nothing(loop: Loop) -> None:
    from services.loop.tasks.domain.playbook import carry_out  # noqa: PLC0415 - behind the scenes
    from tests.follow_up import ANA as ACTOR  # noqa: PLC0415 - an actor, not a caller

    task = await loop.has_task()
    late = carry_out(task, NO_ANSWER, by=ACTOR, now=loop.clock.now())
    await loop.act(task, REACHED)

    with pytest.raises(Stale):
        async with loop.database.transaction() as tx:
            await store.save(tx, late, key=None)

    assert len(await loop.rows(task_history)) == 2


async def test_owners_are_people_and_teams_that_exist(loop: Loop) -> None:
    now = loop.clock.now()
    async with loop.database.transaction() as tx:
        await ensure_defaults(tx, loop.loop.settings, now=now)
        ole = await create_staff(
            tx, email="ole@example.test", name="Ole Berg", role=Role.AGENT, now=now
        )

        assert await resolve_owner(tx, ole.id, by=ANA) == OwnerRef(id=ole.id, kind="person")
        assert await resolve_owner(tx, CARE.id, by=ANA) == CARE
        assert (await resolve_owner(tx, "me", by=ANA)).id == ANA.id
        with pytest.raises(Invalid):
            await resolve_owner(tx, "stf_nobody", by=ANA)


# ------------------------------------------------------------------ who sees whom


async def test_a_customer_is_seen_by_the_owner_the_team_and_the_leads(loop: Loop) -> None:
    now = loop.clock.now()
    async with loop.database.transaction() as tx:
        await ensure_defaults(tx, loop.loop.settings, now=now)
        ole = await create_staff(
            tx,
            email="ole@example.test",
            name="Ole Berg",
            role=Role.AGENT,
            now=now,
            team_ids=[CARE.id],
        )
    task = await loop.has_task(comment=WAITED)
    await loop.act(task, REACHED)

    async def sees(caller: Principal) -> bool:
        async with loop.database.reading() as view:
            seen = await read_task(view, task.id, caller=caller, person_keys=loop.person_keys)
        assert seen.task.score == 2
        assert len(seen.history) >= 2
        words = any(line.words for line in seen.history)
        assert (seen.personal is not None) == words == (not seen.restricted)
        return words

    stranger = staff(id="stf_mia", name="Mia Lind", teams=frozenset({"team_other"}))
    assert await sees(ANA)
    assert await sees(MACHINE)
    assert [await sees(staff(role)) for role in (Role.LEAD, Role.ADMIN)] == [True] * 2
    assert not await sees(staff(Role.DEPARTMENT_HEAD))
    assert not await sees(staff(Role.AUDITOR))
    assert not await sees(stranger)
    with pytest.raises(Forbidden):
        await loop.act(task, NO_ANSWER, by=stranger)

    await loop.act(task, Assign(owner=OwnerRef(id=ole.id, kind="person"), reason="knows them"))
    assert await sees(ANA)  # a colleague of the owner's team
    assert not await sees(stranger)
    await loop.act(task, Assign(owner=OwnerRef(id="stf_mia", kind="person"), reason="asked"))
    assert await sees(stranger)
    assert not await sees(ANA)


async def test_a_team_without_members_is_everybodys(loop: Loop) -> None:
    task = await loop.has_task()

    claimed = await loop.act(task, Claim(), by=staff(id="stf_new", name="New"))

    assert claimed.owner.id == "stf_new"


# ------------------------------------------------------------------ timers


async def test_the_owner_is_reminded_once_and_the_broken_promise_told_once(
    loop: Loop,
) -> None:
    await loop.has_task()
    loop.clock.advance(18 * HOUR - timedelta(seconds=1))
    await loop.ring()
    assert await loop.kinds() == [TaskOpened.TYPE]

    loop.clock.advance(timedelta(seconds=1))
    await loop.ring()
    await loop.ring()
    assert await loop.kinds() == [TaskOpened.TYPE, TaskDueSoon.TYPE]

    loop.clock.advance(6 * HOUR)
    await loop.ring()
    loop.clock.advance(timedelta(days=9))
    await loop.ring()
    assert await loop.kinds() == [TaskOpened.TYPE, TaskDueSoon.TYPE, TaskOverdue.TYPE]
    assert [row["act"] for row in await loop.rows(task_history)] == [
        "open",
        "due-soon",
        "overdue",
    ]


async def test_a_reminder_that_comes_after_the_deadline_is_left_out(loop: Loop) -> None:
    await loop.has_task()
    loop.clock.advance(timedelta(days=2))
    await loop.ring()

    assert await loop.kinds() == [TaskOpened.TYPE, TaskOverdue.TYPE]
    assert await loop.timers() == {
        TaskDueSoon.TYPE: "overtaken",
        TaskOverdue.TYPE: "rung",
        TaskEscalated.TYPE: "nobody-to-tell",
    }


@pytest.mark.parametrize("acts", [TO_RESOLVE, (NOT_NEEDED,)])
async def test_nothing_rings_for_a_task_that_is_done(loop: Loop, acts: tuple[Act, ...]) -> None:
    task = await loop.act(await loop.has_task(), *acts)
    loop.clock.advance(timedelta(days=2))
    await loop.ring()

    assert not set(await loop.kinds()) & {TaskDueSoon.TYPE, TaskOverdue.TYPE}
    assert set((await loop.timers()).values()) == {"cancelled"}
    assert not task.is_open


async def test_a_timer_that_was_claimed_before_the_end_stays_silent_after_it(
    loop: Loop,
) -> None:
    task = await loop.has_task()
    loop.clock.advance(19 * HOUR)
    timer = loop.database.plumbing.timers
    await loop.act(task, NOT_NEEDED)
    async with loop.database.transaction() as tx:
        await tx.execute(update(timer).values(done_at=None, outcome=None))
    await loop.ring()

    assert (await loop.timers())[TaskDueSoon.TYPE] == "done-before"
    assert TaskDueSoon.TYPE not in await loop.kinds()


async def test_a_reopened_task_is_watched_again_and_warned_of_once(loop: Loop) -> None:
    task = await loop.has_task()
    loop.clock.advance(19 * HOUR)
    await loop.ring()
    await loop.act(task, *TO_RESOLVE)
    loop.clock.advance(10 * HOUR)
    reopened = await loop.act(task, Reopen(reason="it broke again"))
    await loop.ring()

    assert reopened.is_overdue(loop.clock.now())
    kinds = await loop.kinds()
    assert kinds.count(TaskDueSoon.TYPE) == 1
    assert kinds[-2:] == [TaskReopened.TYPE, TaskOverdue.TYPE]


async def test_who_dies_between_claim_and_ring_leaves_a_lease_that_runs_out(
    loop: Loop,
) -> None:
    from shared.db.timers import claim_due  # noqa: PLC0415 - what the dead worker did

    await loop.has_task()
    loop.clock.advance(19 * HOUR)
    async with loop.database.transaction() as tx:
        (timer,) = await claim_due(tx, now=loop.clock.now(), lasting=LEASE)
    await loop.ring()
    assert TaskDueSoon.TYPE not in await loop.kinds()

    # The lease is by the database's clock: let it be in the past.
    table = loop.database.plumbing.timers
    async with loop.database.transaction() as tx:
        await tx.execute(update(table).where(table.c.id == timer.id).values(lease_until=1.0))
    await loop.ring()
    assert (await loop.kinds()).count(TaskDueSoon.TYPE) == 1


async def test_one_timer_that_cannot_ring_does_not_silence_the_others(loop: Loop) -> None:
    broken = await loop.has_task(customer="c-1")
    sound = await loop.has_task(customer="c-2")
    async with loop.database.transaction() as tx:
        await tx.execute(
            update(tasks).where(tasks.c.id == broken.id).values(state="of another program")
        )
    loop.clock.advance(19 * HOUR)
    await loop.ring()

    rung = [e.data["task_id"] for e, _ in await loop.announced() if e.type == TaskDueSoon.TYPE]
    assert rung == [sound.id]
    rows = await loop.rows(loop.database.plumbing.timers)
    aside = next(r for r in rows if r["subject"] == broken.id and r["lease_until"])
    assert aside["done_at"] is None
    assert timedelta(minutes=5) < SET_ASIDE


async def test_two_workers_ring_each_timer_once(loop: Loop) -> None:
    for n in range(5):
        await loop.has_task(customer=f"c-{n}")
    loop.clock.advance(19 * HOUR)

    await asyncio.gather(loop.ring(), loop.ring())

    assert (await loop.kinds()).count(TaskDueSoon.TYPE) == 5


# ------------------------------------------------------------------ lists and queues


async def test_lists_can_be_narrowed(loop: Loop) -> None:
    mine = await loop.act(
        await loop.has_task(touchpoint="door", comment=WAITED), Claim(), by=ANA
    )
    loop.clock.advance(HOUR)
    ended = await loop.act(await loop.has_task(customer="c-2"), NOT_NEEDED)
    loop.clock.advance(24 * HOUR)
    fresh = await loop.has_task(customer="c-3", segment="gold")
    waiting = await loop.act(await loop.has_task(customer="c-4"), Wait(waiting_for="customer"))

    async def found(**wanted: Any) -> set[str]:
        async with loop.database.reading() as view:
            seen = await list_tasks(
                view,
                TaskFilter(**wanted),
                caller=ANA,
                person_keys=loop.person_keys,
                now=loop.clock.now(),
                after=None,
                most=10,
            )
        return {one.task.id for one in seen}

    everything = {mine.id, ended.id, fresh.id, waiting.id}
    open_ones = frozenset(
        {TaskState.ASSIGNED, TaskState.IN_PROGRESS, TaskState.WAITING_CUSTOMER}
    )
    assert await found() == everything
    assert await found(states=open_ones | {TaskState.WAITING_INTERNAL}) == everything - {
        ended.id
    }
    assert await found(states=frozenset({TaskState.CLOSED})) == {ended.id}
    assert await found(owners=frozenset({ANA.id})) == {mine.id}
    assert await found(overdue=True) == {mine.id}
    assert await found(overdue=False) == everything - {mine.id}
    assert await found(touchpoint="door") == {mine.id}
    assert await found(segment="gold") == {fresh.id}
    assert await found(response_id=fresh.response_id) == {fresh.id}
    assert await found(person_ref=waiting.person_ref) == {waiting.id}
    async with loop.database.reading() as view:
        seen = await read_task(view, mine.id, caller=ANA, person_keys=loop.person_keys)
    assert seen.themes
    assert await found(theme=seen.themes[0].theme_id) == {mine.id}
    assert await found(theme="no-such-theme") == set()


@pytest.mark.parametrize("order", ["due", "ended"])
async def test_a_list_goes_on_where_it_stopped(loop: Loop, order: Any) -> None:
    expected = []
    for n in range(7):
        task = await loop.has_task(customer=f"c-{n}")
        if order == "ended":
            task = await loop.act(task, NOT_NEEDED)
        expected.append(task.id)
        if n % 3:
            loop.clock.advance(HOUR)

    found: list[str] = []
    after = None
    while True:
        async with loop.database.reading() as view:
            part = await store.page_of(
                view, TaskFilter(), now=loop.clock.now(), after=after, most=2, order=order
            )
        found += [task.id for task in part]
        if len(part) < 2:
            break
        after = store.place_of(part[-1], order)

    assert found == (expected if order == "due" else expected[::-1])


async def test_the_queue_shows_the_words_the_steps_and_both_clocks(loop: Loop) -> None:
    early = await loop.has_task(comment=WAITED)
    loop.clock.advance(2 * HOUR)
    called = await loop.act(await loop.has_task(customer="c-2"), Claim(), REACHED, by=ANA)
    loop.clock.advance(7 * HOUR)

    async with loop.database.reading() as view:
        first, second = await queue(
            view,
            TaskFilter(owners=frozenset({ANA.id, CARE.id})),
            caller=ANA,
            person_keys=loop.person_keys,
            now=loop.clock.now(),
            after=None,
            most=10,
        )
        reach = await reach_of(view, ANA)
        counts = await counts_of(view, ANA, reach, now=loop.clock.now())

    assert first.view.task.id == early.id
    assert first.view.personal is not None
    assert first.view.personal.comment == WAITED
    assert (first.next_promise, first.due_in) == ("first_contact", -HOUR)
    assert first.customer_waits == 9 * HOUR + timedelta(minutes=5)
    assert (first.letters, first.tries) == ("........", 0)
    assert second.view.task.id == called.id
    assert (second.next_promise, second.due_in) == ("resolution", 17 * HOUR)
    assert (second.letters, second.tries, second.repeat) == ("R.......", 1, False)
    assert {name: number for name, number in counts.views.items() if number} == {
        "todo": 2,
        "mine": 1,
        "team": 1,
        "overdue": 1,
        "open": 2,
    }
    assert (counts.late, counts.due_soon) == (0, 0)


async def test_a_task_can_always_be_announced_and_read_back(loop: Loop) -> None:
    """Every member of every record survives the database."""
    task = await loop.has_task()
    done = await loop.act(
        task, NO_ANSWER, REACHED, AGREED, ELIMINATED, Wait(waiting_for="internal"), RESOLVED
    )
    assert await loop.task_of(task.response_id) == done
    again = await loop.act(done, Reopen(reason="no"), NOT_NEEDED)
    assert await loop.task_of(task.response_id) == again
    assert (await loop.kinds())[-1] == TaskClosed.TYPE
    assert seal_document(b"k" * 32, {}, context="x")
    async with loop.database.reading() as view:
        assert (await view.scalar(select(tasks.c.record))) is not None
