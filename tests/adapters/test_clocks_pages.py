"""The pages of calendars and schemes, worked with a browser's forms."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
import pytest_asyncio

from services.loop.tasks.domain.schemes import Escalation, RecoveryScheme, full_document
from services.loop.tasks.handlers.schemes import find_scheme
from services.loop.tasks.store import current_schemes
from shared.identity.person_keys import PersonKeys
from shared.sealing import Keyring
from tests.desk import HOSTILE, Desk, desk_on
from tests.fakes import ManualClock

CALENDAR, SCHEME = "/settings/calendars/one", "/settings/schemes/one"


@pytest_asyncio.fixture
async def desk(
    tmp_path: Path, clock: ManualClock, keyring: Keyring, person_keys: PersonKeys
) -> AsyncIterator[Desk]:
    async with desk_on(
        f"{tmp_path}/desk.db", clock=clock, keyring=keyring, person_keys=person_keys
    ) as opened:
        yield opened


async def sent(browser: httpx.AsyncClient, path: str, **fields: str) -> httpx.Response:
    return await browser.post(path, data=fields)


OFFICE = {
    "name": "Büro <Nord>",
    "time_zone": "Europe/Berlin",
    **dict.fromkeys(("monday", "tuesday"), "9-12, 13:00-17:00"),
    "country": "DE",
    "region": "BY",
    "days": "2026-12-24 9-12\n2026-12-31 closed",
}
GOLD = {
    "name": "Gold",
    "first_contact_within_hours": "2",
    "resolve_within_hours": "7,5",
    "clock": "team",
    "calendar": "buro-nord",
    "reminders": "80, 50",
    "lead": "100",
    "head": "150",
    "waiting_customer": "yes",
    "mode": "phone",
    "guide_de": "Zuerst entschuldigen.",
    "remedies": "Voucher = 30 EUR\nFree re-delivery",
    "needs": "order number",
    "intended": "apologise\nrepair",
    "attempts": "3",
    "attempt_days": "2",
    "attempt_channels": "2",
    "quiet_hours": "20:00-8:00",
    "ask_after_hours": "72",
    "silent_days": "10",
    "saved_within_days": "60",
    "share_practice": "yes",
}


async def schemes_of(desk: Desk) -> dict[str, RecoveryScheme]:
    async with desk.database.reading() as view:
        return dict(await current_schemes(view))


async def test_a_calendar_is_written_read_and_put_back_by_forms(desk: Desk) -> None:
    async with desk.browsing("ada") as browser:
        empty = await browser.get("/settings/calendars")
        added = await sent(browser, CALENDAR, **{**OFFICE, "name": "Buro Nord"})
        path = added.headers["location"]
        page = await browser.get(path)
        listed = await browser.get("/settings/calendars")
        named = {**OFFICE, "id": "buro-nord", "version": "1"}
        changed = await sent(browser, CALENDAR, **named)
        stale = await sent(browser, CALENDAR, **named)
        back = await sent(browser, "/settings/calendars/restore", id="buro-nord", restore="1")
        last = await browser.get(back.headers["location"])

    assert "No calendar yet" in empty.text
    assert (added.status_code, changed.status_code, back.status_code) == (303, 303, 303)
    assert 'value="09:00-12:00, 13:00-17:00"' in page.text
    assert "2026-12-24 09:00-12:00" in page.text
    assert "Good Friday" in page.text
    assert "Monday 09:00-12:00, 13:00-17:00" in listed.text
    assert "Germany, BY" in listed.text
    assert stale.status_code == 412
    assert "Büro &lt;Nord&gt;" in stale.text
    assert "applies" in last.text
    assert 'value="Buro Nord"' in last.text


async def test_the_holidays_of_another_year_and_language_are_a_link_away(desk: Desk) -> None:
    async with desk.browsing("ada") as browser:
        added = await sent(browser, CALENDAR, **OFFICE)
        page = await browser.get(f"{added.headers['location']}&year=2027")

    assert "Public holidays of 2027" in page.text
    assert "year=2028" in page.text
    assert "26 Mar 2027" in page.text


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("monday", "9 to 5", "This was not understood: 9 to 5"),
        ("monday", "17-9", "These hours end before they start."),
        ("tuesday", "9-12, 11-13", "Please give the hours of a day in order and apart."),
        ("time_zone", "Europe/Bielefeld", "Please choose a time zone that exists"),
        ("region", "Bavaria", "This country has no region with this code."),
        ("days", "24.12. closed", "This was not understood: 24.12. closed"),
        ("name", "", "Please fill in this field."),
    ],
)
async def test_a_calendar_that_cannot_be_kept_is_shown_again_with_why(
    desk: Desk, field: str, value: str, said: str
) -> None:
    async with desk.browsing("ada") as browser:
        answer = await sent(browser, CALENDAR, **{**OFFICE, field: value})

    assert answer.status_code == 422
    assert said in answer.text
    assert f'href="#calendar-{field}"' in answer.text
    assert f'aria-describedby="calendar-{field}-error"' in answer.text or field in {
        "region",
        "days",
    }


async def test_the_ten_questions_are_answered_by_a_form(desk: Desk) -> None:
    async with desk.browsing("ada") as browser:
        await sent(browser, CALENDAR, **{**OFFICE, "name": "Buro Nord"})
        fresh = await browser.get(SCHEME)
        added = await sent(browser, SCHEME, **GOLD)
        assert added.status_code == 303, added.text
        page = await browser.get(added.headers["location"])
        listed = await browser.get("/settings/schemes")
        again = await sent(browser, SCHEME, **{**GOLD, "id": "gold", "version": "1"})

    assert 'value="50, 80"' in fresh.text
    async with desk.database.reading() as view:
        first = full_document((await find_scheme(view, "gold", 1)).document)
        second = full_document((await find_scheme(view, "gold", 2)).document)
    # What the form shows is what it sends, and what it sends is what is kept.
    assert {**first, "version": 2} == second
    assert again.status_code == 303
    gold = (await schemes_of(desk))["gold"]
    assert (gold.clock, gold.hours and gold.hours.name) == ("team", "Buro Nord")
    assert gold.reminders == (0.5, 0.8)
    assert gold.escalations == (Escalation(at=1, to="lead"), Escalation(at=1.5, to="head"))
    assert [one.id for one in gold.remedies] == ["voucher", "free-re-delivery"]
    assert gold.talk_guide == {"de": "Zuerst entschuldigen."}
    assert gold.attempt_policy.quiet_hours is not None
    assert "Zuerst entschuldigen." in page.text
    assert "100 % lead, 150 % head" in listed.text


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("resolve_within_hours", "soon", "Please give a number from 0.1 to 8760."),
        ("attempts", "2.5", "Please give a whole number."),
        ("reminders", "150", "This was not understood: 150"),
        ("lead", "100, 120", "This was not understood: 100, 120"),
        ("remedies", "Voucher = a lot", "This was not understood: Voucher = a lot"),
        ("quiet_hours", "at night", "This was not understood: at night"),
        ("calendar", "", "Working time needs a calendar. Please choose one."),
        ("calendar", "moon", "Please choose a calendar that exists."),
        ("name", "", "Please fill in this field."),
    ],
)
async def test_a_scheme_that_cannot_be_kept_is_shown_again_with_why(
    desk: Desk, field: str, value: str, said: str
) -> None:
    async with desk.browsing("ada") as browser:
        await sent(browser, CALENDAR, **{**OFFICE, "name": "Buro Nord"})
        answer = await sent(browser, SCHEME, **{**GOLD, field: value})

    assert answer.status_code == 422
    assert said in answer.text
    assert f'href="#scheme-{field}"' in answer.text
    assert set(await schemes_of(desk)) == {"standard"}


async def test_the_shipped_scheme_can_be_changed_and_put_back(desk: Desk) -> None:
    async with desk.browsing("ada") as browser:
        page = await browser.get(f"{SCHEME}?id=standard")
        fast = {**GOLD, "id": "standard", "version": "1", "calendar": "", "clock": "customer"}
        changed = await sent(browser, SCHEME, **{**fast, "name": HOSTILE[:150]})
        back = await sent(browser, "/settings/schemes/restore", id="standard", restore="1")

    assert "shipped" in page.text
    assert (changed.status_code, back.status_code) == (303, 303)
    standard = (await schemes_of(desk))["standard"]
    assert (standard.version, standard.attempts, standard.reminders) == (3, 3, (0.75,))


async def test_who_may_not_change_settings_sees_no_button(desk: Desk) -> None:
    async with desk.browsing("ada") as browser:
        added = await sent(browser, CALENDAR, **OFFICE)
    async with desk.browsing("uwe") as browser:
        page = await browser.get(added.headers["location"])
        refused = await sent(browser, CALENDAR, **OFFICE)
        missing = await browser.get(f"{CALENDAR}?id=nowhere")

    assert page.status_code == 200
    assert "<button" not in page.text.split("<h1>")[1]
    assert (refused.status_code, missing.status_code) == (403, 404)
