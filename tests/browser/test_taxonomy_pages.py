"""The pages of the taxonomy in a browser: read by all, written without a script."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser

from services.loop.themes.domain import parse_taxonomy
from services.loop.themes.handlers import change_taxonomy
from tests.browser.conftest import Office, furnished_office
from tests.browser.looks import DESK, expect_no_broken_rule, open_details, runs_out_by

pytestmark = [pytest.mark.chromium, pytest.mark.asyncio(loop_scope="session")]

LONG = "Rindfleischetikettierungsüberwachungsaufgabenübertragungsgesetz"
PATHS = {
    "tree": "/settings/taxonomy",
    "theme": "/settings/taxonomy/one?id=waiting",
    "new theme": "/settings/taxonomy/one",
    "preview": "/settings/taxonomy/preview",
}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def office(
    browser: Browser, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Office]:
    async with furnished_office(browser, tmp_path_factory.mktemp("taxonomy")) as opened:
        themes = [
            {"id": "waiting", "name": LONG, "need": "both", "keywords": {"en": ["wait", LONG]}},
            {
                "id": "below",
                "name": "Phone",
                "parent": "waiting",
                "keywords": {"en": ["phone"]},
            },
            {"id": "gone", "name": LONG, "merged_into": "waiting"},
        ]
        now = opened.desk.clock.now()
        async with opened.desk.database.transaction() as tx:
            await change_taxonomy(
                tx,
                parse_taxonomy({"themes": themes}),
                expected=None,
                by=opened.desk.staff["ada"],
                now=now,
            )
        async with opened.desk.browsing("ada") as browser_of_ada:
            await browser_of_ada.put("/v1/taxonomy/draft", json={"themes": themes[:2]})
        yield opened


@pytest.mark.parametrize("name", PATHS)
async def test_the_pages_break_no_rule_of_accessibility(office: Office, name: str) -> None:
    page = await office.page("ada", viewport=DESK)
    await page.goto(PATHS[name])
    await open_details(page)
    await expect_no_broken_rule(page)
    await page.context.close()


@pytest.mark.parametrize("name", PATHS)
async def test_nothing_runs_out_of_a_phone(office: Office, name: str) -> None:
    page = await office.page("uwe", viewport={"width": 320, "height": 640})
    await page.goto(PATHS[name])
    assert await runs_out_by(page) <= 0
    await page.context.close()


async def test_a_theme_is_tried_saved_read_from_a_file_and_published_without_a_script(
    browser: Browser, tmp_path: Path
) -> None:
    async with furnished_office(browser, tmp_path) as office:
        page = await office.page("ada", java_script_enabled=False)
        await page.goto("/settings/taxonomy")
        await page.get_by_role("link", name="Add a theme").click()
        await page.get_by_label("Name", exact=True).fill("Parking")
        await page.get_by_text("English", exact=True).click()
        await page.locator("#theme-keywords_en").fill("parking\ncar park")
        await page.get_by_label("What a customer wrote").fill("The car park was full.")
        await page.get_by_role("button", name="Try these words").click()
        assert "because of “car park”" in await page.get_by_role("status").last.inner_text()
        await page.get_by_role("button", name="Save in the draft").click()
        assert "The draft is saved." in await page.get_by_role("status").first.inner_text()

        await page.get_by_role("link", name="What would change?").click()
        await page.get_by_role("heading", name="What would change?").wait_for()
        await page.go_back()
        content = json.dumps({"themes": [{"id": "only", "keywords": {"en": ["only"]}}]})
        file = tmp_path / "ours.json"
        file.write_text(content, encoding="utf-8")
        await page.get_by_label("Taxonomy file (JSON)").set_input_files(file)
        await page.get_by_role("button", name="Read it into the draft").click()
        await page.get_by_role("link", name="only").wait_for()
        await page.get_by_role("button", name="Publish").click()
        assert "from now on" in await page.get_by_role("status").first.inner_text()
        await page.context.close()
