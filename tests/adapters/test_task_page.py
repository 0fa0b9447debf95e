"""A task's page at work: guide, steps and their order, advice, and colleagues nearby."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from html import unescape
from typing import Any

import httpx
import pytest
import pytest_asyncio

from services.loop.tasks.domain.task import FollowUpTask, TaskState
from shared.db.transaction import Database
from shared.identity.person_keys import PersonKeys
from shared.sealing import Keyring
from tests.adapters.test_promises import Promising
from tests.fakes import ManualClock

MAYA = {"name": "Maya Lindqvist", "email": "maya@example.org", "consent": {"follow_up": True}}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
GUIDE = {
    "en": "Say sorry for the evening lost.",
    "de": "Um Entschuldigung bitten.",
    "da": "Sig undskyld for aftenen.",
}


@pytest_asyncio.fixture
async def desk(
    database_of: Callable[[str], Database],
    clock: ManualClock,
    keyring: Keyring,
    person_keys: PersonKeys,
) -> AsyncIterator[Promising]:
    opened = Promising(
        database=database_of("loop"), clock=clock, keyring=keyring, person_keys=person_keys
    )
    await opened.open_for_business()
    yield opened


def said(answer: httpx.Response) -> str:
    """Return what a page says, without its markup."""
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", answer.text)).split())


async def send(
    browser: httpx.AsyncClient, task: FollowUpTask, name: str, **fields: str
) -> httpx.Response:
    """Send one of a task's forms."""
    return await browser.post(f"/tasks/{task.id}/{name}", data=fields, headers=FORM)


async def now_of(desk: Promising, task: FollowUpTask) -> FollowUpTask:
    return (await desk.tasks(response_id=task.response_id))[0]


def form_of(page: str, name: str) -> str:
    match = re.search(
        rf'<form method="post" action="/tasks/[^"]+/{name}".*?</form>', page, re.DOTALL
    )
    assert match is not None
    return match[0]


async def test_from_the_mails_link_to_a_logged_contact_it_takes_three_clicks(
    desk: Promising,
) -> None:
    """The link, a result, and saving: everything else is filled in before."""
    task = await desk.hears("waited", customer="c-1", block=MAYA)

    async with desk.browsing("ana") as browser:
        page = await browser.get(f"/tasks/{task.id}")
        clicks = 1
        form = form_of(page.text, "contacts")
        fields = dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', form))
        choices = re.findall(
            r'type="radio" name="(\w+)" value="(\w+)" required( checked)?', form
        )
        for name in dict.fromkeys(name for name, _, _ in choices):
            chosen = [value for of, value, checked in choices if of == name and checked]
            if chosen:
                fields[name] = chosen[0]
            else:
                fields[name] = next(value for of, value, _ in choices if of == name)
                clicks += 1
        assert not re.search(r"<(textarea|select)[^>]* required", form)
        clicks += 1
        answer = await send(browser, task, "contacts", **fields)

    assert clicks <= 3
    assert answer.status_code == 303
    assert (await now_of(desk, task)).first_contact_at is not None


async def test_words_clock_and_guide_come_before_the_form(desk: Promising) -> None:
    await desk.publish(talk_guide=GUIDE, intended=["apologise", "repair"], mode="phone")
    task = await desk.hears("Nobody came.", customer="c-1", block=MAYA)

    async with desk.browsing("ana") as browser:
        page = (await browser.get(f"/tasks/{task.id}")).text

    places = [
        page.index(part)
        for part in ('class="clocks"', "Nobody came.", GUIDE["en"], 'id="contact-title"')
    ]
    assert places == sorted(places)
    assert "apologise and repair" in page
    assert "Voucher up to 30.00 EUR" in page


@pytest.mark.parametrize(
    ("block", "language", "guide"),
    [
        ({"language": "da-DK"}, "en", "da"),
        ({}, "de", "de"),
        ({"language": "fi"}, "fi", "en"),
    ],
)
async def test_the_guide_speaks_the_customers_language(
    desk: Promising, block: dict[str, Any], language: str, guide: str
) -> None:
    await desk.publish(talk_guide=GUIDE)
    task = await desk.hears("x", customer="c-1", block={**MAYA, **block}, language=language)

    async with desk.browsing("ana") as browser:
        page = (await browser.get(f"/tasks/{task.id}")).text

    assert f'lang="{guide}">{GUIDE[guide]}' in page


async def test_what_the_scheme_needs_and_nobody_knows_is_named(desk: Promising) -> None:
    await desk.publish(needs=["order number", "email", "product"])
    task = await desk.hears("x", customer="c-1", block=MAYA)
    known = await desk.hears(
        "y", customer="c-2", block=MAYA, attributes={"Order number": "4711"}, product="gold"
    )

    async with desk.browsing("ana") as browser:
        page = said(await browser.get(f"/tasks/{task.id}"))
        other = said(await browser.get(f"/tasks/{known.id}"))

    assert "Not known, and needed order number and product" in page
    assert "Not known, and needed" not in other


async def test_v_comes_before_e_and_e_before_d_with_the_reason_shown(desk: Promising) -> None:
    task = await desk.hears("x", customer="c-1", block=MAYA)

    async with desk.browsing("ana") as browser:
        before = said(await browser.get(f"/tasks/{task.id}"))
        refused = await send(browser, task, "steps", version="1", step="eliminate")
        await send(browser, task, "agreement", version="1", agreed="a new slot")
        after = said(await browser.get(f"/tasks/{task.id}"))

    assert "after V: first record what was agreed" in before
    assert "after E: first carry out what was agreed" in before
    assert refused.status_code == 409
    assert "Eliminate comes after verify" in said(refused)
    assert "after V: first record what was agreed" not in after


async def test_advice_on_words_that_hide_behind_a_rule_comes_after_saving(
    desk: Promising,
) -> None:
    task = await desk.hears("x", customer="c-1", block=MAYA)
    contact = {"mode": "phone", "result": "reached", "note": "Told her it's our policy"}

    async with desk.browsing("ana") as browser:
        answer = await send(browser, task, "contacts", version="1", **contact)
        page = said(await browser.get(answer.headers["location"]))
        plain = said(await browser.get(f"/tasks/{task.id}"))

    assert "policy" not in answer.headers["location"].replace("policy_phrase", "")
    assert "Your words talk of a rule" in page
    assert "Your words talk of a rule" not in plain
    assert (await now_of(desk, task)).tries == 1


async def test_who_came_second_sees_both_versions_and_keeps_their_words(
    desk: Promising,
) -> None:
    task = await desk.hears("x", customer="c-1", block=MAYA)

    async with desk.browsing("ole") as ole:
        await send(ole, task, "agreement", version="1", agreed="a refund")
    async with desk.browsing("ana") as ana:
        stale = await send(ana, task, "agreement", version="1", agreed="a new courier")

    assert stale.status_code == 412
    page = said(stale)
    assert "What was agreed: a refund" in page
    assert "Your version, not saved yet: What was agreed: a new courier" in page
    assert ">\na new courier</textarea>" in stale.text
    assert 'name="version" value="2"' in stale.text
    assert (await now_of(desk, task)).version == 2


async def test_who_else_has_the_task_open_is_shown_for_a_minute(desk: Promising) -> None:
    task = await desk.hears("x", customer="c-1", block=MAYA)

    async with desk.browsing("ole") as ole, desk.browsing("ana") as ana:
        alone = said(await ole.get(f"/tasks/{task.id}"))
        both = said(await ana.get(f"/tasks/{task.id}"))
        desk.clock.advance(timedelta(seconds=61))
        again = said(await ana.get(f"/tasks/{task.id}"))

    assert "Also open at" not in alone
    assert "Also open at: Ole Berg" in both
    assert "Also open at" not in again


async def test_a_remedy_is_offered_and_decided_on_the_page(desk: Promising) -> None:
    await desk.publish()
    task = await desk.hears("x", customer="c-1", block=MAYA)
    wanted = {"remedy": "voucher", "amount": "45,50", "currency": "eur"}

    async with desk.browsing("ana") as ana:
        wrong = await send(ana, task, "remedies", version="1", remedy="voucher", amount="lots")
        asked = await send(ana, task, "remedies", version="1", **wanted)
        page = await ana.get(f"/tasks/{task.id}")
    async with desk.browsing("uwe") as uwe:
        mine = await uwe.get(f"/tasks/{task.id}")
        decided = await send(uwe, task, "approve", version="2", n="1")

    assert wrong.status_code == 422
    assert asked.status_code == decided.status_code == 303
    assert "waits for approval" in said(page)
    assert f'action="/tasks/{task.id}/approve"' not in page.text
    assert f'action="/tasks/{task.id}/approve"' in mine.text
    assert (await now_of(desk, task)).record.remedies[0].state == "approved"


async def test_a_task_is_put_off_on_the_page(desk: Promising) -> None:
    task = await desk.hears("x", customer="c-1", block=MAYA)

    async with desk.browsing("ana") as browser:
        past = await send(browser, task, "snooze", version="1", until="2020-01-01T10:00")
        await send(browser, task, "snooze", version="1", until="2026-03-03T10:00")
        page = said(await browser.get(f"/tasks/{task.id}"))

    assert past.status_code == 422
    assert "Put off until" in page


async def test_the_end_says_what_it_was_good_for_and_what_the_customer_says(
    desk: Promising,
) -> None:
    task = await desk.hears("x", customer="c-1", block=MAYA, score=2)
    contact = {"mode": "phone", "result": "reached"}
    ending = {
        "outcome": "solved",
        "content": "yes",
        "cause_area": "finance",
        "cause": "late invoice",
        "avoidable": "yes",
        "lesson": "send it at once",
        "idea": "yes",
        "kept_customer": "yes",
    }

    async with desk.browsing("ana") as browser:
        await send(browser, task, "contacts", version="1", **contact)
        await send(browser, task, "agreement", version="2", agreed="a new one")
        await send(browser, task, "steps", version="3", step="eliminate")
        await send(browser, task, "resolve", version="4", **ending)
        page = said(await browser.get(f"/tasks/{task.id}"))
        desk.clock.advance(timedelta(days=20))
        await desk.take_in(await desk.response(customer="c-1", score=9))
    async with desk.browsing("ana") as browser:
        later = said(await browser.get(f"/tasks/{task.id}"))

    assert (await now_of(desk, task)).state is TaskState.RESOLVED
    assert "What it was good for The customer stays" in page
    assert "What it was good for An idea for us" in page
    assert "The customer is asked by mail whether it is settled" in page
    assert "Whether the customer was saved is pending: a later answer until" in page
    assert "Before: NPS 2/10. After, on" in later
    assert "NPS 9/10. The customer was saved." in later


async def test_what_is_missing_for_unreachable_stands_beside_the_form(
    desk: Promising,
) -> None:
    await desk.publish(attempts={"number": 3, "days": 2, "channels": 2})
    task = await desk.hears("x", customer="c-1", block=MAYA)

    async with desk.browsing("ana") as browser:
        page = said(await browser.get(f"/tasks/{task.id}"))
        closed = {"reason": "unreachable", "note": "gone"}
        refused = await send(browser, task, "close", version="1", **closed)

    assert "3 more tries, tries on 1 more day and tries by 1 more way" in page
    assert refused.status_code == 409


async def test_quiet_hours_are_named_before_anybody_calls(desk: Promising) -> None:
    quiet = {"number": 3, "quiet_hours": {"from": "20:00", "to": "08:00"}}
    await desk.publish(attempts=quiet)
    tokyo = {"time_zone": "Pacific/Honolulu"}
    task = await desk.hears("x", customer="c-1", block=MAYA, attributes=tokyo)

    async with desk.browsing("ana") as browser:
        page = said(await browser.get(f"/tasks/{task.id}"))

    assert "(Pacific/Honolulu): quiet hours until 08:00." in page
