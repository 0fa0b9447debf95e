"""Promises to customers: remedies that somebody approves, actions that are chased, advice."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import insert

from services.loop.jobs import TimerWorker
from services.loop.tasks.domain.schemes import DEFAULT_SCHEME
from services.loop.tasks.domain.task import FollowUpTask
from services.loop.tasks.tables import schemes
from shared.events.loop import TaskApprovalAsked, TaskPromiseDue
from shared.identity.keys import create_key
from shared.identity.principal import Scope
from tests.desk import Desk

HOUR = timedelta(hours=1)
CONTACT = {"mode": "phone", "result": "reached", "note": "said sorry"}
REMEDIES = [
    {
        "id": "voucher",
        "name": "Voucher",
        "kind": "money",
        "limit": {"amount": 30, "currency": "EUR"},
    }
]


class Promising(Desk):
    """A desk whose scheme has remedies and quiet hours, worked at over the interface."""

    async def publish(self, **members: Any) -> None:
        now = self.clock.now()
        document = {
            **DEFAULT_SCHEME,
            "version": 2,
            "night": True,
            "remedies": REMEDIES,
            **members,
        }
        async with self.database.transaction() as tx:
            await tx.execute(
                insert(schemes).values(
                    id="standard",
                    version=2,
                    document=document,
                    published_at=now,
                    published_by="test",
                )
            )

    async def asks(
        self, nick: str, task: FollowUpTask, name: str, body: Any = None
    ) -> httpx.Response:
        """Let a colleague act over the interface, in a session."""
        headers = {"Accept": "application/json", "Sec-Fetch-Site": "same-origin"}
        async with self.browsing(nick) as browser:
            return await browser.post(f"/v1/tasks/{task.id}/{name}", json=body, headers=headers)

    async def events(self, kind: type) -> list[Any]:
        return [event for _, event in await self.announced() if isinstance(event, kind)]

    async def rings(self) -> None:
        worker = TimerWorker(self.loop)
        while await worker.step():
            pass


DESK = Promising


def voucher(amount: Any) -> dict[str, Any]:
    return {"remedy": "voucher", "value": {"amount": amount, "currency": "EUR"}}


async def test_a_remedy_beyond_the_limit_waits_for_a_lead(desk: Promising) -> None:
    await desk.publish()
    task = await desk.hears("waited", customer="c-1")

    granted = await desk.asks("ana", task, "remedies", voucher(30))
    asked = await desk.asks("ana", task, "remedies", voucher("45.50"))
    by_staff = await desk.asks("ole", task, "approve")
    approved = await desk.asks("uwe", task, "approve")

    assert granted.json()["remedies"][0]["state"] == "granted"
    assert asked.json()["remedies"][1]["state"] == "asked"
    assert asked.json()["remedies"][1]["value"] == {"amount": "45.50", "currency": "EUR"}
    assert by_staff.status_code == 403
    assert approved.json()["remedies"][1]["state"] == "approved"
    assert approved.json()["remedies"][1]["decided_by"]["name"] == "Uwe Wächter"
    (event,) = await desk.events(TaskApprovalAsked)
    assert (event.remedy, event.amount, event.asked_by) == (
        "Voucher",
        "45.50",
        desk.staff["ana"],
    )
    assert [to.id for to in event.to] == [desk.staff["uwe"]]


async def test_who_asked_does_not_approve_also_as_a_lead(desk: Promising) -> None:
    await desk.publish()
    task = await desk.hears("waited", customer="c-1")
    await desk.asks("uwe", task, "remedies", voucher(100))

    refused = await desk.asks("uwe", task, "approve")
    declined = await desk.asks("ada", task, "decline", {"n": 1, "reason": "too much"})

    assert refused.status_code == 409
    assert declined.json()["remedies"][0]["state"] == "declined"


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"remedy": "car"}, "/remedy"),
        (voucher("NaN"), "/value/amount"),
        (voucher(-1), "/value/amount"),
        (voucher(True), "/value/amount"),
        ({"remedy": "voucher", "value": {"amount": 1, "currency": "euro"}}, "/value/currency"),
    ],
)
async def test_what_is_no_remedy_is_refused(
    desk: Promising, body: dict[str, Any], pointer: str
) -> None:
    await desk.publish()
    task = await desk.hears("waited", customer="c-1")

    answer = await desk.asks("ana", task, "remedies", body)

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == pointer


async def test_an_action_in_another_department_is_given_chased_and_done_there(
    desk: Promising,
) -> None:
    await desk.publish()
    task = await desk.hears("waited", customer="c-1", block={"name": "Maya"})
    due_at = (desk.clock.now() + 8 * HOUR).isoformat()
    action = {"what": "send a courier", "owner": desk.staff["max"], "due_at": due_at}

    before = await desk.asks("max", task, "notes", {"text": "not mine to see"})
    await desk.asks("ana", task, "agreement", {"agreed": "a courier"})
    await desk.asks("ana", task, "actions", action)
    for hours in (4, 5, 9):
        desk.clock.advance(hours * HOUR - (desk.clock.now() - task.opened_at))
        await desk.rings()
    done = await desk.asks("max", task, "actions/1/done")
    desk.clock.advance(24 * HOUR)
    await desk.rings()

    assert before.status_code == 403
    assert done.status_code == 200
    told = await desk.events(TaskPromiseDue)
    assert [(event.promise, event.stage, event.n) for event in told] == [
        ("action", "given", 1),
        ("action", "due_soon", 1),
        ("action", "overdue", 1),
    ]
    assert {event.promised_by.id for event in told} == {desk.staff["max"]}


async def test_an_action_that_is_done_or_ones_own_is_told_to_nobody(desk: Promising) -> None:
    await desk.publish()
    task = await desk.hears("waited", customer="c-1")
    due_at = (desk.clock.now() + 2 * HOUR).isoformat()
    mine = {"what": "call back", "owner": "me", "due_at": due_at}

    await desk.asks("ana", task, "actions", mine)
    await desk.asks("ana", task, "actions/1/done")
    desk.clock.advance(3 * HOUR)
    await desk.rings()

    assert await desk.events(TaskPromiseDue) == []


async def test_a_promised_contact_is_reminded_of_once_and_not_when_it_was_moved(
    desk: Promising,
) -> None:
    await desk.publish()
    task = await desk.hears("waited", customer="c-1")

    def at(hours: int) -> dict[str, Any]:
        return {**CONTACT, "next_contact_at": (task.opened_at + hours * HOUR).isoformat()}

    await desk.asks("ana", task, "contacts", at(2))
    await desk.asks("ana", task, "contacts", at(4))
    desk.clock.advance(3 * HOUR)
    await desk.rings()
    assert await desk.events(TaskPromiseDue) == []

    desk.clock.advance(2 * HOUR)
    await desk.rings()
    await desk.rings()
    (event,) = await desk.events(TaskPromiseDue)
    assert (event.promise, event.promised_by.id) == ("contact", task.owner.id)


async def test_a_contact_promised_for_the_evening_is_reminded_of_in_the_evening(
    desk: Promising,
) -> None:
    """An action may wait until somebody is at work; a promised hour may not."""
    await desk.publish(night=False)
    task = await desk.hears("waited", customer="c-1")
    late = (task.opened_at + 13 * HOUR).isoformat()
    action = {"what": "look into it", "owner": desk.staff["max"], "due_at": late}
    await desk.asks("ana", task, "contacts", {**CONTACT, "next_contact_at": late})
    await desk.asks("ana", task, "actions", action)

    desk.clock.advance(13 * HOUR)
    await desk.rings()
    at_night = [(event.promise, event.stage) for event in await desk.events(TaskPromiseDue)]
    desk.clock.advance(10 * HOUR)
    await desk.rings()
    next_day = [(event.promise, event.stage) for event in await desk.events(TaskPromiseDue)]

    assert at_night == [("action", "given"), ("contact", "overdue")]
    assert next_day[2:] == [("action", "overdue")]


async def test_a_task_that_is_put_off_is_flagged_and_its_clock_runs(desk: Promising) -> None:
    task = await desk.hears("waited", customer="c-1")
    until = (desk.clock.now() + 3 * HOUR).isoformat()

    answer = await desk.asks("ana", task, "snooze", {"until": until})

    assert answer.json()["flags"] == ["snoozed"]
    assert answer.json()["due_at"] == task.due_at.isoformat().replace("+00:00", "Z")
    too_late = await desk.asks("ana", task, "snooze", {"until": task.opened_at.isoformat()})
    assert too_late.status_code == 422


async def test_advice_comes_with_the_answer_and_stands_in_no_ones_way(
    desk: Promising,
) -> None:
    quiet = {"number": 3, "quiet_hours": {"from": "08:00", "to": "10:00"}}
    await desk.publish(attempts=quiet)
    task = await desk.hears("waited", customer="c-1", attributes={"time_zone": "UTC"})

    answer = await desk.asks("ana", task, "contacts", {**CONTACT, "note": "It's our policy"})
    plain = await desk.asks("ana", task, "contacts", {**CONTACT, "mode": "email"})

    assert answer.status_code == 200
    assert [one["code"] for one in answer.json()["warnings"]] == [
        "policy_phrase",
        "quiet_hours",
    ]
    assert "warnings" not in plain.json()


async def test_a_key_may_approve_for_the_system_behind_it(desk: Promising) -> None:
    await desk.publish()
    task = await desk.hears("waited", customer="c-1")
    await desk.asks("ana", task, "remedies", voucher(100))
    async with desk.database.transaction() as tx:
        scopes = frozenset({Scope.TASKS_READ, Scope.TASKS_WRITE})
        _, plain = await create_key(
            tx, source="erp", name="ERP", scopes=scopes, now=desk.clock.now()
        )

    async with desk.browsing() as browser:
        answer = await browser.post(
            f"/v1/tasks/{task.id}/approve", headers={"Authorization": f"Bearer {plain}"}
        )

    assert answer.json()["remedies"][0]["state"] == "approved"
