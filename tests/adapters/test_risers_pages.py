"""Rising themes and what is to be looked into, by the interface and on their page."""

from __future__ import annotations

import re
from datetime import UTC, datetime, time, timedelta
from html import unescape
from typing import Any

import httpx
import pytest

from services.loop.journey.domain import OwnerRef
from services.loop.themes.domain.risers import monday_of
from shared.identity.principal import Scope
from tests.desk import Desk
from tests.forms import URLENCODED
from tests.handlers.intake import Intake
from tests.loop_door import Api
from tests.rises import put_proposal
from tests.staff import audited

WEEK = timedelta(weeks=1)
WAITED = "We waited an hour in the queue, says Nowak"
NOWAK = {"name": "Agnieszka Nowak"}


async def waits(room: Intake, weekly: list[int]) -> list[str]:
    """Have so many customers waited in each week, the last one over; return their answers."""
    monday = datetime.combine(monday_of(room.clock.now().date()), time(12), UTC)
    said = [
        {
            "comment": WAITED if n < number else "xyzzy",
            "block": NOWAK,
            "answered_at": monday - ago * WEEK,
            "received_at": monday - ago * WEEK,
        }
        for ago, number in enumerate(reversed(weekly), start=1)
        for n in range(number + 25)
    ]
    events = await room.responses(said)
    await room.take_in(*events)
    return [event.response_id for event in events]


RISING = [6, 5, 7, 6, 5, 6, 7, 6, 24]


async def test_a_rise_is_listed_first_with_its_numbers(api: Api) -> None:
    await waits(api.intake, RISING)

    answer = await api.get("/v1/risers")
    listed = answer.json()
    first = listed["data"][0]
    beyond = (await api.get("/v1/risers", verdict="beyond")).json()["data"]
    parts = (await api.get("/v1/risers", limit=1)).json()
    rest = (await api.get("/v1/risers", limit=200, cursor=parts["next_cursor"])).json()
    earlier = (await api.get("/v1/risers", week="2026-02-18")).json()

    assert answer.status_code == 200, answer.text
    assert (listed["week"], earlier["week"]) == ("2026-02-23", "2026-02-16")
    assert (first["theme_id"], first["verdict"], first["sharp"]) == ("waiting", "beyond", True)
    assert (first["from"], first["to"], first["weeks"]) == ("2026-02-23", "2026-03-01", 1)
    assert (first["mentions"], first["comments"]) == (24, 49)
    assert (first["former_mentions"], first["former_weeks"]) == (48, 8)
    low, high = first["ratio_ci95"]
    assert 1 < low < first["ratio"] < high
    assert first["expected_range"][0] <= first["expected"] <= first["expected_range"][1] < 24
    assert [one["theme_id"] for one in beyond] == ["waiting"]
    assert parts["data"] + rest["data"] == listed["data"]
    assert {one["verdict"] for one in earlier["data"]} <= {"inside", "too_few"}


async def test_without_a_past_nothing_is_known(api: Api) -> None:
    await waits(api.intake, [24])

    verdicts = (await api.get("/v1/risers")).json()["data"]

    assert {one["verdict"] for one in verdicts} == {"too_few"}
    assert {one["ratio"] for one in verdicts} == {None}


@pytest.mark.parametrize(
    "query", [{"week": "soon"}, {"week": "1900-01-01"}, {"verdict": "bad"}, {"limit": 0}]
)
async def test_what_makes_no_sense_is_refused(api: Api, query: dict[str, Any]) -> None:
    answer = await api.get("/v1/risers", **query)

    assert answer.status_code == 422
    assert answer.json()["errors"]


async def test_an_item_is_decided_on_once_and_can_be_taken_back(api: Api) -> None:
    now = api.intake.clock.now()
    one = await put_proposal(api.intake.database, "waiting", now=now)
    path = f"/v1/outer-items/{one}"
    ana = await api.person("ana")

    read = await api.get(path)
    stale = await api.send("POST", f"{path}/accept", json={}, If_Match='"7"')
    owner = {"id": ana, "kind": "person"}
    taken = await api.send("POST", f"{path}/accept", json={"owner": owner}, If_Match='"1"')
    again = await api.send("POST", f"{path}/accept", json={})
    back = await api.send("POST", f"{path}/reopen")
    gone = await api.send("POST", f"{path}/dismiss", json={"reason": "one_off"})

    assert (read.status_code, read.headers["etag"]) == (200, '"1"')
    assert read.json()["evidence"]["mentions"] == 24
    assert (stale.status_code, stale.json()["version"]) == (412, 1)
    assert (taken.json()["state"], taken.json()["owner"]) == ("accepted", owner)
    assert (again.status_code, again.json()["allowed_by"]) == (409, "reopen")
    assert back.json()["state"] == "proposed"
    assert (gone.json()["state"], gone.json()["reason"]) == ("dismissed", "one_off")
    deeds = [deed for deed in await audited(api.intake.database) if "outer" in deed]
    assert deeds == ["outer-item.accepted", "outer-item.reopened", "outer-item.dismissed"]


async def test_items_are_listed_by_state_department_and_theme(api: Api) -> None:
    now, database = api.intake.clock.now(), api.intake.database
    one = await put_proposal(database, "waiting", now=now, department="Care")
    two = await put_proposal(database, "price", now=now + timedelta(hours=1))
    path = "/v1/outer-items"

    async def ids(**query: Any) -> list[str]:
        return [item["id"] for item in (await api.get(path, **query)).json()["data"]]

    assert await ids() == [two, one]
    assert await ids(department="Care") == [one]
    assert await ids(theme="price") == [two]
    assert await ids(state="accepted") == []
    part = (await api.get(path, limit=1)).json()
    assert part["has_more"]
    assert await ids(limit=1, cursor=part["next_cursor"]) == [one]
    merged = await api.send("POST", f"{path}/{one}/merge", json={"into": two})
    assert (merged.json()["state"], merged.json()["merged_into"]) == ("merged", two)
    assert (await api.get(f"{path}/oit_none")).status_code == 404


async def test_whoever_only_reads_decides_nothing(api: Api) -> None:
    one = await put_proposal(api.intake.database, "waiting", now=api.intake.clock.now())

    refused = await api.send(
        "POST", f"/v1/outer-items/{one}/accept", Scope.TASKS_WRITE, json={}
    )
    reader = await api.send("POST", f"/v1/outer-items/{one}/accept", Scope.THEMES_READ, json={})

    assert (refused.status_code, reader.status_code) == (403, 403)
    assert "department" in refused.json()["detail"]
    assert (await api.get("/v1/outer-items", Scope.TASKS_READ)).status_code == 403


# ------------------------------------------------------------------ the page


def said(answer: httpx.Response) -> str:
    """Return what a page says, without its markup."""
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", answer.text)).split())


async def press(
    browser: httpx.AsyncClient, one: str, act: str, **fields: str
) -> httpx.Response:
    path = f"/themes/rising/{one}/{act}"
    return await browser.post(path, data=fields, headers=URLENCODED)


async def test_the_page_says_what_rises_and_what_is_to_be_decided(desk: Desk) -> None:
    ids = await waits(desk, RISING)
    owner = OwnerRef(id=desk.staff["ana"], kind="person")
    now = desk.clock.now()
    one = await put_proposal(desk.database, "waiting", ids[:2], now=now, owner=owner)
    other = await put_proposal(desk.database, "price", now=now)

    async with desk.browsing("ada") as browser:
        page = await browser.get("/themes/rising")
        taken = await press(browser, one, "accept", owner="", version="1")
        after = await browser.get(taken.headers["location"])
        merged = await press(browser, other, "merge", into=one, version="1")
        one_left = await browser.get(merged.headers["location"])
        back = await press(browser, other, "reopen", version="2")
        late = await press(browser, other, "dismiss", reason="known", version="1")

    text = said(page)
    assert "24 of 200 comments" in text
    assert "rises sharply" in text
    assert "We waited an hour in the queue, says [name]" in text
    assert "Nowak" not in page.text
    assert "Ana Ruiz (our guess)" in text
    assert "Ana Ruiz looks into it." in said(after)
    assert "It is being looked into." in said(after)
    assert "the same as Waiting and punctuality" in said(one_left)
    assert back.headers["location"] == "/themes/rising?done=reopened"
    assert late.headers["location"] == "/themes/rising?done=meanwhile"


async def test_a_reason_must_be_given(desk: Desk) -> None:
    one = await put_proposal(desk.database, "waiting", now=desk.clock.now())

    async with desk.browsing("ada") as browser:
        refused = await press(browser, one, "dismiss", reason="", version="1")
        nobody = await press(browser, one, "accept", owner="stf_none", version="1")

    assert (refused.status_code, nobody.status_code) == (422, 422)
    assert "Please choose one." in said(refused)
    assert "This was not saved." in said(nobody)


@pytest.mark.parametrize(("nick", "reads"), [("ana", True), ("bea", False)])
async def test_others_read_and_decide_nothing(desk: Desk, nick: str, *, reads: bool) -> None:
    (said_it, *_) = await waits(desk, [1])
    one = await put_proposal(desk.database, "waiting", [said_it], now=desk.clock.now())

    async with desk.browsing(nick) as browser:
        page = await browser.get("/themes/rising")
        refused = await press(browser, one, "accept", owner="", version="1")

    assert ("We waited an hour" in said(page)) is reads
    assert "/accept" not in page.text
    assert refused.status_code == 403


async def test_an_empty_house_says_what_will_stand_here(desk: Desk) -> None:
    async with desk.browsing("ada") as browser:
        page = await browser.get("/themes/rising")
        before = await browser.get("/themes/rising?week=2026-02-16")
        odd = await browser.get("/themes/rising?week=0001-01-01")

    assert "Nothing to decide" in said(page)
    assert "No theme beyond the expected range" in said(page)
    assert "the week after" not in said(page)
    assert 'href="/themes/rising?week=2026-02-23"' in before.text
    assert said(odd) == said(page)
