"""The pages of webhooks in a browser, without a script."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page

from services.notify.domain.deliveries import Channel, Outcome, Verdict
from tests.browser.looks import (
    DESK,
    complaints_of,
    expect_no_broken_rule,
    open_details,
    runs_out_by,
)
from tests.webhook_desk import WebhookDesk, webhook_desk_on

pytestmark = [pytest.mark.chromium, pytest.mark.asyncio(loop_scope="session")]

LIST = "/settings/webhooks"
LONG = f"https://crm.example.com/hooks/{'a-long-path' * 12}"
GONE = Outcome(verdict=Verdict.GONE, reason="receiver_gone", code=410, reply="go away " * 40)
DOWN = Outcome(verdict=Verdict.TRANSIENT, reason="http_500", code=500, reply="no " * 400)
PAGES = ["list", "empty", "webhook", "off", "delivery", "shown"]


@dataclass
class Front:
    """A desk at an address, and the browser to look at it."""

    desk: WebhookDesk
    url: str
    browser: Browser
    paths: dict[str, str]

    async def page(self, nick: str, **how: object) -> Page:
        """Open a fresh profile, signed in as somebody."""
        context = await self.browser.new_context(base_url=self.url, **how)  # type: ignore[arg-type] # a mapping of options
        context.set_default_timeout(15_000)
        name, token = await self.desk.cookie(nick)
        await context.add_cookies([{"name": name, "value": token, "url": self.url}])
        return await context.new_page()

    async def show(self, page: Page, name: str) -> None:
        """Go to a page by its name; to the one that answers a form by way of the form."""
        if name != "shown":
            await page.goto(self.paths[name])
            return
        await page.goto(self.paths["webhook"])
        await page.locator("form#rotate select").select_option("0")
        await page.locator("form#rotate button").click()


@asynccontextmanager
async def _front(browser: Browser, folder: Path) -> AsyncIterator[Front]:
    async with (
        webhook_desk_on(str(folder / "desk.db")) as desk,
        desk.serving() as url,
    ):
        yield Front(desk=desk, url=url, browser=browser, paths={"list": LIST})


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def front(
    browser: Browser, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Front]:
    """The desk that the looking tests share."""
    async with _front(browser, tmp_path_factory.mktemp("webhooks")) as opened:
        house = opened.desk.house
        gone, _ = await house.webhook(LONG, detail="full")
        house.posts.answers = [GONE]
        await house.hear(await house.event(task_id="tsk_gone"))
        await house.dispatch()
        webhook, _ = await house.webhook()
        quiet, _ = await house.webhook("https://quiet.example.com/", events=("source.*",))
        house.posts.answers = [DOWN]
        await house.hear(await house.event(task_id="tsk_1"))
        await house.dispatch()
        (one,) = [
            each
            for each in await house.deliveries(Channel.WEBHOOK)
            if each.target == webhook.id
        ]
        opened.paths |= {
            "webhook": f"{LIST}/{webhook.id}",
            "off": f"{LIST}/{gone.id}",
            "empty": f"{LIST}/{quiet.id}",
            "delivery": f"{LIST}/{webhook.id}/deliveries/{one.id}",
        }
        yield opened


@pytest_asyncio.fixture(loop_scope="session")
async def own_front(browser: Browser, tmp_path: Path) -> AsyncIterator[Front]:
    """A desk of a test's own, with nothing in it."""
    async with _front(browser, tmp_path) as opened:
        yield opened


async def test_from_making_one_to_sending_what_was_held_without_a_script(
    own_front: Front,
) -> None:
    house = own_front.desk.house
    page = await own_front.page("dev", java_script_enabled=False)

    await page.goto(LIST)
    await page.get_by_label("URL").fill("https://10.0.0.1/")
    await page.get_by_role("button", name="Make the webhook").click()
    assert "public internet" in await page.get_by_role("alert").inner_text()
    await page.get_by_label("URL").fill("https://crm.example.com/hook")
    await page.get_by_label("Everything, also what is to come").check()
    await page.get_by_role("button", name="Make the webhook").click()
    secret = await page.get_by_label("Signing secret").input_value()
    assert secret.startswith("whsec_")
    await page.get_by_role("link", name="I have copied it").click()

    await page.get_by_role("button", name="Send a test event").click()
    await house.dispatch()
    assert list(house.posts.calls[0].secrets) == [secret]
    await page.reload()
    assert await page.get_by_text("The receiver took it.").is_visible()
    await page.get_by_role("link", name="crm.example.com").click()

    house.posts.answers = [GONE]
    await house.hear(await house.event())
    await house.dispatch()
    await page.reload()
    assert "410 Gone" in await page.locator(".note.bad").inner_text()
    await house.hear(await house.event(task_id="tsk_2"))
    await page.get_by_role("button", name="Switch it on").click()
    assert "1 message is held" in await page.locator("main").inner_text()
    await page.get_by_label("From when on?").fill("2026-03-02T09:00")
    await page.get_by_role("button", name="Do it").click()
    assert "on its way" in await page.get_by_role("status").inner_text()
    await house.dispatch()
    await page.get_by_role("link", name="delivered", exact=True).click()
    table = page.get_by_role("region", name="Table of what it was sent")
    assert await table.get_by_role("rowheader").count() == 3

    await page.get_by_label("Yes: nobody needs it any more").check()
    await page.get_by_role("button", name="Delete the webhook").click()
    assert "deleted" in await page.get_by_role("status").inner_text()
    await page.context.close()


@pytest.mark.parametrize("name", PAGES)
async def test_nothing_runs_out_of_a_phone(front: Front, name: str) -> None:
    page = await front.page("dev", viewport={"width": 320, "height": 640})

    await front.show(page, name)
    for width in (390, 320):
        await page.set_viewport_size({"width": width, "height": 844})
        await open_details(page)
        assert await runs_out_by(page) <= 0, width
    await page.context.close()


@pytest.mark.parametrize("name", ["empty", "off", "shown"])
async def test_the_pages_break_no_rule_of_accessibility(front: Front, name: str) -> None:
    page = await front.page("dev", viewport=DESK)
    complaints = complaints_of(page)

    await front.show(page, name)
    await open_details(page)
    await expect_no_broken_rule(page)
    assert complaints == []
    await page.context.close()


async def test_a_wrong_address_is_led_to_by_keyboard(front: Front) -> None:
    page = await front.page("dev", viewport=DESK)
    await page.goto(front.paths["webhook"])
    field = page.locator("form#settings").get_by_label("URL")
    await field.fill("ftp://crm.example.com/")
    await field.press("Enter")

    link = page.get_by_role("alert").get_by_role("link")
    await link.focus()
    await page.keyboard.press("Enter")
    await page.keyboard.type("x")

    assert await field.evaluate("one => one === document.activeElement")
    assert await field.get_attribute("aria-invalid") == "true"
    assert "ftp://crm.example.com/" in await field.input_value()
    await page.context.close()
