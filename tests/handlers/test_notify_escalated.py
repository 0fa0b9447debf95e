"""Escalations: a mail to those who are drawn in, none to the owner, a webhook that says who."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest_asyncio

from services.notify.domain.deliveries import Channel, State
from shared.bus.consumer import Arrived
from shared.db.transaction import Database
from shared.events.loop import OwnerRef, TaskClosed, TaskEscalated
from shared.identity.person_keys import PersonKeys
from shared.sealing import Keyring
from tests.fakes import ManualClock
from tests.notices import House

MAIL, WEBHOOK = Channel.EMAIL, Channel.WEBHOOK


@pytest_asyncio.fixture
async def house(
    database_of: Callable[[str], Database],
    clock: ManualClock,
    keyring: Keyring,
    person_keys: PersonKeys,
) -> House:
    made = House(
        database=database_of("notify"), clock=clock, keyring=keyring, person_keys=person_keys
    )
    await made.prepare()
    return made


async def escalation(house: House, *told: str, **members: Any) -> Arrived:
    to = [OwnerRef(id=one, kind="person") for one in told]
    return await house.event(TaskEscalated, level="lead", to=to, **members)


async def test_those_who_are_drawn_in_get_the_mail_each_in_their_language(
    house: House,
) -> None:
    lea = await house.staff("lea@example.org")
    uwe = await house.staff("uwe@example.org", language="de")
    event = await escalation(house, lea, uwe)

    await house.hear(event)
    await house.hear(event)

    mails = await house.deliveries(MAIL)
    assert {(one.target, one.purpose) for one in mails} == {
        (lea, "task_escalated"),
        (uwe, "task_escalated"),
    }
    assert len(mails) == 2
    assert {one.recipient.language for one in mails if one.recipient} == {"en", "de"}


async def test_a_webhook_hears_who_was_told_at_which_level(house: House) -> None:
    hook, _ = await house.webhook(events=("task.escalated",))
    lea = await house.staff("lea@example.org")

    await house.hear(await escalation(house, lea))

    (call,) = await house.deliveries(WEBHOOK)
    body = json.loads(call.payload)
    assert (call.target, body["type"]) == (hook.id, "task.escalated")
    assert (body["data"]["level"], body["data"]["to"]) == (
        "lead",
        [{"id": lea, "kind": "person"}],
    )
    assert body["data"]["owner"] == {"id": "team_customer_care", "kind": "team"}


async def test_breach_mails_for_tickets_already_closed_are_held(house: House) -> None:
    """The task is closed while the mail about its escalation still waits to be sent."""
    lea = await house.staff("lea@example.org")
    await house.hear(await escalation(house, lea))
    await house.hear(await house.event(TaskClosed, version=2))

    await house.dispatch()

    (mail,) = await house.deliveries(MAIL)
    assert mail.state is State.HELD


async def test_escalations_of_an_import_are_one_mail_for_each_who_is_told(
    house: House,
) -> None:
    lea = await house.staff("lea@example.org")
    uwe = await house.staff("uwe@example.org")
    events = [
        await escalation(house, lea, uwe, task_id=f"tsk_{n}", import_id="imp_1")
        for n in range(3)
    ]

    await house.hear(*events)

    mails = await house.deliveries(MAIL)
    assert sorted((one.target, one.purpose) for one in mails) == sorted(
        [(lea, "tasks_escalated"), (uwe, "tasks_escalated")]
    )


async def test_an_escalation_that_concerns_nobody_is_told_to_webhooks_only(
    house: House,
) -> None:
    await house.webhook()

    await house.hear(await escalation(house))

    assert await house.deliveries(MAIL) == []
    assert len(await house.deliveries(WEBHOOK)) == 1
