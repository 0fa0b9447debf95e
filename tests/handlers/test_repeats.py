"""A customer who is unhappy again: one case with a shorter clock, whatever comes after it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest_asyncio

from services.loop.tasks.domain.acts import Close
from services.loop.tasks.handlers import TaskView, act_on, read_task
from services.loop.tasks.handlers.ruling import change_book
from services.loop.tasks.tables import task_responses, tasks
from shared.db.transaction import Database
from shared.events.ingest import ResponseReceived, ResponseRevised
from shared.events.loop import TaskClosed, TaskOpened
from shared.identity.person_keys import PersonKeys
from shared.identity.principal import Principal, Scope
from shared.sealing import Keyring
from tests.fakes import ManualClock
from tests.handlers.intake import Intake

MACHINE = Principal(kind="key", id="key_1", name="tests", scopes=frozenset(Scope))
HOUR = timedelta(hours=1)


@pytest_asyncio.fixture
async def house(
    database_of: Callable[[str], Database],
    clock: ManualClock,
    keyring: Keyring,
    person_keys: PersonKeys,
) -> House:
    made = House(
        database=database_of("loop"), clock=clock, keyring=keyring, person_keys=person_keys
    )
    await made.prepare()
    return made


class House(Intake):
    """Loop, with one customer who comes back."""

    async def says(self, **members: Any) -> ResponseReceived | ResponseRevised:
        """Let the customer answer."""
        event = await self.response(customer="c-1", **members)
        await self.take_in(event)
        return event

    async def the_task(self) -> dict[str, Any]:
        """Return the only task that there is."""
        (row,) = await self.rows(tasks)
        return row

    async def seen(self, task_id: str) -> TaskView:
        """Return a task as a system sees it."""
        async with self.database.reading() as view:
            return await read_task(view, task_id, caller=MACHINE, person_keys=self.person_keys)


async def test_two_bad_answers_are_one_case_with_half_the_time_from_the_second(
    house: House,
) -> None:
    first = await house.says(score=3, comment="waited forty minutes")
    house.clock.advance(2 * HOUR)
    second = await house.says(score=1, comment="and now again", touchpoint="door")
    now = house.clock.now()

    task = await house.the_task()
    assert (task["response_id"], task["repeat"]) == (first.response_id, True)
    assert task["first_contact_due_at"] == now + 4 * HOUR
    assert task["due_at"] == now + 12 * HOUR
    handled = await house.handled()
    assert [one.task_id for one in handled] == [task["id"], task["id"]]
    assert handled[1].state == "task_open"
    assert [type(e) for _, e in await house.announced() if isinstance(e, TaskOpened)] == [
        TaskOpened
    ]
    seen = await house.seen(task["id"])
    assert "repeat" in seen.flags(now)
    (line,) = [entry for entry in seen.history if entry.act == "repeat"]
    assert line.words == {"comment": "and now again"}
    assert line.detail["response_id"] == second.response_id
    assert line.detail["sooner"] is True


async def test_no_promise_moves_to_a_later_time(house: House) -> None:
    await house.says(score=3)
    before = await house.the_task()
    house.clock.advance(20 * HOUR)
    await house.says(score=1)

    after = await house.the_task()
    assert (after["due_at"], after["first_contact_due_at"]) == (
        before["due_at"],
        before["first_contact_due_at"],
    )
    assert after["repeat"] is True


async def test_two_in_one_poll_and_the_same_one_again_are_still_one_case(
    house: House,
) -> None:
    events = await house.responses([{"customer": "c-1"}, {"customer": "c-1"}])
    await house.take_in(*events)
    await house.take_in(*events)

    task = await house.the_task()
    assert len(await house.rows(task_responses)) == 1
    assert task["other_responses"] == [max(event.response_id for event in events)]
    assert {one.task_id for one in await house.handled()} == {task["id"]}


async def test_after_the_case_has_ended_a_new_one_opens_with_the_shorter_clock(
    house: House,
) -> None:
    await house.says(score=3)
    task = await house.the_task()
    async with house.database.transaction() as tx:
        await act_on(
            tx,
            task["id"],
            Close(reason="not_needed", note="settled"),
            by=MACHINE,
            expected=None,
            person_keys=house.person_keys,
            now=house.clock.now(),
        )
    house.clock.advance(timedelta(days=3))
    again = await house.says(score=2)
    house.clock.advance(timedelta(days=30))
    later = await house.says(score=2)

    rows = {row["response_id"]: row for row in await house.rows(tasks)}
    second, third = rows[again.response_id], rows[later.response_id]
    assert (second["repeat"], third["repeat"]) == (True, False)
    assert second["due_at"] - second["opened_at"] == 12 * HOUR
    assert third["due_at"] - third["opened_at"] == 24 * HOUR


async def test_others_and_nobody_in_particular_are_cases_of_their_own(house: House) -> None:
    await house.says(score=3)
    await house.take_in(await house.response(customer="c-2"))
    await house.take_in(await house.response(customer=None))
    await house.take_in(await house.response(customer=None))

    assert [row["repeat"] for row in await house.rows(tasks)] == [False] * 4


async def test_each_row_of_an_import_has_a_task_and_a_later_answer_joins(house: House) -> None:
    for _ in range(2):
        await house.says(score=3, import_id="imp_1")
    later = await house.says(score=2)

    assert len(await house.rows(tasks)) == 2
    (joined,) = await house.rows(task_responses)
    assert joined["response_id"] == later.response_id


async def test_praise_in_between_is_no_part_of_the_case(house: House) -> None:
    async with house.database.transaction() as tx:
        await change_book(
            tx,
            lambda book: {
                **book,
                "rules": [
                    *book["rules"],
                    {**book["rules"][0], "id": "thanks", "scores": {"nps": [9, 10]}},
                ],
            },
            expected=None,
            by=MACHINE,
            now=house.clock.now(),
        )
    await house.says(score=10)
    await house.says(score=2)
    await house.says(score=9)

    assert [(row["rule"], row["repeat"]) for row in await house.rows(tasks)] == [
        ("thanks", False),
        ("unhappy-customer", False),
        ("thanks", False),
    ]


async def test_the_case_closes_only_when_none_of_its_answers_calls_any_more(
    house: House,
) -> None:
    first = await house.says(score=3)
    second = await house.says(score=2)
    await house.says(response_id=first.response_id, revision=2, score=9)
    kept = await house.the_task()
    assert kept["state"] == "assigned"

    await house.says(response_id=second.response_id, revision=2, score=10)

    closed = await house.the_task()
    assert closed["state"] == "closed"
    (event,) = [e for _, e in await house.announced() if isinstance(e, TaskClosed)]
    assert event.other_responses == [second.response_id]
    assert [one.state for one in await house.handled()] == [
        "task_open",
        "task_open",
        "task_open",
        "closed",
    ]

    await house.says(response_id=second.response_id, revision=3, score=0)
    assert (await house.the_task())["state"] == "in_progress"


async def test_a_revised_answer_of_a_case_keeps_it_and_is_noted_once(house: House) -> None:
    await house.says(score=3)
    second = await house.says(score=2)
    revision = await house.response(
        customer="c-1", response_id=second.response_id, revision=2, score=9
    )
    await house.take_in(revision)
    await house.take_in(revision)

    task = await house.the_task()
    assert task["state"] == "assigned"
    seen = await house.seen(task["id"])
    assert [line.act for line in seen.history] == ["open", "repeat", "revise_other"]
    assert seen.history[-1].detail["kept_open"] == "other_answers"


async def test_complaints_without_a_score_have_the_same_speed_whatever_the_channel(
    house: House,
) -> None:
    """A letter, a post, a call: the promise is the same as to a survey's answer."""
    for channel in (None, "letter", "social", "phone"):
        await house.take_in(
            await house.response(
                customer=None,
                measurement="unsolicited",
                score=None,
                sentiment="negative",
                channel=channel,
            )
        )
    await house.take_in(await house.response(customer=None, score=2))

    rows = await house.rows(tasks)
    assert len(rows) == 5
    assert {(row["first_contact_due_at"], row["due_at"]) for row in rows} == {
        (house.clock.now() + 8 * HOUR, house.clock.now() + 24 * HOUR)
    }
