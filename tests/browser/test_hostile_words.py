"""A house full of hostile words in a real browser: nothing runs and nothing is fetched.

What the pages say of these words letter by letter is tested without a browser.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.async_api import Browser, ConsoleMessage, Page

from tests.full_house import full_house
from tests.hostile import CORPUS
from tests.infra.processes import LOOPBACK, free_port
from tests.serving import served

pytestmark = [pytest.mark.chromium, pytest.mark.asyncio(loop_scope="session")]


class Ears:
    """Hears whatever a page does that it should not."""

    def __init__(self, page: Page, url: str) -> None:
        self.heard: list[str] = []
        page.on("dialog", lambda dialog: self.heard.append(f"asks {dialog.message}"))
        page.on("pageerror", lambda error: self.heard.append(f"fails with {error}"))
        page.on("popup", lambda other: self.heard.append(f"opens {other.url}"))
        # A refusal by the content policy is an error in the console.
        page.on("console", self._hear)
        page.on(
            "request",
            lambda asked: (
                None if asked.url.startswith(url) else self.heard.append(f"fetches {asked.url}")
            ),
        )

    def _hear(self, line: ConsoleMessage) -> None:
        # What is no whole page names no icon of ours, and the browser asks for the usual one.
        if line.type == "error" and not line.location["url"].endswith("/favicon.ico"):
            self.heard.append(line.text)


async def test_no_words_do_anything_on_any_page(browser: Browser, tmp_path: Path) -> None:
    port = free_port()
    url = f"http://{LOOPBACK}:{port}"
    async with full_house(tmp_path, CORPUS, url) as full, served(full.house.app, port):
        context = await browser.new_context(base_url=url)
        ((name, token),) = (await full.cookie("ada")).items()
        await context.add_cookies([{"name": name, "value": token, "url": url}])
        page = await context.new_page()
        ears = Ears(page, url)
        found = {}

        for path in await full.pages():
            answer = await page.goto(path)
            if await page.title() == "owned":
                ears.heard.append("gives itself a title")
            # Of a page that says "not found" the console says so, too.
            if ears.heard and answer is not None and answer.ok:
                found[path] = list(ears.heard)
            ears.heard.clear()
        await page.goto("/")
        for text in CORPUS:
            await page.locator("#filter-q").fill(text)
            await page.locator("#filter-q").press("Enter")
            await page.wait_for_load_state()
        await context.close()

    assert found == {}
    assert ears.heard == []
