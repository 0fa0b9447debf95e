"""Revisions run the rules again: whatever order they come in, one state and nothing twice."""

from __future__ import annotations

import asyncio
import random
from collections import defaultdict
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy import insert

from services.loop.jobs import TimerWorker
from services.loop.responses.tables import responses, score_rollups
from services.loop.tasks import store
from services.loop.tasks.domain.acts import Agree, Claim, LogContact, PromiseAction
from services.loop.tasks.domain.rules import DEFAULT_RULES
from services.loop.tasks.domain.schemes import DEFAULT_SCHEME
from services.loop.tasks.domain.task import FollowUpTask, TaskState
from services.loop.tasks.handlers import act_on
from services.loop.tasks.tables import rules, schemes, task_history, tasks
from services.loop.themes.tables import mentions
from shared.db.transaction import Database
from shared.events.envelope import Event
from shared.events.loop import (
    ResponseHandled,
    TaskClosed,
    TaskDueSoon,
    TaskOpened,
    TaskOverdue,
    TaskReopened,
)
from shared.identity.erasure import erase_person
from shared.identity.person_keys import PersonKeys
from shared.identity.principal import ROLE_SCOPES, Principal, Role
from shared.sealing import Keyring
from tests.fakes import ManualClock
from tests.follow_up import HOUR
from tests.handlers.intake import WAITED, Intake

ANA = Principal(
    kind="staff", id="stf_ana", name="Ana", role=Role.LEAD, scopes=ROLE_SCOPES[Role.LEAD]
)
REACHED = LogContact(mode="phone", result="reached")


class Loop(Intake):
    """Loop's rooms, and one response that is answered again and again."""

    async def answers(self, revision: int, **members: Any) -> Event:
        """Take one revision of the response in."""
        event = await self.response(response_id="rsp_1", revision=revision, **members)
        await self.take_in(event)
        return event

    async def task(self) -> FollowUpTask:
        """Return the response's task."""
        async with self.database.reading() as view:
            return (await store.of_responses(view, ["rsp_1"]))["rsp_1"]

    async def act(self, *acts: Any) -> None:
        """Carry out acts as Ana."""
        for act in acts:
            async with self.database.transaction() as tx:
                await act_on(
                    tx,
                    (await store.of_responses(tx, ["rsp_1"]))["rsp_1"].id,
                    act,
                    by=ANA,
                    expected=None,
                    person_keys=self.person_keys,
                    now=self.clock.now(),
                )

    async def told(self) -> list[str]:
        """Return the types of what was announced of tasks, in order."""
        return [e.type for e, _ in await self.announced() if e.type.startswith("task.")]

    async def acts(self) -> list[str]:
        """Return what stands in the history."""
        return [row["act"] for row in await self.rows(task_history)]

    async def ring(self) -> None:
        """Let the timers work until there is nothing left to ring."""
        worker = TimerWorker(self.loop)
        while await worker.step():
            pass

    async def publish(self, book: dict[str, Any], *more: dict[str, Any]) -> None:
        """Publish a rule book and schemes."""
        by = {"published_at": self.clock.now(), "published_by": "stf_ana"}
        async with self.database.transaction() as tx:
            await tx.execute(insert(rules).values(version=2, document=book, **by))
            for scheme in more:
                await tx.execute(
                    insert(schemes).values(id=scheme["id"], version=1, document=scheme, **by)
                )


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


# ------------------------------------------------------------------ the rules run again


async def test_a_raised_score_closes_the_task_once(loop: Loop) -> None:
    await loop.answers(1, score=3)
    better = await loop.answers(2, score=9)
    await loop.take_in(better)

    task = await loop.task()
    assert task.state is TaskState.CLOSED
    assert task.record.closure is not None
    assert task.record.closure.reason == "customer_revised"
    assert await loop.told() == [TaskOpened.TYPE, TaskClosed.TYPE]
    assert await loop.acts() == ["open", "revise", "close"]
    closed = next(e for _, e in await loop.announced() if isinstance(e, TaskClosed))
    assert (closed.reason, closed.score, closed.version) == ("customer_revised", 9, 3)
    assert [(h.state, h.task_id) for h in await loop.handled()] == [
        ("task_open", task.id),
        ("closed", task.id),
        ("closed", task.id),
    ]
    causes = {e.causationid for e, _ in await loop.announced() if e.type == TaskClosed.TYPE}
    assert None not in causes
    loop.clock.advance(timedelta(days=3))
    await loop.ring()
    assert await loop.told() == [TaskOpened.TYPE, TaskClosed.TYPE]


@pytest.mark.parametrize(
    "first",
    [
        {"score": 9},
        {"score": 2, "answered_days_ago": 60},
        {"score": 2, "measurement": "periodic"},
    ],
)
async def test_an_answer_that_calls_opens_what_the_former_one_did_not(
    loop: Loop, first: dict[str, Any]
) -> None:
    now = loop.clock.now()
    members = dict(first)
    days = members.pop("answered_days_ago", 0)
    await loop.answers(1, answered_at=now - timedelta(days=days), **members)
    await loop.answers(2, score=3)

    assert [(h.state, h.task_id is None) for h in await loop.handled()] == [
        ("no_action", True),
        ("task_open", False),
    ]
    assert await loop.told() == [TaskOpened.TYPE]


async def test_a_promise_to_the_customer_keeps_the_task_open(loop: Loop) -> None:
    await loop.answers(1, score=3)
    await loop.act(
        REACHED,
        Agree(agreed="a new slot"),
        PromiseAction(
            what="book it", owner=(await loop.task()).owner, due_at=loop.clock.now() + HOUR
        ),
    )
    await loop.answers(2, score=10)

    task = await loop.task()
    assert (task.is_open, task.score) == (True, 10)
    line = (await loop.rows(task_history))[-1]
    assert (line["act"], line["detail"]["kept_open"]) == ("revise", "promised")
    assert TaskClosed.TYPE not in await loop.told()
    assert (await loop.handled())[-1].state == "task_open"


async def test_an_answer_that_calls_again_reopens_what_the_program_closed(loop: Loop) -> None:
    await loop.answers(1, score=3)
    await loop.act(Claim())
    due_at = (await loop.task()).due_at
    await loop.answers(2, score=9)
    loop.clock.advance(19 * HOUR)
    await loop.ring()
    again = await loop.answers(3, score=1)
    await loop.take_in(again)

    task = await loop.task()
    assert (task.is_open, task.owner.id, task.due_at) == (True, ANA.id, due_at)
    assert (await loop.told())[-2:] == [TaskClosed.TYPE, TaskReopened.TYPE]
    assert await loop.acts() == ["open", "claim", "revise", "close", "revise", "reopen"]
    await loop.ring()
    loop.clock.advance(6 * HOUR)
    await loop.ring()
    told = await loop.told()
    assert [told.count(kind) for kind in (TaskDueSoon.TYPE, TaskOverdue.TYPE)] == [1, 1]
    assert (await loop.handled())[-1].state == "task_open"


async def test_a_fallen_score_under_a_faster_scheme_rings_sooner(loop: Loop) -> None:
    (mild,) = DEFAULT_RULES["rules"]
    urgent = {**mild, "id": "urgent", "name": "Urgent", "scores": {"nps": [0, 2]}}
    urgent["scheme"] = "fast"
    fast = {**DEFAULT_SCHEME, "id": "fast", "name": "4 hours", "resolve_within_hours": 4}
    await loop.publish({**DEFAULT_RULES, "version": 2, "rules": [urgent, mild]}, fast)
    await loop.answers(1, score=5)
    opened_at = (await loop.task()).opened_at
    loop.clock.advance(HOUR)
    await loop.answers(2, score=1)

    task = await loop.task()
    assert (task.rule, task.scheme.id) == ("urgent", "fast")
    assert task.due_at == opened_at + 4 * HOUR
    loop.clock.advance(2 * HOUR + timedelta(minutes=1))
    await loop.ring()
    assert (await loop.told())[-1] == TaskDueSoon.TYPE
    loop.clock.advance(HOUR)
    await loop.ring()
    assert (await loop.told())[-1] == TaskOverdue.TYPE
    await loop.answers(3, score=6)
    assert (await loop.task()).due_at == task.due_at


async def test_a_person_who_was_erased_is_called_by_nobody_again(loop: Loop) -> None:
    """What comes after the erasure closes a task, and opens none."""
    first = await loop.answers(1, score=3)
    third = await loop.response(response_id="rsp_1", revision=3, score=1)
    await loop.answers(2, score=9)
    async with loop.database.transaction() as tx:
        await erase_person(tx, first.person_ref, loop.clock.now())  # type: ignore[attr-defined] # of every response event
    await loop.take_in(third)

    assert not (await loop.task()).is_open
    assert TaskReopened.TYPE not in await loop.told()
    assert (await loop.handled())[-1].state == "closed"


# ------------------------------------------------------------------ test keys and imports


async def test_of_a_response_that_came_with_a_test_key_nothing_is_kept(loop: Loop) -> None:
    from services.loop.journey.tables import touchpoints  # noqa: PLC0415 - only looked at here

    real = await loop.response(score=3, touchpoint="door")
    tried = await loop.response(score=0, comment=WAITED, touchpoint="nowhere", test=True)
    again = await loop.response(
        response_id=tried.response_id, revision=2, score=1, test=True, source="crm:test"
    )
    await loop.take_in(tried, real, again)

    assert [row["id"] for row in await loop.rows(responses)] == [real.response_id]
    assert [row["response_id"] for row in await loop.rows(tasks)] == [real.response_id]
    assert [row["code"] for row in await loop.rows(touchpoints)] == ["door"]
    assert sum(row["n"] for row in await loop.rows(score_rollups)) == 1
    assert await loop.rows(mentions) == []
    said = [h for h in await loop.handled() if h.response_id == tried.response_id]
    assert [(h.revision, h.state, h.reason, h.task_id, h.themes) for h in said] == [
        (1, "no_action", "test", None, []),
        (2, "no_action", "test", None, []),
    ]


async def test_a_task_knows_the_import_that_its_answer_came_with(loop: Loop) -> None:
    await loop.answers(1, score=3, import_id="imp_1")
    await loop.answers(2, score=9)
    await loop.answers(3, score=2, import_id="imp_2")

    told = [e for e, _ in await loop.announced() if e.type.startswith("task.")]
    assert [e.data["import_id"] for e in told] == ["imp_1", None, "imp_2"]
    assert (await loop.task()).import_id == "imp_2"
    (row,) = await loop.rows(responses)
    assert row["import_id"] == "imp_2"


# ------------------------------------------------------------------ any order, any number


class _Revised:
    """A response's revisions, and what must come of them whatever happens on the way."""

    def __init__(self, number: int, lot: random.Random) -> None:
        self.id = f"rsp_{number}"
        self.members: list[dict[str, Any]] = [
            {
                "response_id": self.id,
                "revision": revision,
                "score": lot.choice([0, 3, 6, 7, 9, 10]),
                "customer": lot.choice(
                    # Nobody else's: several bad answers of one customer would be one case.
                    [None, f"a-{number}", f"b-{number}", f"c-{number}"]
                ),
                "touchpoint": lot.choice(["door", "desk"]),
                "comment": lot.choice([None, WAITED, "Friendly and quick."]),
                "import_id": lot.choice([None, "imp_1"]),
            }
            for revision in range(1, lot.randrange(2, 6))
        ]


@pytest.mark.parametrize("seed", range(8))
async def test_any_order_and_any_repetition_end_in_one_state(loop: Loop, seed: int) -> None:
    """Also when the customer changes with the revision, and so the partition."""
    lot = random.Random(seed)
    all_revised = [_Revised(number, lot) for number in range(10)]
    winners = {one.id: one.members[-1] for one in all_revised}
    events = await loop.responses([m for one in all_revised for m in one.members])
    arrived = [loop.arrived(event) for event in events]
    stream = arrived + lot.choices(arrived, k=len(arrived))
    lot.shuffle(stream)
    while stream:
        size = lot.randrange(1, 8)
        await loop.take_in_arrived(stream[:size])
        stream = stream[size:]
        loop.clock.advance(timedelta(minutes=1))

    facts = {row["id"]: row for row in await loop.rows(responses)}
    found = {row["response_id"]: row for row in await loop.rows(tasks)}
    assert set(facts) == set(winners)
    assert len(found) == len(await loop.rows(tasks))
    for response_id, winner in winners.items():
        row, task = facts[response_id], found.get(response_id)
        for name in ("revision", "score", "touchpoint", "import_id"):
            assert row[name] == winner[name]
        if task is None:
            assert winner["score"] > 6
            continue
        assert (task["ended_at"] is None) == (winner["score"] <= 6)
        assert task["response_revision"] == winner["revision"]
        for name in ("score", "touchpoint", "import_id"):
            assert task[name] == winner[name]
        assert (task["person_ref"], task["sealed_person"]) == (
            row["person_ref"],
            row["sealed_person"],
        )
    assert sum(row["n"] for row in await loop.rows(score_rollups)) == len(winners)
    assert sum(row["total"] for row in await loop.rows(score_rollups)) == sum(
        winner["score"] for winner in winners.values()
    )
    await _told_in_turns(loop, {row["id"]: row for row in found.values()})


async def _told_in_turns(loop: Loop, found: dict[str, dict[str, Any]]) -> None:
    """Check that every task was opened once, then closed and reopened in turns."""
    told: dict[str, list[tuple[int, str]]] = defaultdict(list)
    last: dict[str, ResponseHandled] = {}
    for envelope, event in await loop.announced():
        if isinstance(event, ResponseHandled):
            last[event.response_id] = event
        else:
            told[event.task_id].append((event.version, envelope.type))  # type: ignore[attr-defined] # of every task event
    assert set(told) == set(found)
    timers = await loop.rows(loop.database.plumbing.timers)
    for task_id, row in found.items():
        versions = [version for version, _ in told[task_id]]
        assert versions == sorted(set(versions))
        turns = [TaskOpened.TYPE, TaskClosed.TYPE, *[TaskReopened.TYPE, TaskClosed.TYPE] * 9]
        assert [kind for _, kind in told[task_id]] == turns[: len(versions)]
        is_open = row["ended_at"] is None
        assert is_open == (len(versions) % 2 == 1)
        assert last[row["response_id"]].state == ("task_open" if is_open else "closed")
        silent = {t["outcome"] for t in timers if t["subject"] == task_id}
        assert silent == ({None} if is_open else {"cancelled"})


async def test_two_workers_with_two_revisions_agree_on_the_later(loop: Loop) -> None:
    await loop.answers(1, score=3)
    events = await loop.responses(
        [
            {"response_id": "rsp_1", "revision": 2, "score": 9, "customer": "c-2"},
            {"response_id": "rsp_1", "revision": 3, "score": 2, "customer": "c-3"},
        ]
    )

    await asyncio.gather(*[loop.take_in(event) for event in events])

    task = await loop.task()
    assert (task.is_open, task.response_revision, task.score) == (True, 3, 2)
    assert task.person_ref == events[-1].person_ref
    told = await loop.told()
    assert told.count(TaskOpened.TYPE) == 1
    assert told.count(TaskClosed.TYPE) == told.count(TaskReopened.TYPE) <= 1
