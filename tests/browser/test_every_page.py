"""Every page that there is, full of data: for every eye and hand, on a desk and on a phone.

The list comes from the application, so that no page can be left out.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page

from tests.browser.looks import (
    DESK,
    PHONE,
    broken_rules,
    complaints_of,
    open_details,
    runs_out_by,
    too_low,
    too_small,
)
from tests.full_house import FullHouse, full_house
from tests.infra.processes import LOOPBACK, free_port
from tests.serving import served

pytestmark = [pytest.mark.chromium, pytest.mark.asyncio(loop_scope="session")]

PARTS = 6
LONG = [
    "Wilhelmina-Anastasia von Oberschlesien-Przykładowska und Wielonazwiskowska",
    "Rindfleischetikettierungsüberwachungsaufgabenübertragungsgesetzvollzugsbeauftragte",
    "Waited for an hour, and nobody called.",
    "مرحبا، انتظرت طويلا ولم يتصل بي أحد",
    "Maya",
]
ELSEWHERE = {
    "/docs": "somebody else's page, which we ship as it is",
    "/queue/news": "a piece of the queue",
    "/mail/": "what a mail looks like stands in a frame of its own",
}


@dataclass(frozen=True)
class Shown:
    """A house at an address, its pages, and the browser to look at them."""

    house: FullHouse
    pages: list[str]
    browser: Browser

    async def page(self, **how: object) -> Page:
        """Open a fresh profile, signed in as the administrator."""
        context = await self.browser.new_context(base_url=self.house.url, **how)  # type: ignore[arg-type] # a mapping of options
        ((name, token),) = (await self.house.cookie("ada")).items()
        await context.add_cookies([{"name": name, "value": token, "url": self.house.url}])
        return await context.new_page()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def shown(
    browser: Browser, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Shown]:
    port = free_port()
    async with (
        full_house(tmp_path_factory.mktemp("full"), LONG, f"http://{LOOPBACK}:{port}") as house,
        served(house.house.app, port),
    ):
        pages = [
            path
            for path in await house.pages()
            if path not in ELSEWHERE and not (path.startswith("/mail/") and "/html" in path)
        ]
        yield Shown(house=house, pages=pages, browser=browser)


@pytest.mark.parametrize("part", range(PARTS))
async def test_every_page_is_for_everybody(shown: Shown, part: int) -> None:
    """No rule of accessibility broken, nothing out of sight, nothing too small to hit."""
    found: dict[str, list[str]] = {}
    for device, size in (("desk", DESK), ("phone", PHONE)):
        page = await shown.page(viewport=size, has_touch=size is PHONE)
        complaints = complaints_of(page)
        for path in shown.pages[part::PARTS]:
            await page.goto(path)
            await open_details(page)
            faults = [*await broken_rules(page), *await too_small(page)]
            if size is PHONE:
                faults += await too_low(page)
            if await runs_out_by(page) > 0:
                faults.append("runs out of the window")
            if faults or complaints:
                found[f"{path} on a {device}"] = [*faults, *complaints]
            complaints.clear()
        await page.context.close()

    assert found == {}


async def test_the_pages_are_all_there(shown: Shown) -> None:
    """So that the test above looks at something."""
    assert len(shown.pages) > 60
    assert len(set(shown.pages)) == len(shown.pages)
