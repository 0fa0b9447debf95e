"""The queue full of people, a customer, a team: by keyboard, without a script, on a phone."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, expect

from tests.browser.conftest import Office, crowded_office
from tests.browser.looks import (
    DESK,
    PHONE,
    broken_rules,
    complaints_of,
    expect_no_broken_rule,
    runs_out_by,
    too_low,
)

pytestmark = [pytest.mark.chromium, pytest.mark.asyncio(loop_scope="session")]

PAGES = {
    "crowd": "/?limit=200&pick=all",
    "folded out": "/?tab=open&metric=nps",
    "empty": "/?tab=escalated",
    "nothing fits": "/?q=nobody",
    "customer": "",
    "team": "/team",
    "keyboard": "/keyboard",
}


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def crowd(
    browser: Browser, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Office]:
    """An office with two hundred unhappy customers who have long names."""
    async with crowded_office(browser, tmp_path_factory.mktemp("crowd")) as office:
        yield office


def path_of(office: Office, name: str) -> str:
    return PAGES[name] or f"/customers/{office.tasks[0].person_ref}"


def reader_of(name: str) -> str:
    return "uwe" if name == "team" else "ana"


@pytest.mark.parametrize("name", PAGES)
async def test_nothing_runs_out_of_a_phone(crowd: Office, name: str) -> None:
    page = await crowd.page("uwe", viewport={"width": 390, "height": 844})

    for width in (390, 320):
        await page.set_viewport_size({"width": width, "height": 844})
        await page.goto(path_of(crowd, name))
        assert await runs_out_by(page) <= 0, width
    await page.context.close()


@pytest.mark.parametrize("name", PAGES)
async def test_the_pages_break_no_rule_of_accessibility(crowd: Office, name: str) -> None:
    page = await crowd.page(reader_of(name), viewport=DESK)
    complaints = complaints_of(page)

    # Fifty rows are as good as two hundred here, and four times as fast.
    await page.goto(path_of(crowd, name).replace("limit=200", "limit=50"))
    await expect_no_broken_rule(page)
    assert complaints == []
    await page.context.close()


@pytest.mark.parametrize("name", PAGES)
async def test_what_can_be_touched_is_large_enough(crowd: Office, name: str) -> None:
    """24 px with a mouse and 44 with a finger, links in running text aside."""
    for viewport, least in ((DESK, 24), (PHONE, 43.5)):
        touching = least > 24
        page = await crowd.page(reader_of(name), viewport=viewport, has_touch=touching)
        await page.goto(path_of(crowd, name))
        assert await too_low(page, least) == [], viewport
        await page.context.close()


async def test_several_tasks_are_done_and_taken_back_without_a_script(
    own_office: Office,
) -> None:
    page = await own_office.page("ana", java_script_enabled=False)
    await page.goto("/?tab=team")
    before = await page.get_by_role("heading", level=1).inner_text()

    for box in (await page.get_by_role("checkbox").all())[:2]:
        await box.check()
    await page.locator("form#bulk").get_by_role("button", name="Assign").click()
    await page.get_by_label("New owner").select_option(label="Ole Berg")
    await page.get_by_label("Reason").fill("He has time.")
    await page.get_by_role("button", name="Preview").click()
    assert "2 tasks will be changed." in await page.get_by_role("status").inner_text()
    await page.get_by_role("button", name="Do it").click()

    assert "2 tasks were changed." in await page.locator("form.note").inner_text()
    assert await page.get_by_role("heading", level=1).inner_text() != before
    await page.get_by_role("button", name="Take it back").click()
    assert "It is taken back." in await page.locator("main").inner_text()
    assert await page.get_by_role("heading", level=1).inner_text() == before


async def test_a_form_for_many_with_errors_and_left_out_rows_breaks_no_rule(
    own_office: Office,
) -> None:
    page = await own_office.page("ana", viewport=PHONE)
    await page.goto("/?tab=team&pick=all")
    await page.locator("form#bulk").get_by_role("button", name="Close").click()
    await page.locator("form.card").evaluate("form => { form.noValidate = true; }")
    await page.get_by_role("button", name="Preview").click()
    assert "This was not saved." in await page.get_by_role("alert").inner_text()
    wrong = await broken_rules(page)

    await page.get_by_label("The customer cannot be reached").check()
    await page.get_by_label("Note").fill("Nobody answers.")
    await page.get_by_role("button", name="Preview").click()
    assert "left out:" in await page.locator("main").inner_text()
    left_out = await broken_rules(page)

    assert wrong == []
    assert left_out == []


async def focused(page: Page) -> str:
    """Return what has the focus."""
    found: str = await page.evaluate(
        "(document.activeElement.id || document.activeElement.innerText || '').trim()"
    )
    return found


async def test_a_morning_by_keys_alone(own_office: Office) -> None:
    page = await own_office.page("ana", viewport=DESK)
    await page.goto("/")
    names = await page.locator(".queue h2 a").all_inner_texts()

    await page.keyboard.press("j")
    assert await focused(page) == names[0]
    await page.keyboard.press("j")
    await page.keyboard.press("Alt+j")
    assert await focused(page) == names[2]
    await page.keyboard.press("k")
    assert await focused(page) == names[1]
    await page.keyboard.press("x")
    assert await page.locator(".pick input:checked").count() == 1
    await page.keyboard.press("k")
    await page.keyboard.press("o")
    await page.wait_for_url(re.compile("/tasks/"))

    await page.keyboard.press("m")
    assert await focused(page) == "Claim this task"
    await page.keyboard.press("Enter")
    await page.wait_for_url(re.compile("done=claim"))

    await page.keyboard.press("c")
    await page.keyboard.press("p")
    await page.keyboard.press("Tab")
    assert await page.locator("form#contacts input[value=phone]").is_checked()
    await page.locator("form#contacts input[value=reached]").focus()
    await page.keyboard.press("Space")
    await page.locator("form#contacts textarea").first.focus()
    await page.keyboard.type("juno and k, no shortcut here?")
    assert await page.locator("dialog[open]").count() == 0
    await page.keyboard.press("Control+Enter")
    await page.wait_for_url(re.compile("done=contacts"))
    assert "juno and k" in await page.locator("main").inner_text()

    await page.locator("body").click(position={"x": 2, "y": 2})
    await page.keyboard.press("g")
    await page.keyboard.press("t")
    await page.wait_for_url(re.compile("/themes"))
    await page.keyboard.press("u")
    await page.wait_for_url(own_office.url + "/")
    await page.keyboard.press("/")
    assert await focused(page) == "filter-q"


async def test_single_keys_are_switched_off_in_the_sheet_and_the_others_stay(
    own_office: Office,
) -> None:
    page = await own_office.page("ana", viewport=DESK)
    await page.goto("/")
    await page.keyboard.press("?")
    sheet = page.get_by_role("dialog")
    await expect(sheet).to_be_visible()
    assert await broken_rules(page) == []

    await sheet.get_by_role("checkbox").uncheck()
    await page.keyboard.press("Escape")
    await expect(sheet).to_have_count(0)
    await page.reload()
    await page.keyboard.press("j")
    still = await page.evaluate("document.activeElement === document.body")
    await page.keyboard.press("Alt+j")
    names = await page.locator(".queue h2 a").all_inner_texts()

    assert still
    assert await focused(page) == names[0]
    await page.keyboard.press("Control+/")
    await expect(page.get_by_role("dialog")).to_be_visible()
    assert not await page.get_by_role("dialog").get_by_role("checkbox").is_checked()


async def test_new_tasks_are_announced_and_never_pushed_in(own_office: Office) -> None:
    page = await own_office.page("ana", viewport=DESK)
    await page.clock.install()
    await page.goto("/")
    said = page.locator("#news [role=status]")
    before = await page.locator(".queue > li").count()

    for n in range(3):
        await own_office.desk.hears("Just now.", customer=f"c-new-{n}")
    await page.clock.run_for(31_000)
    await expect(said).to_have_text("3 new tasks, show")
    assert await page.locator(".queue > li").count() == before

    await page.locator("#news button").click()
    await own_office.desk.hears("And another.", customer="c-new-4")
    await page.clock.run_for(61_000)
    assert await said.inner_text() == "3 new tasks, show"
    await page.locator("#news button").click()
    await page.clock.run_for(31_000)
    await expect(said).to_have_text("4 new tasks, show")

    await said.get_by_role("link").click()
    await expect(page.locator(".queue > li")).to_have_count(before + 4)
