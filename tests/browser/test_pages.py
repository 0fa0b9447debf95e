"""The pages in a browser: worked with no script, on a phone, in both themes, by everybody."""

from __future__ import annotations

import pytest

from services.loop.tasks.domain.task import TaskState
from tests.browser.conftest import Office
from tests.browser.looks import (
    DESK,
    PHONE,
    complaints_of,
    expect_no_broken_rule,
    open_details,
    runs_out_by,
    too_low,
)
from tests.desk import HOSTILE, PASSWORD

pytestmark = [pytest.mark.chromium, pytest.mark.asyncio(loop_scope="session")]

SETTINGS = ["settings", "touchpoints", "touchpoint", "lists", "code", "departments"]
PAGES = ["queue", "empty", "task", "themes", "theme", "scores", "missing", *SETTINGS]


async def test_from_sign_in_to_resolved_without_a_script(own_office: Office) -> None:
    page = await own_office.page(java_script_enabled=False)

    await page.goto("/")
    await page.get_by_label("E-mail address").fill("ana@example.org")
    await page.get_by_label("Password").fill(PASSWORD)
    await page.get_by_role("button", name="Sign in").click()

    await page.get_by_role("link", name="Maya Lindqvist").click()
    assert await page.get_by_role("heading", level=1).inner_text() == "Maya Lindqvist"
    task_id = page.url.rpartition("/")[2]

    await page.get_by_role("button", name="Claim this task").click()
    assert "The task is yours now." in await page.get_by_role("status").inner_text()

    contact = page.locator("form#contacts")
    await contact.get_by_label("Reached").check()
    await contact.get_by_label("What they said").fill("Said sorry; she was kind.")
    await contact.get_by_role("button", name="Save contact").click()
    assert "made late" in await page.locator(".clocks").inner_text()

    await page.get_by_text("Record what was agreed (V)").click()
    agreement = page.locator("form#agreement")
    await agreement.get_by_label("What was agreed").fill("A call on Tuesday.")
    await agreement.get_by_role("button", name="Save agreement").click()

    await page.get_by_role("button", name="Eliminate").click()

    resolve = page.locator("form#resolve")
    await resolve.get_by_label("Solved", exact=True).check()
    await resolve.get_by_role("group", name="content").get_by_label("Yes").check()
    await resolve.get_by_label("Process").check()
    await resolve.get_by_label("Root cause").fill("Too few people at the phones.")
    await resolve.get_by_role("group", name="avoidable").get_by_label("Yes").check()
    await resolve.get_by_role("button", name="Resolve").click()

    assert "The task is resolved." in await page.get_by_role("status").inner_text()
    (task,) = [task for task in await own_office.desk.tasks() if task.id == task_id]
    assert task.state is TaskState.RESOLVED

    await page.get_by_role("button", name="Sign out").click()
    await page.goto("/")
    assert "/sign-in" in page.url


@pytest.mark.parametrize("name", [*PAGES, "sign-in"])
async def test_nothing_runs_out_of_a_phone(office: Office, name: str) -> None:
    # In German, whose words are the longer ones.
    signed_in = None if name == "sign-in" else "uwe"
    page = await office.page(signed_in, viewport={"width": 320, "height": 640})

    for width in (390, 320):
        await page.set_viewport_size({"width": width, "height": 844})
        await page.goto(office.paths.get(name, "/sign-in"))
        assert await runs_out_by(page) <= 0, width
    await page.context.close()


@pytest.mark.parametrize("name", ["queue", "empty", "task", "missing", "sign-in"])
async def test_the_pages_break_no_rule_of_accessibility(office: Office, name: str) -> None:
    page = await office.page(None if name == "sign-in" else "ana", viewport=DESK)
    complaints = complaints_of(page)

    await page.goto(office.paths.get(name, "/sign-in"))
    await open_details(page)
    await expect_no_broken_rule(page)
    assert complaints == []
    await page.context.close()


@pytest.mark.parametrize("name", ["queue", "empty", "task", "missing", "sign-in"])
async def test_what_can_be_touched_is_large_enough(office: Office, name: str) -> None:
    signed_in = None if name == "sign-in" else "ana"
    page = await office.page(signed_in, viewport=PHONE, has_touch=True)

    await page.goto(office.paths.get(name, "/sign-in"))
    assert await too_low(page) == []
    await page.context.close()


async def test_everything_is_reached_by_keyboard_and_the_focus_is_seen(office: Office) -> None:
    page = await office.page("ana", viewport=DESK)
    await page.goto("/")

    await page.keyboard.press("Tab")
    skip = page.get_by_role("link", name="Skip to the content")
    assert await skip.evaluate("one => one === document.activeElement")
    assert (await skip.bounding_box() or {"y": -1})["y"] >= 0
    await page.keyboard.press("Enter")
    await page.keyboard.press("Tab")

    inside = await page.evaluate("document.activeElement.closest('main') !== null")
    ring = await page.evaluate("getComputedStyle(document.activeElement).outlineWidth")
    assert inside
    assert ring == "3px"
    await page.context.close()


async def test_german_pages_are_german(office: Office) -> None:
    page = await office.page("uwe", viewport=DESK)

    await page.goto(office.paths["task"])
    text = await page.locator("body").inner_text()

    assert await page.locator("html").get_attribute("lang") == "de"
    for words in (
        "Erster Kontakt",
        "Kontakt festhalten",
        "Verlauf",
        "Diese Aufgabe übernehmen",
    ):
        assert words in text
    for words in ("First contact", "Log a contact", "History", "Claim"):
        assert words not in text
    quote = page.locator("blockquote .words")
    assert await quote.get_attribute("lang") == "en"
    await page.context.close()


async def test_a_hostile_comment_is_only_text(office: Office) -> None:
    page = await office.page("ana", viewport=DESK)
    dialogs: list[str] = []
    page.on("dialog", lambda dialog: dialogs.append(dialog.message))
    mallory = next(task for task in office.tasks if task.score == 2 and task.segment is None)

    await page.goto(f"/tasks/{mallory.id}")
    shown = await page.locator("blockquote .words").inner_text()

    assert " ".join(shown.split()) == " ".join(HOSTILE.split())
    assert "owned" not in await page.title()
    assert await page.locator("main script, main img").count() == 0
    assert dialogs == []
    # Marks that turn the direction of writing end with the quotation.
    assert (
        await page.locator("blockquote .words").evaluate(
            "one => getComputedStyle(one).unicodeBidi"
        )
        == "isolate"
    )
    await page.context.close()


async def test_paper_shows_the_task_and_no_forms(office: Office) -> None:
    page = await office.page("ana", viewport=DESK)
    await page.emulate_media(media="print")

    await page.goto(office.paths["task"])

    assert await page.get_by_text("Waited").first.is_visible()
    assert not await page.locator("form#contacts").is_visible()
    assert not await page.locator(".top").is_visible()
    await page.context.close()
