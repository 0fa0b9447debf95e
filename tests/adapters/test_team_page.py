"""The lead's page and the sheet of keys, as a browser without scripts sees them."""

from __future__ import annotations

import csv
import re
from datetime import timedelta
from io import StringIO

import pytest

from services.loop.pages.team.page import LoadLine, TeamPage
from services.loop.tasks.domain.acts import Claim, Close
from tests.adapters.test_queue_views import leading, said
from tests.desk import Desk

PASTED = "Looked at it, nothing to be done here."


@pytest.mark.parametrize(("nick", "status"), [("uwe", 200), ("ada", 200), ("ana", 403)])
async def test_the_page_is_for_those_who_lead(desk: Desk, nick: str, status: int) -> None:
    async with desk.browsing(nick) as browser:
        answers = [await browser.get(path) for path in ("/team", "/team.csv", "/team.json")]

    assert [answer.status_code for answer in answers] == [status] * 3


async def test_a_lead_sees_load_ageing_and_the_signs(desk: Desk) -> None:
    for n in range(3):
        task = await desk.hears("words", customer=f"c-{n}")
        await desk.act(task, Claim(), Close(reason="not_needed", note=PASTED), by=leading(desk))
    late = await desk.hears("words", customer="c-9")
    await desk.act(late, Claim(), by=leading(desk, "ole"))
    desk.clock.advance(timedelta(hours=26))

    async with desk.browsing("uwe") as browser:
        page = await browser.get("/team")
        file = await browser.get("/team.csv")
        document = (await browser.get("/team.json")).json()

    text = said(page)
    assert "Ole Berg" in text
    assert page.text.count(f'href="/tasks/{late.id}"') == 0
    assert document["signs"]["looked_at"] == 3
    assert len(document["signs"]["without_attempt"]) == 3
    assert [len(ids) for ids in document["signs"]["same_note"]] == [3]
    assert document["signs"]["bursts"] == []
    assert document["waiting_days"] == {"1": 1, "3": 0, "7": 0}
    (row,) = csv.DictReader(StringIO(file.text.removeprefix("\ufeff")))
    assert row == {
        "owner": "Ole Berg",
        "kind": "person",
        "open": "1",
        "late": "1",
        "waiting": "0",
    }
    assert PASTED not in page.text


async def test_people_stand_by_name_and_nothing_sorts_them_otherwise(desk: Desk) -> None:
    """No list of people by score, closings or speed: not shown, not sortable, not in files."""
    for n, nick in enumerate(("ole", "ana", "ana")):
        task = await desk.hears("words", customer=f"c-{n}")
        await desk.act(task, Claim(), by=leading(desk, nick))

    async with desk.browsing("uwe") as browser:
        page = await browser.get("/team")
        sorted_page = await browser.get("/team?sort=open&order=desc")
        file = await browser.get("/team.csv?sort=open")
        document = (await browser.get("/team.json")).json()

    for shown in (page.text, sorted_page.text, file.text):
        assert shown.index("Ana Ruiz") < shown.index("Ole Berg")
    assert not re.search(r"[?&](sort|order)=", page.text)
    members = {name for each in document["load"] for name in each}
    assert members == {"owner", "open", "late", "waiting"}
    assert set(LoadLine.__annotations__) == {
        "name",
        "is_team",
        "href",
        "open",
        "late",
        "waiting",
    }
    assert "loads" in TeamPage.__annotations__


async def test_the_sheet_of_keys_is_a_page_for_everybody(desk: Desk) -> None:
    async with desk.browsing("bea") as browser:
        page = await browser.get("/keyboard")

    assert page.status_code == 200
    assert "Ctrl + Enter" in said(page)
