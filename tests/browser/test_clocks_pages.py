"""The pages of calendars and schemes in a browser: read by all, written without a script."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser

from services.loop.journey.handlers.calendars import publish_calendar
from services.loop.tasks.handlers.schemes import change_scheme
from shared.identity.audit import SYSTEM
from tests.browser.conftest import Office, furnished_office
from tests.browser.looks import DESK, expect_no_broken_rule, runs_out_by

pytestmark = [pytest.mark.chromium, pytest.mark.asyncio(loop_scope="session")]

SPLIT = [{"start": "09:00", "end": "12:00"}, {"start": "13:00", "end": "17:00"}]
LONG = "Kundenservicezentrum der Niederlassung Garmisch-Partenkirchen und Umgebung"
PATHS = {
    "new calendar": "/settings/calendars/one",
    "calendars": "/settings/calendars",
    "calendar": "/settings/calendars/one?id=office",
    "schemes": "/settings/schemes",
    "scheme": "/settings/schemes/one?id=standard",
    "new scheme": "/settings/schemes/one",
}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def office(
    browser: Browser, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Office]:
    async with furnished_office(browser, tmp_path_factory.mktemp("clocks")) as opened:
        now = opened.desk.clock.now()
        async with opened.desk.database.transaction() as tx:
            document = {
                "id": "office",
                "name": LONG,
                "time_zone": "Europe/Berlin",
                "week": dict.fromkeys(("monday", "friday"), SPLIT),
                "holidays": {"country": "DE", "region": "BY"},
                "closed": ["2026-12-31"],
                "special": {"2026-12-24": SPLIT[:1]},
            }
            await publish_calendar(tx, document, by=SYSTEM, now=now)
            changes = {
                "name": LONG,
                "clock": "team",
                "calendar": "office",
                "escalations": [{"at": 1.0, "to": "lead"}, {"at": 1.5, "to": "head"}],
                "talk_guide": {"de": "Zuerst entschuldigen.\n" * 20},
            }
            await change_scheme(tx, "standard", changes, expected=None, by=SYSTEM, now=now)
        yield opened


@pytest.mark.parametrize("name", ["calendar", "scheme"])
async def test_the_pages_break_no_rule_of_accessibility(office: Office, name: str) -> None:
    page = await office.page("ada", viewport=DESK)
    await page.goto(PATHS[name])
    await expect_no_broken_rule(page)
    await page.context.close()


@pytest.mark.parametrize("name", PATHS)
async def test_nothing_runs_out_of_a_phone(office: Office, name: str) -> None:
    page = await office.page("uwe", viewport={"width": 320, "height": 640})
    await page.goto(PATHS[name])
    assert await runs_out_by(page) <= 0
    await page.context.close()


async def test_a_calendar_with_a_mistake_is_put_right_without_a_script(
    browser: Browser, tmp_path: Path
) -> None:
    async with furnished_office(browser, tmp_path) as office:
        page = await office.page("ada", java_script_enabled=False)
        await page.goto("/settings/calendars")
        await page.get_by_role("link", name="Add a calendar").click()
        await page.get_by_label("Name").fill("Berlin")
        await page.get_by_label("Time zone").fill("Europe/Berlin")
        await page.get_by_label("Monday").fill("9 to 5")
        await page.get_by_label("Country").select_option(label="Germany")
        await page.get_by_role("button", name="Publish").click()

        assert "This was not understood: 9 to 5" in await page.get_by_role("alert").inner_text()
        await page.get_by_label("Monday").fill("9-12, 13-17")
        await page.get_by_label("Region").select_option("BE")
        await page.get_by_role("button", name="Publish").click()

        assert "published" in await page.get_by_role("status").inner_text()
        assert await page.get_by_label("Monday").input_value() == "09:00-12:00, 13:00-17:00"
        assert await page.get_by_text("Women's Day").count() == 1
