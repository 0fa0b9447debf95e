"""What ingest says of a response, in whatever order it hears what became of it.

Verdicts and the events of tasks come on two topics; nobody promises which is read first.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import permutations
from typing import Any

import pytest

from services.ingest import store
from services.ingest.handlers import Recorded, RecordResponse, record_responses
from services.ingest.listeners import hear
from services.ingest.schemas import understand
from shared.bus.consumer import Arrived
from shared.db.transaction import Database
from shared.events.envelope import Event, wrap
from shared.events.loop import (
    OwnerRef,
    ResponseHandled,
    TaskClosed,
    TaskReopened,
    TaskResolved,
)
from shared.identity.person_keys import PersonKeys
from shared.sealing import Keyring
from tests.fakes import ManualClock

TASK = "tsk_1"
ENDS: dict[type[Event], dict[str, Any]] = {
    TaskResolved: {
        "state": "resolved",
        "outcome": "solved",
        "cause_area": "process",
        "content": "yes",
        "avoidable": "no",
        "within_deadline": True,
    },
    TaskClosed: {"state": "closed", "reason": "not_needed"},
    TaskReopened: {"state": "in_progress", "former_state": "resolved"},
}
WHEN = {TaskResolved: "resolved_at", TaskClosed: "closed_at", TaskReopened: "reopened_at"}


@dataclass
class Listener:
    """Ingest's memory, and whoever tells it something."""

    database: Database
    clock: ManualClock
    keyring: Keyring
    person_keys: PersonKeys

    async def records(self, external_id: str, **members: Any) -> str:
        """Record one part; return the response's id."""
        self.clock.advance(timedelta(minutes=1))
        now = self.clock.now()
        part = understand({"external_id": external_id, **members}, now=now).part
        command = RecordResponse(source="crm", external_id=external_id, part=part)
        async with self.database.transaction() as tx:
            (outcome,) = await record_responses(
                tx, [command], now=now, keyring=self.keyring, person_keys=self.person_keys
            )
        assert isinstance(outcome, Recorded)
        return outcome.id

    async def hears(self, *events: Event) -> None:
        """Hear a poll."""
        now = self.clock.now()
        arrived = [
            Arrived(envelope=wrap(event, event_id=f"evt_{n}", at=now), event=event, key="k")
            for n, event in enumerate(events)
        ]
        async with self.database.transaction() as tx:
            await hear(tx, arrived, now)

    async def says(self, response_id: str) -> tuple[str, str | None, str | None]:
        """Return the state, its reason and the task."""
        async with self.database.reading() as view:
            found = await store.find_response(view, response_id)
        assert found is not None
        return found.state, found.reason, found.task_id

    def of_task(self, kind: type[Event], response_id: str, version: int) -> Event:
        """Return an event of the response's task."""
        now = self.clock.now()
        return kind(
            **{
                "task_id": TASK,
                "response_id": response_id,
                "version": version,
                "owner": OwnerRef(id="team_customer_care", kind="team"),
                "metric": "nps",
                "score": 2,
                "rule": "rule",
                "scheme": "scheme",
                "opened_at": now,
                "first_contact_due_at": now,
                "due_at": now,
                "person_ref": "per_1",
                WHEN[kind]: now,
                **ENDS[kind],
            }
        )


@pytest.fixture
def listener(
    database_of: Callable[[str], Database],
    clock: ManualClock,
    keyring: Keyring,
    person_keys: PersonKeys,
) -> Listener:
    return Listener(database_of("ingest"), clock, keyring, person_keys)


def verdict(response_id: str, revision: int = 1, **members: Any) -> ResponseHandled:
    """Return what the loop made of a revision: by default a task."""
    plain = {"state": "task_open", "task_id": TASK}
    return ResponseHandled(response_id=response_id, revision=revision, **(plain | members))


async def test_a_response_is_closed_with_its_task_and_open_again_with_it(
    listener: Listener,
) -> None:
    one = await listener.records("A", score=2)
    states = []
    for event in (
        verdict(one),
        listener.of_task(TaskResolved, one, 5),
        listener.of_task(TaskReopened, one, 6),
        listener.of_task(TaskClosed, one, 7),
    ):
        await listener.hears(event)
        states.append(await listener.says(one))

    assert [state for state, _, _ in states] == ["task_open", "closed", "task_open", "closed"]
    assert {task for _, _, task in states} == {TASK}


@pytest.mark.parametrize("ended", [True, False], ids=["ended", "open again"])
async def test_the_end_is_the_same_in_whatever_order_it_is_heard(
    listener: Listener, *, ended: bool
) -> None:
    last = [TaskClosed] if ended else []
    orders: list[tuple[str, Sequence[Event]]] = []
    for n, order in enumerate(permutations(range(3 + len(last)))):
        one = await listener.records(f"A-{n}", score=2)
        events = [
            verdict(one),
            listener.of_task(TaskResolved, one, 5),
            listener.of_task(TaskReopened, one, 6),
            *(listener.of_task(kind, one, 7) for kind in last),
        ]
        orders.append((one, [events[place] for place in order]))

    for one, heard in orders:
        for event in heard:
            await listener.hears(event)
        final = ("closed" if ended else "task_open", None, TASK)
        assert await listener.says(one) == final
        for event in heard:  # and all of it again
            await listener.hears(event)
        assert await listener.says(one) == final


async def test_of_a_poll_that_holds_it_all_the_latest_counts(listener: Listener) -> None:
    one = await listener.records("A", score=2)

    await listener.hears(
        listener.of_task(TaskClosed, one, 7),
        verdict(one),
        listener.of_task(TaskResolved, one, 5),
        listener.of_task(TaskReopened, one, 6),
    )

    assert await listener.says(one) == ("closed", None, TASK)


async def test_a_later_part_reopens_nothing_and_its_late_verdict_neither(
    listener: Listener,
) -> None:
    one = await listener.records("A", score=2)
    await listener.hears(verdict(one), listener.of_task(TaskClosed, one, 5))
    assert await listener.records("A", score=3) == one
    assert await listener.says(one) == ("closed", None, TASK)

    await listener.hears(verdict(one, 2, themes=["waiting"]))

    assert await listener.says(one) == ("closed", None, TASK)
    async with listener.database.reading() as view:
        found = await store.find_response(view, one)
    assert found is not None
    assert (found.handled, found.themes, found.announce_again_at) == (2, ["waiting"], None)


async def test_a_revision_may_get_the_task_that_the_first_answer_did_not(
    listener: Listener,
) -> None:
    one = await listener.records("A", score=9)
    await listener.records("A", score=1)

    await listener.hears(listener.of_task(TaskClosed, one, 4))
    await listener.hears(verdict(one, 1, state="no_action", reason="satisfied", task_id=None))
    await listener.hears(verdict(one, 2))

    assert await listener.says(one) == ("closed", None, TASK)


async def test_all_answers_of_one_case_are_closed_and_open_again_with_it(
    listener: Listener,
) -> None:
    first = await listener.records("A-1", score=2)
    second = await listener.records("A-2", score=1)
    await listener.hears(verdict(first), verdict(second))

    closed = listener.of_task(TaskClosed, first, 4)
    await listener.hears(closed.model_copy(update={"other_responses": [second]}))
    assert await listener.says(first) == ("closed", None, TASK)
    assert await listener.says(second) == ("closed", None, TASK)

    again = listener.of_task(TaskReopened, first, 5)
    await listener.hears(again.model_copy(update={"other_responses": [second]}))
    assert await listener.says(second) == ("task_open", None, TASK)
