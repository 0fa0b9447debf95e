"""The pages of rules, absences and hand-overs in a browser: by keyboard, without a script."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser

from services.loop.journey.domain import Absence
from services.loop.journey.handlers.absences import limit_workload, note_absence
from services.loop.tasks.domain.rulebooks import with_rule
from services.loop.tasks.handlers.ruling import change_draft
from shared.identity.audit import SYSTEM
from tests.browser.conftest import Office, furnished_office
from tests.browser.looks import DESK, expect_no_broken_rule, runs_out_by

pytestmark = [pytest.mark.chromium, pytest.mark.asyncio(loop_scope="session")]

LONG = "Geschäftskundinnen und Geschäftskunden der Niederlassung Garmisch-Partenkirchen"
PATHS = {
    "rules": "/settings/rules",
    "rule": "/settings/rules/one?id=business",
    "new rule": "/settings/rules/one",
    "trial": "/settings/rules/try",
    "absences": "/settings/absences",
    "whose": "/settings/handover",
    "hand-over": "",
}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def office(
    browser: Browser, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Office]:
    async with furnished_office(browser, tmp_path_factory.mktemp("rules")) as opened:
        desk = opened.desk
        now, ana, ole = desk.clock.now(), desk.staff["ana"], desk.staff["ole"]
        rule = {
            "id": "business",
            "name": LONG,
            "enabled": False,
            "measurements": ["transactional"],
            "scores": {"nps": [0, 6], "csat": [1, 2]},
            "unscored": ["negative"],
            "conditions": [
                {"field": "segment", "op": "in", "value": ["Business", "x" * 150]},
                {"field": "annual_value", "op": "at_least", "value": 1000},
            ],
            "owner": {"kind": "contact_owner", "id": None, "deputy": ole},
            "scheme": "standard",
        }
        away = Absence(id="", staff_id=ana, deputy_id=ole, begins_at=now, ends_at=None)
        async with desk.database.transaction() as tx:
            await change_draft(
                tx, lambda book: with_rule(book, rule, 0), expected=None, by=SYSTEM, now=now
            )
            await note_absence(tx, away, by=SYSTEM, now=now)
            await limit_workload(
                tx, ole, most_open=5, deputy_id=None, expected=None, by=SYSTEM, now=now
            )
        yield opened


def _path(office: Office, name: str) -> str:
    return PATHS[name] or f"/settings/handover?of={office.desk.staff['ana']}"


@pytest.mark.parametrize("name", ["rules", "trial", "hand-over"])
async def test_the_pages_break_no_rule_of_accessibility(office: Office, name: str) -> None:
    page = await office.page("ada", viewport=DESK)
    await page.goto(_path(office, name))
    await expect_no_broken_rule(page)
    await page.context.close()


@pytest.mark.parametrize("name", PATHS)
async def test_nothing_runs_out_of_a_phone(office: Office, name: str) -> None:
    page = await office.page("uwe", viewport={"width": 320, "height": 640})
    await page.goto(_path(office, name))
    assert await runs_out_by(page) <= 0
    await page.context.close()


async def test_a_rule_is_written_tried_and_published_without_a_script(
    browser: Browser, tmp_path: Path
) -> None:
    async with furnished_office(browser, tmp_path) as office:
        page = await office.page("ada", java_script_enabled=False)
        await page.goto("/settings/rules")
        await page.get_by_role("link", name="Add a rule").click()
        await page.get_by_label("Name").fill("Gold customers")
        await page.get_by_label("NPS from").fill("0")
        await page.get_by_label("NPS to").fill("6")
        first = page.get_by_role("group", name="Condition 1")
        await first.get_by_label("Field").select_option(label="Segment")
        await first.get_by_label("Value").fill("Gold")
        await page.get_by_role("button", name="Save in the draft").click()
        assert "draft is saved" in await page.get_by_role("status").inner_text()

        await page.get_by_role("button", name="Up Gold customers").click()
        await page.get_by_role("link", name="Try on the last 90 days").click()
        assert await page.get_by_role("row", name="Gold customers").count() == 1
        await page.get_by_role("link", name="Back to the rules").click()
        await page.get_by_role("button", name="Publish").click()

        assert "apply from now on" in await page.get_by_role("status").inner_text()
        rows = page.get_by_role("table", name="Rules in the order").get_by_role("row")
        assert "Gold customers" in await rows.nth(1).inner_text()
