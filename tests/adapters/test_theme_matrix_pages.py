"""The page that shows where themes stand out, and its file."""

from __future__ import annotations

import pytest

from tests.adapters.test_theme_pages import heard, rows, said
from tests.desk import Desk

QUEUED = {"comment": "waited in the queue", "score": 2, "touchpoint": "kiosk"}
PRAISED = {"comment": "The adviser was friendly.", "score": 9, "touchpoint": "hotline"}
NOTHING = {"comment": "blue", "score": 9, "touchpoint": "hotline"}


@pytest.fixture
async def busy(desk: Desk) -> Desk:
    """Have thirty wait at the kiosk, twelve wait on the line in good humour, and others."""
    calm = {**QUEUED, "score": 9, "touchpoint": "hotline"}
    many = [QUEUED] * 30 + [calm] * 12 + [PRAISED] * 20 + [NOTHING] * 40
    await heard(desk, *many, {**QUEUED, "touchpoint": "hotline", "segment": "Gold", "score": 7})
    return desk


async def test_the_page_marks_where_a_theme_stands_out(busy: Desk) -> None:
    async with busy.browsing("ana") as browser:
        themes = await browser.get("/themes?days=84")
        page = await browser.get("/themes/where?days=84", headers={"Accept-Language": "en"})
        by_segment = said(await browser.get("/themes/where?by=segment"))
        narrowed = said(await browser.get("/themes/where?segment=Gold"))

    assert 'href="/themes/where?days=84"' in themes.text
    words = said(page)
    assert "hotline 73 comments" in words
    assert "kiosk 30 comments" in words
    assert (
        "30 NPS −100 −100 to −79, n = 30"
        " mentioned more than elsewhere score lower than elsewhere"
    ) in words
    assert "score higher than elsewhere" in words
    assert 'href="/v1/theme-matrix?by=touchpoint&amp;from=' in page.text
    assert "Gold 1 comment" in by_segment
    assert "1 too few answers" in narrowed
    assert "kiosk" not in narrowed.split("stands out is decided")[1]


async def test_the_file_has_every_cell_and_nobodys_words(busy: Desk) -> None:
    async with busy.browsing("ana") as browser:
        found = rows(await browser.get("/themes/where.csv"))

    waiting = {row["touchpoint"]: row for row in found if row["theme"] == "waiting"}
    assert waiting["kiosk"]["mentions"] == waiting["kiosk"]["comments"] == "30"
    assert (waiting["kiosk"]["nps"], waiting["kiosk"]["nps_n"]) == ("-100.0", "30")
    assert (waiting["kiosk"]["score_deviates"], waiting["kiosk"]["frequency"]) == (
        "lower",
        "more",
    )
    assert (waiting["hotline"]["mentions"], waiting["hotline"]["comments"]) == ("13", "73")
    assert not any("queue" in value for row in found for value in row.values())


async def test_without_comments_the_page_says_what_will_stand_there(desk: Desk) -> None:
    async with desk.browsing("ana") as browser:
        page = said(await browser.get("/themes/where?by=weather&days=7"))

    assert "No themes in this period" in page


async def test_the_matrix_is_for_those_who_may_read_themes(desk: Desk) -> None:
    async with desk.browsing() as browser:
        assert (await browser.get("/themes/where")).status_code in {303, 401}
        assert (await browser.get("/themes/where.csv")).status_code in {303, 401}
