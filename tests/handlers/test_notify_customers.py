"""Mails to customers: one question a resolution, in their language, for nobody else to read."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy import select

from services.notify.channels.capture import CaptureChannel, opened
from services.notify.domain.deliveries import Channel, Outcome, State, Verdict
from services.notify.store import list_captured, list_suppressions
from services.notify.tables import captured_mails, deliveries
from shared.bus.consumer import Arrived
from shared.db.transaction import Database
from shared.events.loop import (
    OwnerRef,
    TaskApprovalAsked,
    TaskClosed,
    TaskConfirmed,
    TaskPromiseDue,
    TaskRecognised,
    TaskReopened,
    TaskResolved,
)
from shared.identity.erasure import erase_person
from shared.identity.person_keys import PersonKeys
from shared.links import read
from shared.sealing import Keyring
from tests.fakes import ManualClock
from tests.notices import House

DAY = timedelta(days=1)
DEAD = Outcome(verdict=Verdict.PERMANENT, reason="address_dead", code=550)
CUSTOMER = "maya@customers.example"


class Asking(House):
    """Notify, and resolutions about which the customer is to be asked."""

    async def resolution(self, *, version: int = 7, **members: Any) -> Arrived:
        now = self.clock.now()
        return await self.event(
            TaskResolved,
            **{
                "version": version,
                "resolution": version,
                "ask_customer_at": now,
                "ask_customer_until": now + 14 * DAY,
                "language": "en",
                "touchpoint_name": "Doorstep delivery",
                **members,
            },
        )

    async def person(self, response_id: str, *, ref: str = "per_1", **customer: Any) -> str:
        block = {"email": CUSTOMER, "consent": {"follow_up": True}, **customer}
        return await super().person(response_id, ref=ref, **block)


@pytest_asyncio.fixture
async def house(
    database_of: Callable[[str], Database],
    clock: ManualClock,
    keyring: Keyring,
    person_keys: PersonKeys,
) -> AsyncIterator[Asking]:
    opened_house = Asking(
        database=database_of("notify"), clock=clock, keyring=keyring, person_keys=person_keys
    )
    await opened_house.prepare()
    yield opened_house


def words_of(message: Any) -> str:
    text = message.get_body(("plain",))
    return " ".join(text.get_content().split())


async def test_the_customer_is_asked_by_a_mail_that_names_a_person(house: Asking) -> None:
    ole = await house.staff("ole@example.org")

    await house.hear(await house.resolution(resolved_by=ole))
    await house.dispatch()

    (message,) = house.mail.messages
    assert message["To"] == CUSTOMER
    assert message["Subject"] == "Is it settled? Your opinion on Doorstep delivery"
    words = words_of(message)
    assert "Hello Ana Berg," in words
    assert "Ole took care of it" in words
    assert "Ole is there for you: ole@example.org" in words
    (token,) = re.findall(r"/settled/(\S+)", words)
    assert read(house.keyring, "settled", token, house.clock.now()) == "tsk_1.7"


async def test_a_team_is_named_where_no_person_resolved_it(house: Asking) -> None:
    await house.hear(await house.resolution())
    await house.dispatch()

    assert "Customer care is there for you: care@example.org" in words_of(
        house.mail.messages[0]
    )


@pytest.mark.parametrize(
    ("language", "day"),
    [("de-CH", "16.03.2026"), ("da", "16 Mar 2026"), (None, "16 Mar 2026")],
)
async def test_the_mail_speaks_the_customers_language(
    house: Asking, language: str | None, day: str
) -> None:
    await house.hear(await house.resolution(language=language))
    await house.dispatch()

    assert day in words_of(house.mail.messages[0])


async def test_a_resolution_heard_twice_asks_once(house: Asking) -> None:
    event = await house.resolution()

    await house.hear(event)
    await house.hear(event)
    await house.dispatch()

    assert len(house.mail.mails) == 1


async def test_every_resolution_asks_anew(house: Asking) -> None:
    await house.hear(await house.resolution(version=7))
    await house.dispatch()
    await house.hear(await house.event(TaskReopened, version=8))
    await house.hear(await house.resolution(version=12))
    await house.dispatch()

    tokens = [re.findall(r"/settled/(\S+)", words_of(m))[0] for m in house.mail.messages]
    assert [read(house.keyring, "settled", t, house.clock.now()) for t in tokens] == [
        "tsk_1.7",
        "tsk_1.12",
    ]


async def test_nobody_is_asked_after_a_closing_or_without_leave(house: Asking) -> None:
    await house.hear(
        await house.event(TaskClosed, task_id="tsk_2", version=3),
        await house.resolution(ask_customer_at=None, ask_customer_until=None),
    )
    await house.dispatch()

    assert house.mail.mails == []


@pytest.mark.parametrize("kind", [TaskReopened, TaskConfirmed])
async def test_what_went_on_before_the_mail_left_is_not_asked(
    house: Asking, kind: type
) -> None:
    await house.hear(await house.resolution(ask_customer_at=house.clock.now() + DAY))
    confirmed: dict[str, Any] = {
        "state": "confirmed",
        "confirmed_at": house.clock.now(),
        "by": "key",
    }
    more: dict[str, Any] = confirmed if kind is TaskConfirmed else {}
    await house.hear(await house.event(kind, version=8, **more))
    house.clock.advance(DAY)
    await house.dispatch()

    assert house.mail.mails == []
    (one,) = await house.deliveries(Channel.EMAIL)
    assert (one.state, one.reason) == (State.HELD, "task_went_on")


async def test_the_scheme_may_leave_time_before_the_question(house: Asking) -> None:
    await house.hear(await house.resolution(ask_customer_at=house.clock.now() + 3 * DAY))
    await house.dispatch()
    assert house.mail.mails == []

    house.clock.advance(3 * DAY)
    await house.dispatch()
    assert len(house.mail.mails) == 1


async def test_a_forgotten_customer_is_not_asked(house: Asking) -> None:
    await house.hear(await house.resolution())
    async with house.database.transaction() as tx:
        await erase_person(tx, "per_1", now=house.clock.now())
    await house.dispatch()

    assert house.mail.mails == []
    (one,) = await house.deliveries(Channel.EMAIL)
    assert one.reason == "customer_erased"


async def test_a_customers_dead_mailbox_is_nobody_elses_mail(house: Asking) -> None:
    """No colleague gets the customer's link, and the address stands on no list."""
    await house.staff("ole@example.org")
    house.mail.answers = [DEAD]
    await house.hear(await house.resolution())
    await house.dispatch()

    assert [mail.recipient for mail in house.mail.mails] == [CUSTOMER]
    async with house.database.reading() as view:
        assert await list_suppressions(view, limit=10) == []
    (one,) = await house.deliveries(Channel.EMAIL)
    assert one.state is State.FAILED


async def test_neither_address_nor_token_is_kept_in_the_clear(house: Asking) -> None:
    channel = CaptureChannel(house.database, keyring=house.keyring, clock=house.clock)
    await house.hear(await house.resolution())
    dispatcher = house.dispatcher(mail=channel)
    while await dispatcher.step():
        pass
    await dispatcher.close()

    async with house.database.reading() as view:
        rows = [*await view.all(select(deliveries)), *await view.all(select(captured_mails))]
        (captured,) = await list_captured(view, limit=10)
        found = await opened(
            view, captured.id, keyring=house.keyring, person_keys=house.person_keys
        )
    stored = repr([tuple(row) for row in rows])
    assert CUSTOMER not in stored
    assert "/settled/" not in stored
    assert captured.recipient == ""
    assert found is not None
    assert found[1] is not None
    assert CUSTOMER.encode() in found[1]
    assert CUSTOMER not in repr(await house.announced())
    assert "settled/" not in repr(await house.announced())


async def test_the_owner_is_alerted_when_the_customer_says_no(house: Asking) -> None:
    await house.hear(await house.event(TaskReopened, version=8, by="customer"))
    await house.dispatch()

    (message,) = house.mail.messages
    assert message["To"] == "care@example.org"
    assert message["Subject"].startswith("Not settled: 4/10 from Doorstep delivery")


async def test_the_owner_of_an_imported_task_is_alerted_too(house: Asking) -> None:
    event = await house.event(TaskReopened, version=8, by="customer", import_id="imp_1")
    await house.hear(event)
    await house.dispatch()

    assert len(house.mail.mails) == 1


async def test_staff_who_reopen_need_no_mail_about_it(house: Asking) -> None:
    await house.hear(await house.event(TaskReopened, version=8))
    await house.dispatch()

    assert house.mail.mails == []


async def test_webhooks_hear_that_the_customer_confirmed(house: Asking) -> None:
    await house.webhook()
    event = await house.event(
        TaskConfirmed,
        version=8,
        state="confirmed",
        confirmed_at=house.clock.now(),
        by="customer",
    )
    await house.hear(event)
    await house.dispatch()

    assert b'"task.confirmed"' in house.posts.calls[0].body
    assert b'"by":"customer"' in house.posts.calls[0].body


# ------------------------------------------------------------------ promises and approvals


async def test_whoever_promised_is_told_not_the_owner(house: Asking) -> None:
    ole = await house.staff("ole@example.org")
    promise: dict[str, Any] = {
        "promise": "action",
        "n": 2,
        "promised_by": OwnerRef(id=ole, kind="person"),
        "promise_due_at": house.clock.now() + timedelta(hours=3),
        "state": "in_progress",
    }
    for stage in ("given", "due_soon"):
        await house.hear(await house.event(TaskPromiseDue, stage=stage, **promise))
    house.clock.advance(DAY)
    await house.hear(await house.event(TaskPromiseDue, stage="overdue", **promise))
    await house.dispatch()

    assert [message["To"] for message in house.mail.messages] == ["ole@example.org"] * 3
    words = [words_of(message) for message in house.mail.messages]
    assert all("Action 2, agreed with the customer" in text for text in words)


async def test_those_who_may_approve_are_asked(house: Asking) -> None:
    uwe = await house.staff("uwe@example.org")
    event = await house.event(
        TaskApprovalAsked,
        n=1,
        remedy="Voucher",
        amount="45.50",
        currency="EUR",
        to=[OwnerRef(id=uwe, kind="person")],
    )
    await house.hear(event)
    await house.dispatch()

    (message,) = house.mail.messages
    assert message["To"] == "uwe@example.org"
    assert "Voucher · 45.50 EUR" in words_of(message)


async def test_praise_is_mailed_to_whoever_earned_it_although_the_task_is_done(
    house: Asking,
) -> None:
    ole = await house.staff("ole@example.org")
    members: dict[str, Any] = {"state": "resolved", "version": 9, "recognised_by": "stf_ana"}
    praised = OwnerRef(id=ole, kind="person")
    await house.hear(await house.resolution(ask_customer_at=None, ask_customer_until=None))
    await house.hear(await house.event(TaskRecognised, to=praised, **members))
    await house.dispatch()

    (message,) = house.mail.messages
    assert message["To"] == "ole@example.org"
    assert "waited forty minutes" in words_of(message)
