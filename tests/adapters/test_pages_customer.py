"""What a task's page says of its customer: consent, ways to reach them, a changed answer."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import httpx
import pytest

from services.loop.tasks.domain.acts import Agree, Close, LogContact
from services.loop.tasks.domain.task import FollowUpTask
from services.loop.tasks.schemas import document_of
from shared.identity.principal import ROLE_SCOPES, Principal, Role
from shared.sealing import open_document, seal_document
from tests.adapters.test_pages import said
from tests.desk import Desk

UWE = Principal(
    kind="staff", id="stf_uwe", name="Uwe", role=Role.LEAD, scopes=ROLE_SCOPES[Role.LEAD]
)
MAYA = {
    "name": "Maya Lindqvist",
    "phone": "+46 (70) 123-456",
    "email": "maya+home@example.org",
}


async def page_of(desk: Desk, task: FollowUpTask, who: str = "ana") -> httpx.Response:
    """Return the task's page as a colleague sees it."""
    async with desk.browsing(who) as browser:
        answer = await browser.get(f"/tasks/{task.id}")
    assert answer.status_code == 200
    return answer


def links(answer: httpx.Response) -> list[str]:
    """Return what on the page would reach the customer."""
    return re.findall(r'href="((?:tel|mailto):[^"]*)"', answer.text)


async def answers_again(desk: Desk, task: FollowUpTask, **members: Any) -> None:
    """Take another answer under the same natural key in."""
    revision = (await desk.tasks(response_id=task.response_id))[0].response_revision + 1
    again = {"response_id": task.response_id, "revision": revision, "customer": "c-1"}
    await desk.take_in(await desk.response(**{**again, **members}))


# ------------------------------------------------------------------ the customer


async def test_a_customer_may_be_called_and_written_to_from_the_page(desk: Desk) -> None:
    task = await desk.hears("Late.", customer="c-1", block=MAYA)

    page = await page_of(desk, task)

    assert links(page) == ["tel:+4670123456", "mailto:maya%2Bhome@example.org"]
    assert "Do not contact" not in said(page)


async def test_who_must_not_be_contacted_is_named_first_and_offered_no_link(
    desk: Desk,
) -> None:
    task = await desk.hears("Late.", customer="c-1", block={**MAYA, "do_not_contact": True})

    page = await page_of(desk, task)

    text = said(page)
    notice = "Do not contact this customer: the customer has asked not to be contacted."
    assert notice in text
    assert text.index(notice) < text.index("First contact")
    assert links(page) == []
    assert MAYA["phone"] in text
    # Logging a contact is put away; closing is what is left to do.
    assert re.search(r"<details>\s*<summary>Only if the customer came to us", page.text)
    assert re.search(r"<details open>\s*<summary>Close without a resolution", page.text)
    assert notice not in said(await page_of(desk, task, "max"))


@pytest.mark.parametrize(
    ("consent", "words"),
    [
        (
            {"follow_up": True, "news": False},
            "Follow-up the customer agreed to it News the customer did not agree to it",
        ),
        ({"follow_up": False}, "Follow-up the customer did not agree to it"),
        ({"news": True}, "News the customer agreed to it"),
    ],
)
async def test_consent_stands_there_in_words(
    desk: Desk, consent: dict[str, bool], words: str
) -> None:
    task = await desk.hears("Late.", customer="c-1", block={**MAYA, "consent": consent})

    text = said(await page_of(desk, task))

    assert words in text
    assert ("News" in text) == ("news" in consent)


async def test_what_reaches_nobody_is_marked_and_no_link(desk: Desk) -> None:
    task = await desk.hears("Late.", customer="c-1", block={**MAYA, "phone": "call me"})
    await _marked(desk, task, "email", "phone")

    page = await page_of(desk, task)

    assert "call me (not usable)" in said(page)
    assert f"{MAYA['email']} (not usable)" in said(page)
    assert links(page) == []
    async with desk.browsing("ana") as browser:
        shown = (await browser.get(f"/v1/tasks/{task.id}")).json()["customer"]
    assert shown["unusable"] == ["email", "phone"]


async def _marked(desk: Desk, task: FollowUpTask, *names: str) -> None:
    """Have the task's customer carry what ingest found unusable."""
    from sqlalchemy import update  # noqa: PLC0415 - only this look behind the scenes

    from services.loop.tasks.tables import tasks  # noqa: PLC0415

    async with desk.database.transaction() as tx:
        keys = await desk.person_keys.for_reading(tx, [task.person_ref])
        key = keys[task.person_ref]
        assert task.sealed_person is not None
        document = open_document(key, task.sealed_person, context=task.response_id)
        sealed = seal_document(
            key, {**document, "unusable": list(names)}, context=task.response_id
        )
        await tx.execute(
            update(tasks).where(tasks.c.id == task.id).values(sealed_person=sealed)
        )


@pytest.mark.parametrize("phone", ["javascript:alert(1)", "12", "+46 70 \u202e321", "0;1"])
async def test_only_what_can_be_dialled_becomes_a_link(desk: Desk, phone: str) -> None:
    block = {"phone": phone, "email": '"><script>@x'}
    task = await desk.hears("Late.", customer="c-1", block=block)

    page = await page_of(desk, task)

    assert links(page) == []
    assert "<script>@x" not in page.text


async def test_the_interface_shows_consent_as_it_was_given(desk: Desk) -> None:
    block = {**MAYA, "consent": {"follow_up": True, "news": False}, "do_not_contact": True}
    task = await desk.hears("Late.", customer="c-1", block=block)

    async with desk.browsing("ana") as browser:
        shown = (await browser.get(f"/v1/tasks/{task.id}")).json()["customer"]

    assert shown == {"id": "c-1", **block}
    assert callable(document_of)


# ------------------------------------------------------------------ a changed answer


async def test_a_task_closed_by_a_better_answer_says_so_at_the_top(desk: Desk) -> None:
    task = await desk.hears("Late.", customer="c-1", score=3)
    desk.clock.advance(timedelta(hours=1))
    await answers_again(desk, task, score=9)

    text = said(await page_of(desk, task))

    top = text.index("The customer changed the answer: 3/10 before, 9/10 now.")
    assert "It calls for no follow-up any more, so the task was closed." in text
    assert top < text.index("First contact")
    history = text[text.rindex("History") :]
    assert "Closed · The customer changed the answer Closed Loop" in history
    assert "The customer answered again · 3/10 before, 9/10 now" in history


async def test_a_promise_that_keeps_it_open_is_named(desk: Desk) -> None:
    task = await desk.hears("Late.", customer="c-1", score=3)
    await desk.act(
        task, LogContact(mode="phone", result="reached"), Agree(agreed="a slot"), by=UWE
    )
    await answers_again(desk, task, score=10)

    text = said(await page_of(desk, task))

    assert "The task stays open because of what was promised to the customer." in text
    assert "10/10 now · stays open because of what was promised" in text


async def test_a_worse_answer_that_opens_it_again_is_named(desk: Desk) -> None:
    task = await desk.hears("Late.", customer="c-1", score=3)
    await answers_again(desk, task, score=9)
    await answers_again(desk, task, score=0)

    text = said(await page_of(desk, task))

    assert "The customer changed the answer: 9/10 before, 0/10 now." in text
    assert "It calls for follow-up, so the task is open again." in text


async def test_another_metric_and_no_score_are_told_apart(desk: Desk) -> None:
    task = await desk.hears("Late.", customer="c-1", score=3)
    await answers_again(desk, task, score=1, metric="csat")
    assert "3/10 before, 1/5 now" in said(await page_of(desk, task))

    nothing = {"score": None, "measurement": "unsolicited", "sentiment": "negative"}
    await answers_again(desk, task, metric="csat", **nothing)
    text = said(await page_of(desk, task))
    assert "1/5 before, no score now" in text
    assert "3/10 before, 1/5 now" in text


async def test_words_that_were_added_are_no_change_of_the_score(desk: Desk) -> None:
    task = await desk.hears(None, customer="c-1", score=3)
    await answers_again(desk, task, score=3, comment="And nobody called.")

    text = said(await page_of(desk, task))

    assert "The customer answered again; the score is as before: 3/10." in text


async def test_what_came_after_staff_ended_it_is_shown_and_what_came_before_is_not(
    desk: Desk,
) -> None:
    task = await desk.hears("Late.", customer="c-1", score=3)
    await answers_again(desk, task, score=2)
    await desk.act(task, Close(reason="duplicate", note="see the other one"), by=UWE)
    assert "2/10 now." not in said(await page_of(desk, task))

    await answers_again(desk, task, score=1)

    text = said(await page_of(desk, task))
    assert "The task had ended before. Please look whether to open it again." in text
    await desk.act(task, by=UWE)
    await answers_again(desk, task, score=9)
    assert "9/10 now. " in said(await page_of(desk, task))
