"""A customer is forgotten in notify: mails, replies and calls, and who else is told of it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy import select

from services.notify.channels.capture import CaptureChannel, opened
from services.notify.domain.deliveries import Channel, Outcome, State, Verdict
from services.notify.listeners import also_hear_of_customers, hear_events
from services.notify.store import list_captured
from services.notify.tables import attempts, captured_mails, deliveries
from shared.bus.consumer import Arrived
from shared.db.transaction import Database
from shared.events.envelope import wrap
from shared.events.ingest import CustomerErased, CustomerExportRequested
from shared.identity.erasure import FORGOTTEN, erase_person
from shared.identity.person_keys import PersonKeys
from shared.identity.person_requests import archive_of, open_request
from shared.identity.tables import person_request_parts
from shared.ids import new_id
from shared.sealing import Keyring
from tests.fakes import ManualClock
from tests.handlers.test_notify_customers import CUSTOMER, Asking
from tests.notices import PUBLIC_URL, WORDS

ECHO = Outcome(
    verdict=Verdict.TRANSIENT,
    reason="http_503",
    code=503,
    reply=f"cannot take {WORDS} of {CUSTOMER}",
)


class Forgetful(Asking):
    """Notify, and what ingest says about customers."""

    async def hear(self, *arrived: Arrived) -> None:
        handler = also_hear_of_customers(
            hear_events(public_url=PUBLIC_URL, wake=lambda: None),
            keyring=self.keyring,
            person_keys=self.person_keys,
            wake=lambda: None,
        )
        async with self.database.transaction() as tx:
            await handler(tx, arrived, self.clock.now())

    def about(self, event: CustomerErased | CustomerExportRequested) -> Arrived:
        envelope = wrap(event, event_id=new_id("evt"), at=self.clock.now())
        return Arrived(envelope=envelope, event=event, key=event.person_ref)

    async def forget(self, ref: str = "per_1", **members: Any) -> None:
        """Forget somebody, as ingest would."""
        if members.get("whole", True):
            async with self.database.transaction() as tx:
                await erase_person(tx, ref, self.clock.now())
        event = CustomerErased(
            **{
                "request_id": "prq_unknown",
                "person_ref": ref,
                "response_ids": ["rsp_1"],
                "reason": "request",
                "whole": True,
                "erased_at": self.clock.now(),
                **members,
            }
        )
        await self.hear(self.about(event))

    async def capture(self) -> None:
        """Send what is due into the page of captured mail."""
        channel = CaptureChannel(self.database, keyring=self.keyring, clock=self.clock)
        dispatcher = self.dispatcher(mail=channel)
        while await dispatcher.step():
            pass
        await dispatcher.close()

    async def told(self, url: str) -> list[dict[str, Any]]:
        """Return what an endpoint was sent, in order."""
        return [json.loads(call.body) for call in self.posts.calls if call.url == url]

    async def rows(self, table: Any) -> list[dict[str, Any]]:
        async with self.database.reading() as view:
            return [dict(row._mapping) for row in await view.all(select(table))]


@pytest_asyncio.fixture
async def house(
    database_of: Callable[[str], Database],
    clock: ManualClock,
    keyring: Keyring,
    person_keys: PersonKeys,
) -> AsyncIterator[Forgetful]:
    opened_house = Forgetful(
        database=database_of("notify"), clock=clock, keyring=keyring, person_keys=person_keys
    )
    await opened_house.prepare()
    yield opened_house


def of_task(found: list[dict[str, Any]], task_id: str) -> list[dict[str, Any]]:
    return [row for row in found if row["task_id"] == task_id]


async def test_mails_and_words_of_a_customer_go_and_those_of_others_stay(
    house: Forgetful,
) -> None:
    await house.hear(await house.event())
    await house.capture()
    await house.hear(await house.resolution())
    other = await house.event(
        task_id="tsk_2", person_ref="per_2", person=await house.person("rsp_2", ref="per_2")
    )
    await house.hear(other)
    await house.capture()

    await house.forget()

    stored = await house.rows(deliveries)
    assert {row["sealed_person"] for row in of_task(stored, "tsk_1")} == {FORGOTTEN}
    assert FORGOTTEN not in {row["sealed_person"] for row in of_task(stored, "tsk_2")}
    async with house.database.reading() as view:
        mails = await list_captured(view, limit=10)
        read = {
            mail.person_ref: (
                await opened(
                    view, mail.id, keyring=house.keyring, person_keys=house.person_keys
                )
            )
            for mail in mails
        }
    assert [row["sealed_message"] for row in await house.rows(captured_mails)].count(b"") == 2
    assert read["per_1"] is not None
    assert read["per_1"][1] is None
    assert read["per_2"] is not None
    assert b"Ana Berg" in (read["per_2"][1] or b"")


async def test_a_question_that_waits_is_never_asked(house: Forgetful) -> None:
    later = house.clock.now() + timedelta(days=1)
    await house.hear(await house.resolution(ask_customer_at=later))

    await house.forget(whole=False)
    house.clock.advance(timedelta(days=2))
    await house.dispatch()

    (question,) = await house.deliveries(Channel.EMAIL)
    assert (question.state, question.reason) == (State.HELD, "customer_erased")
    assert house.mail.mails == []


async def test_a_question_that_is_sent_again_finds_nobody(house: Forgetful) -> None:
    await house.hear(await house.resolution())
    await house.dispatch()
    await house.forget(whole=False)
    (question,) = await house.deliveries(Channel.EMAIL)

    async with house.database.transaction() as tx:
        await tx.execute(
            deliveries.update().values(state=State.DUE, next_attempt_at=house.clock.now())
        )
    await house.dispatch()

    assert len(house.mail.mails) == 1
    assert (await house.deliveries(Channel.EMAIL))[0].reason == "customer_erased"
    assert question.state is State.DELIVERED


@pytest.mark.parametrize("detail", ["thin", "full"])
async def test_what_receivers_answer_is_kept_only_where_it_cannot_repeat_the_words(
    house: Forgetful, detail: str
) -> None:
    await house.webhook(detail=detail)
    house.posts.answers = [ECHO]
    await house.hear(await house.event())

    await house.dispatch()

    (call,) = await house.deliveries(Channel.WEBHOOK)
    (attempt,) = await house.attempts(call.id)
    assert (attempt.code, attempt.reply) == (503, ECHO.reply if detail == "thin" else "")


async def test_what_a_mail_server_answers_about_a_customer_is_not_kept(
    house: Forgetful,
) -> None:
    house.mail.answers = [
        Outcome(
            verdict=Verdict.PERMANENT,
            reason="address_dead",
            code=550,
            reply=f"5.1.1 <{CUSTOMER}> unknown",
        )
    ]
    await house.hear(await house.resolution())

    await house.dispatch()

    (question,) = await house.deliveries(Channel.EMAIL)
    (attempt,) = await house.attempts(question.id)
    assert (attempt.code, attempt.reason, attempt.reply) == (550, "address_dead", "")


async def test_replies_of_before_go_with_the_customer(house: Forgetful) -> None:
    await house.webhook()
    house.posts.answers = [ECHO]
    await house.hear(await house.event())
    await house.dispatch()

    await house.forget()

    assert {row["reply"] for row in await house.rows(attempts)} == {""}


async def test_receivers_are_told_by_ids_alone(house: Forgetful) -> None:
    await house.webhook("https://all.example.com/", events=("*",))
    await house.webhook("https://customers.example.com/", events=("customer.*",))
    await house.webhook("https://words.example.com/", events=("task.*",), detail="full")
    await house.webhook("https://thin.example.com/", events=("task.*",), detail="thin")
    await house.hear(await house.event())
    await house.dispatch()

    await house.forget()
    await house.dispatch()

    told = {
        host: [
            body
            for body in await house.told(f"https://{host}.example.com/")
            if body["type"] == "customer.erased"
        ]
        for host in ("all", "customers", "words", "thin")
    }
    assert {host: len(bodies) for host, bodies in told.items()} == {
        "all": 1,
        "customers": 1,
        "words": 1,
        "thin": 0,
    }
    (body,) = told["words"]
    assert body["data"] == {
        "customer_id": "per_1",
        "reason": "request",
        "whole": True,
        "response_ids": ["rsp_1"],
        "task_ids": ["tsk_1"],
        "erased_at": body["timestamp"],
    }


async def test_a_repetition_tells_receivers_once_more_and_finds_nothing(
    house: Forgetful,
) -> None:
    await house.webhook(detail="full")
    await house.hear(await house.event())
    await house.dispatch()
    async with house.database.transaction() as tx:
        request = await open_request(
            tx,
            "erasure",
            keyring=house.keyring,
            asked_by="stf_ada",
            now=house.clock.now(),
            found=["per_1"],
        )

    await house.forget(request_id=request.id, last=False)
    (first,) = await house.rows(person_request_parts)
    await house.forget(request_id=request.id)
    (both,) = await house.rows(person_request_parts)

    assert first["counts"] == {
        "captured_mails": 0,
        "replies": 0,
        "deliveries": 2,
        "dead_letters": 0,
        "receivers_told": 1,
    }
    assert (first["persons_done"], both["persons_done"]) == (0, 1)
    assert both["counts"] == {**first["counts"], "receivers_told": 2}


async def test_when_their_time_is_over_only_what_is_about_these_responses_goes(
    house: Forgetful,
) -> None:
    await house.hear(await house.event())
    await house.hear(await house.event(task_id="tsk_2"))

    await house.forget(whole=False, reason="retention")

    stored = await house.rows(deliveries)
    assert {row["sealed_person"] for row in of_task(stored, "tsk_1")} == {FORGOTTEN}
    assert FORGOTTEN not in {row["sealed_person"] for row in of_task(stored, "tsk_2")}


async def test_what_is_due_still_goes_out_and_names_nobody(house: Forgetful) -> None:
    await house.webhook(detail="full")
    await house.hear(await house.event())

    await house.forget(whole=False)
    await house.dispatch()

    (mail,) = house.mail.messages
    text = mail.get_body(("plain",))
    assert text is not None
    words = " ".join(text.get_content().split())
    assert "follow-up without a contact" in words
    assert "data have been erased" in words
    assert "Ana Berg" not in words
    opened_call = [c for c in house.posts.calls if b"task.opened" in c.body]
    assert [b'customer":' in call.body for call in opened_call] == [False]


async def test_a_copy_of_what_is_known_names_mails_and_systems(house: Forgetful) -> None:
    await house.webhook("https://crm.example.com/hook?token=secret", detail="full")
    await house.hear(await house.event(), await house.resolution())
    await house.dispatch()
    async with house.database.transaction() as tx:
        request = await open_request(
            tx,
            "export",
            keyring=house.keyring,
            asked_by="stf_ada",
            now=house.clock.now(),
            found=["per_1"],
        )

    event = CustomerExportRequested(request_id=request.id, person_ref="per_1")
    await house.hear(house.about(event))

    async with house.database.reading() as view:
        (person,) = await archive_of(view, request.id, house.person_keys)
    known = person["notify"]
    (asked,) = known["mails_to_the_customer"]
    assert (asked["kind"], asked["state"]) == ("customer_settled", "delivered")
    systems = {
        (call["system"], call["with_name_and_words"])
        for call in known["calls_to_other_systems"]
    }
    assert systems == {("crm.example.com", True)}
    assert "care@example.org" not in json.dumps(known)
