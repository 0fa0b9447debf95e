"""The pages of dead letters in a browser: on a phone, by keyboard, without a script."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page

from services.notify.domain.deliveries import Channel
from shared.db import dead_letter
from shared.db.dead_letter import Undeliverable
from shared.events import topics
from tests.browser.looks import DESK, PHONE, complaints_of, expect_no_broken_rule, runs_out_by
from tests.webhook_desk import WebhookDesk, webhook_desk_on

pytestmark = [pytest.mark.chromium, pytest.mark.asyncio(loop_scope="session")]

LIST = "/settings/dead-letters/notify"
LONG = b'{"one_long_word": "' + b"x" * 3_000 + b'"}'
PAGES = ["list", "all", "empty", "letter", "unreadable", "opened", "rehearsed", "refused"]


@dataclass
class Front:
    """A desk with dead letters at an address, and the browser to look at it."""

    desk: WebhookDesk
    url: str
    browser: Browser
    paths: dict[str, str]

    async def page(self, nick: str = "ada", **how: object) -> Page:
        """Open a fresh profile, signed in as somebody."""
        context = await self.browser.new_context(base_url=self.url, **how)  # type: ignore[arg-type] # a mapping of options
        context.set_default_timeout(15_000)
        name, token = await self.desk.cookie(nick)
        await context.add_cookies([{"name": name, "value": token, "url": self.url}])
        return await context.new_page()

    async def show(self, page: Page, name: str) -> None:
        """Go to a page by its name; to those that answer a form by way of the form."""
        if name == "opened":
            await page.goto(self.paths["unreadable"])
            await page.get_by_role("button", name="Show what it says").click()
        elif name == "rehearsed":
            await page.goto(LIST)
            await page.get_by_role("button", name="Rehearse it").click()
        elif name == "refused":
            await page.goto(self.paths["letter"])
            await page.locator("form#discard").get_by_label("Why?").fill("not one of ours")
            await page.get_by_role("button", name="Discard it").click()
            await page.get_by_role("alert").wait_for()
        else:
            await page.goto(self.paths[name])


async def park(desk: WebhookDesk, n: int, *, body: bytes | None = None) -> None:
    """Set a record aside: an event of a task, or those bytes."""
    one = await desk.house.event(task_id=f"tsk_{n}", event_id=f"evt_{n}")
    readable = body is None
    letter = Undeliverable(
        topic=topics.TASKS,
        partition=3,
        offset=10_000_000 + n,
        key="per_1",
        body=one.envelope.encode() if body is None else body,
        headers={},
        error="KeyError at a_file_with_a_long_name_that_cannot_be_broken.py:1234" * 3,
        digest="d" * 64,
        tries=3 if readable else 1,
        event_id=one.envelope.id if readable else None,
        event_type=one.envelope.type if readable else None,
    )
    async with desk.house.database.transaction() as tx:
        await dead_letter.park(
            tx,
            [letter],
            consumer="notify",
            keyring=desk.house.keyring,
            now=desk.house.clock.now(),
        )


@asynccontextmanager
async def _front(browser: Browser, folder: Path) -> AsyncIterator[Front]:
    async with (
        webhook_desk_on(str(folder / "desk.db")) as desk,
        desk.serving() as url,
    ):
        yield Front(desk=desk, url=url, browser=browser, paths={})


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def front(
    browser: Browser, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Front]:
    """The desk that the looking tests share: they settle nothing."""
    async with _front(browser, tmp_path_factory.mktemp("letters")) as opened:
        for n in range(1, 4):
            await park(opened.desk, n)
        await park(opened.desk, 4, body=LONG)
        unreadable, *_, readable = await opened.desk.letters.list()
        opened.paths |= {
            "list": LIST,
            "all": f"{LIST}?state=all",
            "letter": f"{LIST}/{readable.id}",
            "unreadable": f"{LIST}/{unreadable.id}",
        }
        yield opened


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def tidy(
    browser: Browser, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Front]:
    """A desk where nothing waits."""
    async with _front(browser, tmp_path_factory.mktemp("tidy")) as opened:
        opened.paths["empty"] = LIST
        yield opened


@pytest_asyncio.fixture(loop_scope="session")
async def own_front(browser: Browser, tmp_path: Path) -> AsyncIterator[Front]:
    """A desk of a test's own."""
    async with _front(browser, tmp_path) as opened:
        yield opened


async def test_from_the_list_to_one_effect_on_a_phone_without_a_script(
    own_front: Front,
) -> None:
    """Look, open, rehearse, replay one, replay the rest, discard what is not ours."""
    desk = own_front.desk
    for n in range(1, 4):
        await park(desk, n)
    await park(desk, 4, body=b"not JSON")
    page = await own_front.page(
        java_script_enabled=False,
        viewport=PHONE,
        has_touch=True,
    )

    await page.goto(LIST)
    assert "4 wait" in await page.locator("main").inner_text()
    await page.get_by_role("link", name="unreadable").click()
    await page.get_by_role("button", name="Show what it says").click()
    assert await page.locator("pre").inner_text() == "not JSON"
    await page.locator("form#discard").get_by_label("Why?").fill("not one of ours")
    await page.get_by_role("button", name="Discard it").click()
    assert "cannot be undone" in await page.get_by_role("alert").inner_text()
    await page.get_by_label("Yes: nobody will ever need what it says").check()
    await page.get_by_role("button", name="Discard it").click()
    assert "discarded" in await page.get_by_role("status").inner_text()

    await page.get_by_role("link", name="task.opened.v1").first.click()
    await page.get_by_role("button", name="Rehearse it").click()
    assert "It takes effect." in await page.locator(".note").inner_text()
    assert await desk.house.deliveries() == []
    await page.get_by_label("Why?").first.fill("repaired")
    await page.get_by_role("button", name="Replay it").click()
    assert "It takes effect." in await page.get_by_role("status").inner_text()
    assert len(await desk.house.deliveries(Channel.EMAIL)) == 1

    await page.goto(LIST)
    await page.get_by_label("Why?").fill("repaired")
    await page.get_by_role("button", name="Replay them").click()
    assert "2 were replayed." in await page.get_by_role("status").inner_text()
    assert len(await desk.house.deliveries(Channel.EMAIL)) == 3
    assert "Nothing waits here" in await page.locator("main").inner_text()
    await page.context.close()


@pytest.mark.parametrize("name", PAGES)
async def test_nothing_runs_out_of_a_phone(front: Front, tidy: Front, name: str) -> None:
    at = tidy if name == "empty" else front
    page = await at.page(viewport={"width": 320, "height": 640})

    await at.show(page, name)
    for width in (390, 320):
        await page.set_viewport_size({"width": width, "height": 844})
        assert await runs_out_by(page) <= 0, width
    await page.context.close()


@pytest.mark.parametrize("name", ["empty", "opened", "rehearsed", "refused"])
async def test_the_pages_break_no_rule_of_accessibility(
    front: Front, tidy: Front, name: str
) -> None:
    at = tidy if name == "empty" else front
    page = await at.page(viewport=DESK)
    complaints = complaints_of(page)

    await at.show(page, name)
    await expect_no_broken_rule(page)
    assert complaints == []
    await page.context.close()


async def test_a_deed_that_nobody_is_sure_of_is_led_to_by_keyboard(front: Front) -> None:
    page = await front.page(viewport=DESK)
    await front.show(page, "refused")

    link = page.get_by_role("alert").get_by_role("link").first
    await link.focus()
    await page.keyboard.press("Enter")
    await page.keyboard.press("Tab")
    await page.keyboard.press("Space")
    box = page.get_by_label("Yes: nobody will ever need what it says")

    assert await box.is_checked()
    reason = page.locator("form#discard").get_by_label("Why?")
    assert await reason.input_value() == "not one of ours"
    await page.context.close()
