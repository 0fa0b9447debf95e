"""The pages of the routing rules, worked with a browser's forms."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest_asyncio

from services.loop.tasks.store.rulebooks import Draft, find_draft, latest_book
from shared.identity.groups import DEFAULT_TEAM
from shared.identity.person_keys import PersonKeys
from shared.sealing import Keyring
from tests.desk import HOSTILE, Desk, desk_on
from tests.fakes import ManualClock

RULES = "/settings/rules"


@pytest_asyncio.fixture
async def desk(
    tmp_path: Path, clock: ManualClock, keyring: Keyring, person_keys: PersonKeys
) -> AsyncIterator[Desk]:
    async with desk_on(
        f"{tmp_path}/desk.db", clock=clock, keyring=keyring, person_keys=person_keys
    ) as opened:
        yield opened


async def _draft(desk: Desk) -> Draft | None:
    async with desk.database.reading() as view:
        return await find_draft(view)


async def _ids(desk: Desk) -> list[str]:
    async with desk.database.reading() as view:
        return [rule["id"] for rule in (await latest_book(view)).document["rules"]]


async def _post(browser: httpx.AsyncClient, path: str, **fields: str) -> httpx.Response:
    answer = await browser.post(f"{RULES}/{path}", data=fields)
    assert answer.status_code == 303, answer.text
    return answer


BUSINESS = {
    "name": "Business customers",
    "enabled": "yes",
    "transactional": "yes",
    "nps_low": "0",
    "nps_high": "6",
    "c0_field": "segment",
    "c0_op": "in",
    "c0_value": "Business, Gold",
    "c1_field": "annual_value",
    "c1_op": "at_least",
    "c1_value": "1000,5",
    "kind": "contact_owner",
    "deputy": DEFAULT_TEAM,
    "scheme": "standard",
}


async def test_a_rule_is_written_ordered_tried_and_published(desk: Desk) -> None:
    async with desk.browsing("ada") as browser:
        first = await browser.get(RULES)
        assert "The first one that matches opens the task" in first.text
        await _post(browser, "one", version="0", **BUSINESS)
        await _post(browser, "move", version="1", id="business-customers", to="up")
        drafted = (await browser.get(RULES)).text
        assert drafted.index("Business customers") < drafted.index("Unhappy customer")
        assert "Segment is one of: Business, Gold" in drafted
        assert await _ids(desk) == ["unhappy-customer"]

        tried = await browser.get(f"{RULES}/try")
        assert "what the draft would have done" in tried.text
        await _post(browser, "publish", version="2")
        assert await _ids(desk) == ["business-customers", "unhappy-customer"]
        assert "Ada Admin" in (await browser.get(RULES)).text

        await _post(browser, "restore", restore="1")
        assert await _ids(desk) == ["unhappy-customer"]


async def test_the_form_of_a_rule_shows_what_it_says(desk: Desk) -> None:
    async with desk.browsing("ada") as browser:
        await _post(browser, "one", version="0", **BUSINESS)
        page = (await browser.get(f"{RULES}/one?id=business-customers")).text
        assert 'value="1000.5"' in page
        assert 'value="Business, Gold"' in page
        assert 'name="c3_field"' in page
        await _post(
            browser,
            "one",
            version="1",
            id="business-customers",
            **{**BUSINESS, "name": "Firms"},
        )
        await _post(
            browser,
            "common",
            version="2",
            within_days="7",
            share="25",
            too_old_after_days="9",
            at_least="20",
            within_minutes="30",
        )
        draft = await _draft(desk)
        assert draft is not None
        assert draft.document["rules"][1]["name"] == "Firms"
        assert draft.document["burst"] == {"at_least": 20, "within_minutes": 30}
        assert draft.document["repeat"] == {"within_days": 7, "share_of_time": 0.25}
        await _post(browser, "remove", version="3", id="business-customers")
        await _post(browser, "drop", version="4")
        assert await _draft(desk) is None


async def test_what_is_wrong_is_said_and_kept(desk: Desk) -> None:
    async with desk.browsing("ada") as browser:
        bad = {**BUSINESS, "name": HOSTILE, "nps_high": "x", "c1_value": "much"}
        answer = await browser.post(f"{RULES}/one", data=bad)
        assert answer.status_code == 422
        assert "Please write a number from 0 to 10." in answer.text
        assert "Please write a number." in answer.text
        assert "<script>document" not in answer.text

        nobody = await browser.post(
            f"{RULES}/one", data={**BUSINESS, "kind": "person", "version": "0"}
        )
        assert nobody.status_code == 422
        assert "Please choose who gets the tasks" in nobody.text

        await _post(browser, "one", version="0", **BUSINESS)
        late = await browser.post(f"{RULES}/one", data={**BUSINESS, "version": "0"})
        assert late.status_code == 412
        assert "Somebody changed the rules meanwhile" in late.text


async def test_a_lead_reads_the_rules_and_staff_do_not(desk: Desk) -> None:
    async with desk.browsing("uwe") as lead:
        page = await lead.get(RULES)
        assert page.status_code == 200
        assert f'action="{RULES}/move"' not in page.text
        assert (await lead.post(f"{RULES}/drop", data={"version": "1"})).status_code == 403
    async with desk.browsing("ana") as staff:
        assert (await staff.get(RULES)).status_code == 403
