"""Closure that is proved: the customer's answer, what follows from it, and the rates."""

from __future__ import annotations

import re
from datetime import timedelta
from html import unescape
from typing import Any

import httpx
import pytest
from structlog.testing import capture_logs

from services.loop.tasks.domain.acts import Act, AddNote, Close, Confirm, Reopen
from services.loop.tasks.domain.task import Asked, FollowUpTask, NotAsked, TaskState
from services.loop.tasks.handlers import act_on, read_task
from shared.events.loop import TaskConfirmed, TaskReopened, TaskResolved
from shared.identity.erasure import erase_person
from shared.identity.keys import create_key
from shared.identity.principal import ROLE_SCOPES, Principal, Role, Scope
from shared.links import sign
from tests.desk import Desk
from tests.follow_up import NO_ANSWER, TO_RESOLVE

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
AGREED: dict[str, Any] = {
    "name": "Maya Lindqvist",
    "email": "maya@example.org",
    "consent": {"follow_up": True},
}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


class Closing(Desk):
    """A desk at which matters are resolved and customers answer."""

    @property
    def ana(self) -> Principal:
        return Principal(
            kind="staff",
            id=self.staff["ana"],
            name="Ana Ruiz",
            scopes=ROLE_SCOPES[Role.AGENT],
            role=Role.AGENT,
            teams=frozenset({"team_customer_care"}),
        )

    async def does(self, task: FollowUpTask, *acts: Act) -> FollowUpTask:
        """Let Ana carry these out."""
        for act in acts:
            async with self.database.transaction() as tx:
                task = await act_on(
                    tx,
                    task.id,
                    act,
                    by=self.ana,
                    expected=None,
                    person_keys=self.person_keys,
                    now=self.clock.now(),
                )
        return task

    async def resolved(self, **block: Any) -> FollowUpTask:
        """Return a task that staff resolved, of a customer who may be asked."""
        task = await self.hears("waited", customer="c-maya", block={**AGREED, **block})
        return await self.does(task, *TO_RESOLVE)

    def link(self, task: FollowUpTask, **other: Any) -> str:
        """Return the address in the mail about this task's resolution."""
        resolution = task.record.resolution
        assert resolution is not None
        given: dict[str, Any] = {
            "purpose": "settled",
            "subject": f"{task.id}.{resolution.entry}",
            "expires_at": self.clock.now() + 14 * DAY,
            **other,
        }
        return f"/settled/{sign(self.keyring, **given)}"

    async def now_of(self, task: FollowUpTask) -> FollowUpTask:
        return (await self.tasks(response_id=task.response_id))[0]

    async def events(self, kind: type) -> list[Any]:
        return [event for _, event in await self.announced() if isinstance(event, kind)]


DESK = Closing


def said(answer: httpx.Response) -> str:
    """Return what a page says, without its markup."""
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", answer.text)).split())


# ------------------------------------------------------------------ who is asked


async def test_who_agreed_to_it_is_asked_when_staff_resolve(desk: Closing) -> None:
    task = await desk.resolved(language="de-AT")

    assert task.record.resolution is not None
    assert task.record.resolution.asking == Asked(
        at=desk.clock.now(), until=desk.clock.now() + 14 * DAY, language="de"
    )
    (event,) = await desk.events(TaskResolved)
    assert event.ask_customer_at == desk.clock.now()
    assert event.resolution == task.record.resolution.entry
    assert event.resolved_by == desk.staff["ana"]


@pytest.mark.parametrize(
    ("block", "why"),
    [
        ({"consent": {"follow_up": False}}, "no_consent"),
        ({"consent": None}, "no_consent"),
        ({"consent": {"follow_up": "yes"}}, "no_consent"),
        ({"do_not_contact": True}, "do_not_contact"),
        ({"email": None}, "no_address"),
        ({"email": "  "}, "no_address"),
    ],
)
async def test_nobody_is_asked_without_consent_or_an_address(
    desk: Closing, block: dict[str, Any], why: str
) -> None:
    task = await desk.resolved(**block)

    assert task.record.resolution is not None
    assert task.record.resolution.asking == NotAsked(why=why)  # type: ignore[arg-type] # one of them
    (event,) = await desk.events(TaskResolved)
    assert event.ask_customer_at is None


async def test_survey_sent_only_the_first_time_a_case_is_resolved(desk: Closing) -> None:
    """Not here: whoever said no is asked again after every resolution by staff."""
    task = await desk.resolved()
    task = await desk.does(task, Reopen(reason="not yet"), *TO_RESOLVE)
    await desk.does(task, Reopen(reason="still not"), *TO_RESOLVE)

    events = await desk.events(TaskResolved)
    assert len(events) == 3
    assert all(event.ask_customer_at is not None for event in events)
    assert len({event.resolution for event in events}) == 3


async def test_survey_also_sent_after_auto_resolve_weeks_later(desk: Closing) -> None:
    """Not here: what the program closes by itself asks nobody, nor does a closed task."""
    task = await desk.hears(
        "waited", customer="c-maya", block=AGREED, response_id="rsp_r", external_id="r"
    )
    desk.clock.advance(21 * DAY)
    better = await desk.response(
        response_id="rsp_r",
        external_id="r",
        revision=2,
        score=9,
        customer="c-maya",
        block=AGREED,
    )
    await desk.take_in(better)
    assert (await desk.now_of(task)).state is TaskState.CLOSED
    other = await desk.hears("x", customer="c-2", block=AGREED)
    await desk.does(other, Close(reason="duplicate", note="see the other"))

    assert await desk.events(TaskResolved) == []


async def test_a_note_counts_or_does_not_count_as_a_contact(desk: Closing) -> None:
    """A note never counts, an attempt always does, and only reached is reached."""
    task = await desk.hears("waited", customer="c-maya", block=AGREED)

    noted = await desk.does(task, AddNote(text="called, I believe"))
    assert (noted.first_contact_at, noted.tries, noted.reached_at) == (None, 0, None)
    tried = await desk.does(noted, NO_ANSWER)
    assert tried.first_contact_at is not None
    assert (tried.tries, tried.reached_at) == (1, None)


# ------------------------------------------------------------------ the page


async def test_looking_at_the_question_changes_nothing(desk: Closing) -> None:
    task = await desk.resolved()
    address = desk.link(task)

    async with desk.browsing() as browser:
        pages = [await browser.get(address), await browser.head(address)]

    assert [page.status_code for page in pages] == [200, 200]
    assert "Is it settled?" in said(pages[0])
    assert "Support call" in said(pages[0])
    assert "Ana Ruiz" in said(pages[0])
    assert "ana@example.org" in said(pages[0])
    assert "Maya" not in pages[0].text
    assert await desk.now_of(task) == task


async def test_a_yes_confirms_and_is_told(desk: Closing) -> None:
    task = await desk.resolved()
    address = desk.link(task)

    async with desk.browsing() as browser:
        answer = await browser.post(address, data={"answer": "yes"}, headers=FORM)
        shown = await browser.get(address)

    assert (answer.status_code, answer.headers["location"]) == (303, address)
    assert "There is nothing more to do" in said(shown)
    confirmed = await desk.now_of(task)
    assert confirmed.state is TaskState.CONFIRMED
    assert confirmed.is_confirmed_by_customer
    (event,) = await desk.events(TaskConfirmed)
    assert (event.by, event.state) == ("customer", "confirmed")


async def test_a_no_reopens_with_the_clock_running_and_keeps_the_words(desk: Closing) -> None:
    task = await desk.resolved()
    due_at = task.due_at
    desk.clock.advance(25 * HOUR)

    async with desk.browsing() as browser:
        address = desk.link(task)
        words = {"answer": "no", "words": "The parcel is still not here"}
        await browser.post(address, data=words, headers=FORM)
        shown = await browser.get(address)

    assert "We are on it" in said(shown)
    again = await desk.now_of(task)
    assert again.state is TaskState.IN_PROGRESS
    assert again.due_at == due_at
    assert again.is_overdue(desk.clock.now())
    assert len(again.record.denials) == 1
    assert not again.is_confirmed_by_customer
    (event,) = await desk.events(TaskReopened)
    assert event.by == "customer"
    async with desk.browsing("ana") as browser:
        page = await browser.get(f"/tasks/{task.id}")
    assert "The parcel is still not here" in said(page)


async def test_a_second_answer_changes_nothing(desk: Closing) -> None:
    task = await desk.resolved()

    async with desk.browsing() as browser:
        for given in ("yes", "no", "yes"):
            await browser.post(desk.link(task), data={"answer": given}, headers=FORM)

    assert (await desk.now_of(task)).state is TaskState.CONFIRMED
    assert len(await desk.events(TaskConfirmed)) == 1
    assert await desk.events(TaskReopened) == []


async def test_the_link_of_an_earlier_resolution_answers_for_no_later_one(
    desk: Closing,
) -> None:
    task = await desk.resolved()
    former = desk.link(task)
    await desk.does(task, Reopen(reason="not yet"), *TO_RESOLVE)

    async with desk.browsing() as browser:
        await browser.post(former, data={"answer": "yes"}, headers=FORM)
        shown = await browser.get(former)

    assert "newer mail" in said(shown)
    assert (await desk.now_of(task)).state is TaskState.RESOLVED


async def test_expired_and_broken_links_say_so_kindly(desk: Closing) -> None:
    task = await desk.resolved()
    address = desk.link(task)
    desk.clock.advance(14 * DAY)

    async with desk.browsing() as browser:
        expired = [
            await browser.get(address),
            await browser.post(address, data={"answer": "yes"}, headers=FORM),
        ]
        broken = await browser.get(address[:-3])

    assert [page.status_code for page in expired] == [410, 410]
    assert "Your answer is welcome all the same" in said(expired[0])
    assert (broken.status_code, "not complete" in said(broken)) == (404, True)
    assert (await desk.now_of(task)).state is TaskState.RESOLVED


async def test_nothing_is_asked_about_a_customer_who_was_forgotten(desk: Closing) -> None:
    task = await desk.resolved()
    async with desk.database.transaction() as tx:
        await erase_person(tx, task.person_ref, now=desk.clock.now())

    async with desk.browsing() as browser:
        shown = await browser.get(desk.link(task))

    assert shown.status_code == 410
    assert "Support call" not in said(shown)


async def test_the_page_speaks_the_customers_language(desk: Closing) -> None:
    task = await desk.resolved(language="de")

    async with desk.browsing() as browser:
        shown = await browser.get(desk.link(task), headers={"Accept-Language": "en"})

    assert '<html lang="de">' in shown.text


async def test_an_answer_that_is_none_is_asked_for_again(desk: Closing) -> None:
    task = await desk.resolved()

    async with desk.browsing() as browser:
        sent = {"answer": "maybe", "words": "hm"}
        shown = await browser.post(desk.link(task), data=sent, headers=FORM)

    assert shown.status_code == 422
    assert ">\nhm</textarea>" in shown.text


async def test_another_site_cannot_answer_for_the_customer(desk: Closing) -> None:
    task = await desk.resolved()

    async with desk.browsing() as browser:
        headers = {**FORM, "Origin": "https://evil.example"}
        sent = await browser.post(desk.link(task), data={"answer": "yes"}, headers=headers)

    assert sent.status_code == 403
    assert (await desk.now_of(task)).state is TaskState.RESOLVED


async def test_the_token_stands_in_no_event_and_no_log(desk: Closing) -> None:
    with capture_logs() as lines:
        task = await desk.resolved()
        address = desk.link(task)
        async with desk.browsing() as browser:
            await browser.get(address)
            await browser.post(address, data={"answer": "no", "words": "x"}, headers=FORM)
            metrics = await browser.get("/metrics")

    digest = address.rpartition("~")[2]
    assert digest not in repr(lines)
    assert [line["route"] for line in lines if "route" in line][:2] == ["/settled/{token}"] * 2
    assert digest not in metrics.text
    assert digest not in repr(await desk.announced())


# ------------------------------------------------------------------ the interface


async def test_staff_cannot_confirm_in_the_customers_name(desk: Closing) -> None:
    """It is recorded, as what it is: staff's word, which no rate counts."""
    task = await desk.does(await desk.resolved(), Confirm())

    assert task.state is TaskState.CONFIRMED
    assert not task.is_confirmed_by_customer
    assert (await rates(desk))["confirmed_by_customer"]["count"] == 0


async def rates(desk: Closing, **query: str) -> dict[str, Any]:
    async with desk.database.transaction() as tx:
        _, plain = await create_key(
            tx,
            source="bi",
            name="bi",
            scopes=frozenset({Scope.SCORES_READ}),
            now=desk.clock.now(),
        )
    async with desk.browsing() as browser:
        answer = await browser.get(
            "/v1/closure-rates", params=query, headers={"Authorization": f"Bearer {plain}"}
        )
    assert answer.status_code == 200, answer.text
    document: dict[str, Any] = answer.json()
    return document


async def answers(desk: Closing, task: FollowUpTask, given: str) -> None:
    async with desk.browsing() as browser:
        await browser.post(desk.link(task), data={"answer": given}, headers=FORM)


async def test_three_rates_stand_side_by_side_with_their_n(desk: Closing) -> None:
    confirmed, denied, silent = [
        await desk.does(
            await desk.hears("waited", customer=f"c-{n}", block=AGREED), *TO_RESOLVE
        )
        for n in range(3)
    ]
    await desk.hears("waited", customer="c-4", block=AGREED)
    await answers(desk, confirmed, "yes")
    await answers(desk, denied, "no")

    found = await rates(desk)

    assert found["contacted"] == {
        "count": 3,
        "n": 4,
        "rate": 0.75,
        "ci95": found["contacted"]["ci95"],
        "enough": False,
    }
    assert (found["closed_by_staff"]["count"], found["closed_by_staff"]["n"]) == (2, 4)
    assert (found["confirmed_by_customer"]["count"], found["asked"]) == (1, 3)
    assert found["denied"] == 1
    assert silent.state is TaskState.RESOLVED


async def test_what_the_customer_denied_never_counts_as_closed(desk: Closing) -> None:
    task = await desk.resolved()
    assert (await rates(desk))["closed_by_staff"]["count"] == 1

    await answers(desk, task, "no")

    found = await rates(desk)
    assert found["closed_by_staff"]["count"] == 0
    assert found["confirmed_by_customer"]["count"] == 0


async def test_saved_is_pending_until_a_later_answer_decides(desk: Closing) -> None:
    for customer in ("glad", "angry", "silent", "late"):
        task = await desk.hears("waited", customer=customer, block=AGREED)
        await desk.does(task, *TO_RESOLVE)
    before = (await rates(desk))["saved"]
    desk.clock.advance(30 * DAY)
    for customer, score in (("glad", 9), ("angry", 1)):
        await desk.take_in(await desk.response(customer=customer, score=score))
    during = await rates(desk)
    desk.clock.advance(61 * DAY)
    await desk.take_in(await desk.response(customer="late", score=10))
    first = (desk.clock.now() - 100 * DAY).date().isoformat()
    after = await rates(desk, **{"from": first})

    def counts(saved: dict[str, Any]) -> tuple[int, ...]:
        return tuple(saved[name] for name in ("saved", "not_saved", "pending", "unknown"))

    assert counts(before) == (0, 0, 4, 0)
    assert before["of_decided"]["rate"] is None
    assert counts(during["saved"]) == (1, 1, 2, 0)
    assert during["saved"]["of_decided"]["rate"] == 0.5
    assert counts(after["saved"]) == (1, 1, 0, 2)
    assert during["before_and_after"] == [
        {"metric": "nps", "n": 2, "before": 2.0, "after": 5.0, "better": 1, "worse": 1}
    ]


async def test_rates_narrow_by_touchpoint_and_period(desk: Closing) -> None:
    await desk.hears("a", customer="c-1", touchpoint="door")
    await desk.hears("b", customer="c-2", touchpoint="support-call")
    tomorrow = (desk.clock.now() + DAY).date().isoformat()

    assert (await rates(desk, touchpoint="door"))["contacted"]["n"] == 1
    assert (await rates(desk, **{"from": tomorrow, "to": tomorrow}))["contacted"]["n"] == 0


async def test_the_page_shows_all_three_or_says_that_there_is_nothing(desk: Closing) -> None:
    async with desk.browsing("uwe") as browser:
        empty = await browser.get("/closure", headers={"Accept-Language": "en"})
        await desk.resolved()
        full = await browser.get("/closure?touchpoint=support-call&weeks=4")

    assert empty.status_code == full.status_code == 200
    assert "<table" not in empty.text
    assert full.text.count('<tr role="row">') == 4


async def test_the_document_names_who_confirmed(desk: Closing) -> None:
    task = await desk.resolved()
    await answers(desk, task, "yes")

    async with desk.database.reading() as view:
        seen = await read_task(view, task.id, caller=desk.ana, person_keys=desk.person_keys)

    assert [line.act for line in seen.history][-2:] == ["resolve", "confirm"]
    assert seen.history[-1].by.kind == "customer"
