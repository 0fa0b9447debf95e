"""A working day without mouse and without script, on pages full of people with long names."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.async_api import Browser, Page

from services.loop.tasks.domain.task import TaskState
from tests.browser.conftest import crowded_office
from tests.browser.hands import Hands
from tests.browser.looks import DESK
from tests.desk import PASSWORD

pytestmark = [pytest.mark.chromium, pytest.mark.asyncio(loop_scope="session")]


async def heading(page: Page) -> str:
    return await page.get_by_role("heading", level=1).inner_text()


async def test_a_day_by_keyboard_alone_and_without_a_script(
    browser: Browser, tmp_path: Path
) -> None:
    async with crowded_office(browser, tmp_path) as office:
        hands = Hands(await office.page(java_script_enabled=False, viewport=DESK))

        await begin(hands)
        await find_and_take(hands)
        await call_and_agree(hands)
        await resolve(hands)
        maya = next(task for task in office.tasks if task.score == 4)
        (task,) = await office.desk.tasks(response_id=maya.response_id)
        assert task.state is TaskState.RESOLVED
        await hand_over_the_next_one(hands)
        await give_two_away_and_take_them_back(hands)
        await go_home(hands)
        await hands.page.context.close()


async def begin(hands: Hands) -> None:
    """Mistype the password, then see two hundred people who wait."""
    page = hands.page
    await page.goto("/?limit=200")
    await hands.type(page.get_by_label("E-mail address"), "ana@example.org")
    await hands.type(page.get_by_label("Password"), "something else")
    await page.keyboard.press("Enter")
    await page.get_by_role("alert").wait_for()
    await hands.type(page.get_by_label("Password"), PASSWORD)
    await page.keyboard.press("Enter")
    await page.locator(".queue > li").nth(199).wait_for()


async def find_and_take(hands: Hands) -> None:
    """Look for somebody in the crowd and take the task."""
    page = hands.page
    await hands.skip_to_content()
    await hands.type(page.locator("#filter-q"), "Maya")
    await page.keyboard.press("Enter")
    await page.wait_for_url(re.compile("q=Maya"))
    await hands.press(page.get_by_role("link", name="Maya Lindqvist"))
    await page.wait_for_url(re.compile("/tasks/"))
    assert await heading(page) == "Maya Lindqvist"
    await hands.press(page.get_by_role("button", name="Claim this task"))
    await page.get_by_text("The task is yours now.").wait_for()


async def call_and_agree(hands: Hands) -> None:
    """Write the call down, then what was agreed: first with nothing but blanks."""
    page = hands.page
    contact = page.locator("form#contacts")
    await hands.choose(contact.get_by_label("Reached"))
    await hands.type(contact.get_by_label("What they said"), "Said sorry; she was kind.")
    await hands.press(contact.get_by_role("button", name="Save contact"))
    await page.locator(".clocks", has_text="made late").wait_for()

    await hands.press(page.get_by_text("Record what was agreed (V)"))
    agreement = page.locator("form#agreement")
    await hands.type(agreement.get_by_label("What was agreed"), "   ")
    await hands.press(agreement.get_by_role("button", name="Save agreement"))
    await hands.press(page.get_by_role("alert").get_by_role("link"))
    await page.keyboard.type("A call on Tuesday.")
    await hands.press(agreement.get_by_role("button", name="Save agreement"))
    await page.locator(".facts", has_text="A call on Tuesday.").wait_for()
    await hands.press(page.get_by_role("button", name="Eliminate"))
    await page.get_by_text("The step is in the history.").wait_for()


async def resolve(hands: Hands) -> None:
    """Fill in all that the end asks for."""
    page = hands.page
    form = page.locator("form#resolve")
    await hands.choose(form.get_by_label("Solved", exact=True))
    await hands.choose(form.get_by_role("group", name="content").get_by_label("Yes"))
    await hands.choose(form.get_by_label("Process"))
    await hands.type(form.get_by_label("Root cause"), "Too few people.")
    await hands.choose(form.get_by_role("group", name="avoidable").get_by_label("Yes"))
    await hands.press(form.get_by_role("button", name="Resolve"))
    await page.get_by_text("The task is resolved.").wait_for()


async def hand_over_the_next_one(hands: Hands) -> None:
    """Take what is due next, note something, and give it to a colleague who has time."""
    page = hands.page
    await hands.press(page.locator("main").get_by_role("link", name="My queue"))
    await hands.press(page.get_by_role("button", name="Take the next task"))
    await page.wait_for_url(re.compile("/tasks/"))
    await hands.press(page.get_by_text("Write a note"))
    await hands.type(page.locator("form#notes textarea"), "Ole knows her.")
    await hands.press(page.get_by_role("button", name="Save note"))
    await page.locator(".history", has_text="Ole knows her.").wait_for()
    await hands.press(page.get_by_text("Assign to a colleague"))
    await hands.type(page.get_by_label("New owner"), "Ole")
    await hands.type(page.locator("form#assign textarea"), "He has time.")
    await hands.press(page.locator("form#assign button"))
    await page.locator(".clocks", has_text="Ole Berg").wait_for()


async def give_two_away_and_take_them_back(hands: Hands) -> None:
    """Choose two of a long list."""
    page = hands.page
    await page.goto("/?tab=team&limit=200")
    boxes = page.locator(".pick input")
    await hands.tick(boxes.nth(0))
    await hands.tick(boxes.nth(1))
    await hands.press(page.locator("form#bulk").get_by_role("button", name="Assign"))
    await hands.type(page.get_by_label("New owner"), "Ole")
    await hands.type(page.get_by_label("Reason"), "He has time.")
    await hands.press(page.get_by_role("button", name="Preview"))
    await page.get_by_text("2 tasks will be changed.").wait_for()
    await hands.press(page.get_by_role("button", name="Do it"))
    await page.get_by_text("2 tasks were changed.").wait_for()
    await hands.press(page.get_by_role("button", name="Take it back"))
    await page.get_by_text("It is taken back.").wait_for()


async def go_home(hands: Hands) -> None:
    """See what customers write about, and leave."""
    page = hands.page
    await hands.press(page.get_by_role("link", name="Themes"))
    await page.wait_for_url(re.compile("/themes"))
    await hands.press(page.get_by_role("button", name="Sign out"))
    await page.get_by_label("Password").wait_for()
