"""The pages of sources and keys in a browser, without a script."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page

from tests.browser.looks import (
    DESK,
    PHONE,
    complaints_of,
    expect_no_broken_rule,
    open_details,
    runs_out_by,
    too_low,
)
from tests.front_desk import PASSWORD, FrontDesk, front_desk_on

pytestmark = [pytest.mark.chromium, pytest.mark.asyncio(loop_scope="session")]

SENT = {
    "survey": {"title": "After the visit"},
    "given": {"number": "v-4711", "points": "3", "words": "Waited for an hour. " * 8},
}
MENDED = """\
version: 1
answers: given
fields:
  external_id: number
  score: points
  comment: words
"""
PAGES = ["sources", "none", "source", "payload", "try", "keys", "key", "shown", "secret"]


@dataclass
class Front:
    """A front desk at an address, and the browser to look at it."""

    desk: FrontDesk
    url: str
    browser: Browser
    paths: dict[str, str]

    async def page(self, nick: str | None = None, **how: object) -> Page:
        """Open a fresh profile, signed in as somebody."""
        context = await self.browser.new_context(base_url=self.url, **how)  # type: ignore[arg-type] # a mapping of options
        context.set_default_timeout(15_000)
        if nick is not None:
            name, token = await self.desk.cookie(nick)
            await context.add_cookies([{"name": name, "value": token, "url": self.url}])
        return await context.new_page()

    async def show(self, page: Page, name: str) -> None:
        """Go to a page by its name; to those that answer a form by way of the form."""
        if name == "shown":
            await page.goto("/settings/keys?source=shop-de")
            await page.get_by_label("Name of the key").fill(f"key {id(page)}")
            await page.locator("form#new button").click()
        elif name == "secret":
            await page.goto("/settings/sources/shop-de")
            await page.locator("#secret details").last.locator("summary").click()
            await page.locator("#secret form").last.locator("button").click()
        else:
            await page.goto(self.paths[name])


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def front(
    browser: Browser, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Front]:
    """The desk that the looking tests share."""
    async with _front(browser, tmp_path_factory.mktemp("front")) as opened:
        yield opened


@pytest_asyncio.fixture(loop_scope="session")
async def own_front(browser: Browser, tmp_path: Path) -> AsyncIterator[Front]:
    """A desk of a test's own, with nothing in it."""
    async with (
        front_desk_on(str(tmp_path / "desk.db"), password=True) as desk,
        desk.serving() as url,
    ):
        yield Front(desk=desk, url=url, browser=browser, paths={})


@asynccontextmanager
async def _front(browser: Browser, folder: Path) -> AsyncIterator[Front]:
    async with front_desk_on(str(folder / "desk.db")) as desk, desk.serving() as url:
        await furnish(desk, url)
        async with desk.browsing("ada") as ada:
            listed = (await ada.get("/settings/sources/crm-with-a-long-name")).text
            keys = (await ada.get("/settings/keys")).text
        yield Front(
            desk=desk,
            url=url,
            browser=browser,
            paths={
                "sources": "/settings/sources",
                "none": "/settings/sources/none",
                "source": "/settings/sources/crm-with-a-long-name",
                "payload": _first(listed, "/settings/sources/crm-with-a-long-name/payloads/"),
                "try": "/settings/sources/crm-with-a-long-name/try",
                "keys": "/settings/keys",
                "key": _first(keys, "/settings/keys/key_"),
            },
        )


def _first(text: str, start: str) -> str:
    """Return the first address on a page that begins so."""
    return start + text.split(f'"{start}', 1)[1].split('"', 1)[0]


async def furnish(desk: FrontDesk, url: str) -> None:
    """Let two systems send what systems send."""
    name = "crm-with-a-long-name"
    rights = {"Authorization": f"Bearer {await desk.key(name)}"}
    await desk.key("shop-de", name="trial", test=True)
    async with httpx.AsyncClient(base_url=url) as machine:
        for n in range(3):
            document = {"external_id": f"a-{n}", "score": 9, "touchpoint": f"door-{n}"}
            await machine.post("/v1/responses", json=document, headers=rights)
        for body in ('{"score": 3}', '{"external_id": "x", "score": 11}', "{"):
            await machine.post(
                "/v1/responses",
                content=body,
                headers={**rights, "Content-Type": "application/json"},
            )
        await machine.post(f"/v1/hooks/{name}", json=SENT, headers=rights)


async def test_from_sign_in_to_a_mended_payload_without_a_script(own_front: Front) -> None:
    page = await own_front.page(java_script_enabled=False)

    await page.goto("/settings/sources")
    await page.get_by_label("E-mail address").fill("ada@example.org")
    await page.get_by_label("Password").fill(PASSWORD)
    await page.get_by_role("button", name="Sign in").click()

    await page.get_by_role("link", name="Create the first source").click()
    await page.get_by_label("Name", exact=True).fill("crm")
    await page.get_by_role("button", name="Create the source").click()
    assert "The source is there." in await page.get_by_role("status").inner_text()

    await page.get_by_role("link", name="Make a key").click()
    assert await page.get_by_label("Source", exact=True).input_value() == "crm"
    await page.get_by_label("Name of the key").fill("production")
    await page.get_by_role("button", name="Make the key").click()
    key = await page.get_by_label("Key “production”").input_value()
    hook = await page.get_by_label("Address", exact=True).input_value()

    async with httpx.AsyncClient(headers={"Authorization": f"Bearer {key}"}) as machine:
        sent = await machine.post(hook, json=SENT)
    assert sent.json()["results"][0]["status"] == "rejected"

    await page.get_by_role("link", name="I have copied it").click()
    assert await page.get_by_role("heading", level=1).inner_text() == "crm"
    health = page.get_by_role("region", name="What became of what it sent")
    assert "Something that is needed is not there." in await health.inner_text()

    payloads = page.get_by_role("region", name="Table of what it sent")
    await payloads.get_by_role("link").first.click()
    assert "v-4711" in await page.locator("pre").last.inner_text()
    assert await page.get_by_text("nothing found here").count() > 0
    await page.get_by_label("A mapping of its own").fill(MENDED)
    await page.get_by_role("button", name="Try it").click()
    assert await page.get_by_text("would be taken in").is_visible()
    assert await page.get_by_label("A mapping of its own").input_value() == MENDED.strip()

    await page.get_by_role("button", name="Save the mapping").click()
    assert "The mapping is saved." in await page.get_by_role("status").inner_text()
    await page.get_by_role("button", name="Take it in again").click()
    assert "taken in again" in await page.get_by_role("status").inner_text()
    assert await page.get_by_role("button", name="Take it in again").count() == 0

    await page.get_by_role("link", name="crm").first.click()
    assert "1" in await page.locator(".clocks div").nth(1).inner_text()
    async with httpx.AsyncClient(headers={"Authorization": f"Bearer {key}"}) as machine:
        again = await machine.post(hook, json=SENT)
    assert json.loads(again.text)["results"][0]["status"] == "duplicate"


@pytest.mark.parametrize("name", PAGES)
async def test_nothing_runs_out_of_a_phone(front: Front, name: str) -> None:
    page = await front.page("ada", viewport={"width": 320, "height": 640})

    await front.show(page, name)
    for width in (390, 320):
        await page.set_viewport_size({"width": width, "height": 844})
        await open_details(page)
        assert await runs_out_by(page) <= 0, width
    await page.context.close()


@pytest.mark.parametrize("name", ["none", "source", "shown", "secret"])
async def test_the_pages_break_no_rule_of_accessibility(front: Front, name: str) -> None:
    page = await front.page("ada", viewport=DESK)
    complaints = complaints_of(page)

    await front.show(page, name)
    await open_details(page)
    await expect_no_broken_rule(page)
    assert complaints == []
    await page.context.close()


@pytest.mark.parametrize("name", ["none", "source", "shown", "secret"])
async def test_what_can_be_touched_is_large_enough(front: Front, name: str) -> None:
    page = await front.page("ada", viewport=PHONE, has_touch=True)

    await front.show(page, name)
    await open_details(page)
    assert await too_low(page) == []
    await page.context.close()


async def test_what_is_wrong_is_led_to_by_keyboard(front: Front) -> None:
    page = await front.page("ada", viewport=DESK)
    await page.goto("/settings/sources/shop-de")
    await page.get_by_label("Warn after").fill("soon")
    await page.get_by_label("A mapping of its own").fill("a: [1")
    await page.get_by_role("button", name="Save the settings").click()

    links = page.get_by_role("alert").get_by_role("link")
    assert await links.count() == 2
    await links.last.focus()
    await page.keyboard.press("Enter")
    await page.keyboard.type("x")

    field = page.get_by_label("A mapping of its own")
    assert "a: [1" in await field.input_value()
    assert await field.evaluate("one => one === document.activeElement")
    assert await field.get_attribute("aria-invalid") == "true"
    described = (await field.get_attribute("aria-describedby") or "").split()
    said = [await page.locator(f"#{one}").inner_text() for one in described]
    assert "Line 1 is not YAML." in said
    await page.context.close()
