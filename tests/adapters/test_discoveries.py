"""What was discovered, by the interface and on its page: adopted, dismissed, brought back."""

from __future__ import annotations

import re
from datetime import timedelta
from html import unescape
from typing import Any

import httpx
import pytest

from services.loop.themes.tables import taxonomies
from shared.identity.audit import SYSTEM
from shared.identity.erasure import erase_person
from shared.identity.principal import Scope
from shared.identity.teams import create_department
from tests.desk import Desk
from tests.forms import URLENCODED
from tests.loop_door import Api
from tests.nights import JACKETS, LOCKERS, plant
from tests.staff import audited

PATH = "/v1/discoveries"
NOWAK = {"name": "Agnieszka Nowak"}


async def planted(room: Any, *labels: str, **more: Any) -> list[str]:
    """Have nights found groups of three comments, the first group of four."""
    found = []
    for number, label in enumerate(labels):
        texts = (LOCKERS if number % 2 == 0 else JACKETS)[: 4 if number == 0 else 3]
        events = await room.responses(
            [{"comment": f"{each}, says Nowak", "block": NOWAK} for each in texts]
        )
        await room.take_in(*events)
        ids = [event.response_id for event in events]
        found.append(await plant(room.database, label, ids, now=room.clock.now(), **more))
    return found


async def test_they_are_listed_the_largest_first_with_comments_for_those_who_may_read(
    api: Api,
) -> None:
    first, second = await planted(api.intake, "lockers", "zippers")
    await planted(api.intake, "nobody saw it twice", state="waiting")

    listed = (await api.get(PATH)).json()
    parts = (await api.get(PATH, limit=1)).json()
    rest = (await api.get(PATH, limit=1, cursor=parts["next_cursor"])).json()
    blind = (await api.get(PATH, Scope.THEMES_READ)).json()

    assert [one["id"] for one in listed["data"]] == [first, second]
    assert (listed["waiting"], listed["last_night"]) == (1, None)
    one = listed["data"][0]
    assert (one["label"], one["comments"], one["customers"]) == ("lockers", 4, 4)
    assert (one["rated"], one["detractors"], one["enough"]) == (4, 4, False)
    assert one["detractor_share"] == 1.0
    assert [each["comment"] for each in one["typical"]] == [
        f"{each}, says Nowak" for each in LOCKERS[:3]
    ]
    assert [one["id"] for one in parts["data"] + rest["data"]] == [first, second]
    assert (parts["has_more"], rest["has_more"]) == (True, False)
    assert [each["comment"] for each in blind["data"][0]["typical"]] == [None] * 3


async def test_it_says_how_much_no_theme_covers_week_by_week(api: Api) -> None:
    await planted(api.intake, "lockers")
    api.intake.clock.advance(timedelta(weeks=1))

    watch = (await api.get(PATH)).json()["without_theme"]

    assert (watch["word"], watch["has_grown"]) == ("too_few", False)
    assert len(watch["weeks"]) == 12
    last = watch["weeks"][-1]
    assert (last["from"], last["comments"], last["without_theme"]) == ("2026-03-02", 4, 4)
    assert (last["share"], last["share_ci95"][1]) == (1.0, 1.0)


async def test_adopted_it_is_a_theme_of_the_taxonomy_with_its_words(api: Api) -> None:
    (one,) = await planted(api.intake, "lockers")
    async with api.intake.database.transaction() as tx:
        part = await create_department(
            tx, name="Shops", head_id=None, by=SYSTEM, now=api.intake.clock.now()
        )

    adopted = await api.send(
        "POST", f"{PATH}/{one}/adopt", json={"name": "Full lockers", "department": part.id}
    )
    read = await api.get(f"{PATH}/{one}")
    again = await api.send("POST", f"{PATH}/{one}/adopt", json={"name": "Full lockers"})
    gone = await api.send("POST", f"{PATH}/{one}/dismiss")
    themes = (await api.get("/v1/taxonomy")).json()["themes"]
    listed = [(await api.get(PATH, state=state)).json() for state in ("shown", "adopted")]

    assert (adopted.status_code, adopted.headers["etag"]) == (200, '"3"')
    assert adopted.json()["replays"] == "/v1/taxonomy/replays"
    assert "typical" not in adopted.json()
    assert read.headers["etag"] == '"3"'
    assert read.json()["theme_id"] == "full-lockers"
    (theme,) = [each for each in themes if each["id"] == "full-lockers"]
    assert theme["keywords"] == {"en": ["lockers"]}
    assert theme["department"] == part.id
    assert [answer.status_code for answer in (again, gone)] == [409, 409]
    assert again.json()["state"] == "adopted"
    assert [[each["id"] for each in part["data"]] for part in listed] == [[], [one]]
    assert (await audited(api.intake.database)).count("discovery.adopted") == 1


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"name": "Waiting", "id": "waiting"}, 422),  # the shipped taxonomy has one
        ({"name": "Lockers", "department": "dep_none"}, 422),
        ({"name": " "}, 422),
        ({"name": "Lockers", "id": "two words"}, 422),
        ({"name": "Lockers", "words": ["a"]}, 422),
        ([], 422),
    ],
)
async def test_what_cannot_be_a_theme_is_refused_and_nothing_happens(
    api: Api, body: Any, status: int
) -> None:
    (one,) = await planted(api.intake, "lockers")

    refused = await api.send("POST", f"{PATH}/{one}/adopt", json=body)

    assert refused.status_code == status, refused.text
    assert refused.json()["errors"]
    assert (await api.get(f"{PATH}/{one}")).json()["state"] == "shown"
    assert len(await api.intake.rows(taxonomies)) == 1


async def test_dismissed_and_brought_back(api: Api) -> None:
    (one,) = await planted(api.intake, "lockers")

    stale = await api.send("POST", f"{PATH}/{one}/dismiss", If_Match='"1"')
    dismissed = await api.send("POST", f"{PATH}/{one}/dismiss", If_Match='"2"')
    shown = (await api.get(PATH)).json()["data"]
    back = await api.send("POST", f"{PATH}/{one}/restore")

    assert (stale.status_code, stale.json()["version"]) == (412, 2)
    assert dismissed.json()["state"] == "dismissed"
    assert dismissed.json()["decided_at"] is not None
    assert shown == []
    assert (back.json()["state"], back.headers["etag"]) == ("shown", '"4"')


async def test_nobody_decides_without_the_right_and_nothing_unknown_is_found(api: Api) -> None:
    (one,) = await planted(api.intake, "lockers")
    (waiting,) = await planted(api.intake, "once", state="waiting")

    answers = [
        await api.send("POST", f"{PATH}/{one}/{act}", Scope.THEMES_READ, json={"name": "x"})
        for act in ("adopt", "dismiss", "restore")
    ]
    unknown = [await api.get(f"{PATH}/{each}") for each in ("dsc_none", waiting)]

    assert [answer.status_code for answer in answers] == [403] * 3
    assert [answer.status_code for answer in unknown] == [404, 404]
    assert (await api.get(PATH, state="waiting")).status_code == 422
    assert (await api.get(PATH, Scope.TASKS_READ)).status_code == 403


async def test_whoever_was_erased_shows_nothing_any_more(api: Api) -> None:
    (event,) = await api.intake.responses([{"comment": LOCKERS[0]}])
    await api.intake.take_in(event)
    now = api.intake.clock.now()
    one = await plant(api.intake.database, "lockers", [event.response_id], now=now)
    async with api.intake.database.transaction() as tx:
        await erase_person(tx, event.person_ref, now)

    assert (await api.get(f"{PATH}/{one}")).json()["typical"] == []


# ------------------------------------------------------------------ the page


def said(answer: httpx.Response) -> str:
    """Return what a page says, without its markup."""
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", answer.text)).split())


async def press(
    browser: httpx.AsyncClient, one: str, act: str, **fields: str
) -> httpx.Response:
    return await browser.post(f"/themes/new/{one}/{act}", data=fields, headers=URLENCODED)


async def test_one_click_makes_a_theme(desk: Desk) -> None:
    one, other = await planted(desk, "lockers", "zippers")

    async with desk.browsing("ada") as browser:
        before = await browser.get("/themes/new")
        done = await press(browser, one, "adopt", name="lockers", department="")
        after = await browser.get(done.headers["location"])
        theme = await browser.get("/themes/lockers")
        replay = await browser.get("/settings/taxonomy/replay")

    assert "The locker at the corner was full again, says [name]" in said(before)
    assert "Nowak" not in before.text
    assert f'value="{"lockers"}"' in before.text
    assert done.status_code == 303
    assert "The theme is looked for in whatever arrives from now on." in said(after)
    assert f"/themes/new/{one}/adopt" not in after.text
    assert f"/themes/new/{other}/adopt" in after.text
    assert 'href="/settings/taxonomy/replay"' in after.text
    assert [theme.status_code, replay.status_code] == [200, 200]


async def test_a_theme_called_like_another_page_has_a_page_all_the_same(desk: Desk) -> None:
    (one,) = await planted(desk, "lockers")

    async with desk.browsing("ada") as browser:
        await press(browser, one, "adopt", name="New", department="")
        theme = await browser.get("/themes/new-2")

    assert theme.status_code == 200


async def test_a_click_too_many_is_taken_back(desk: Desk) -> None:
    (one,) = await planted(desk, "lockers")

    async with desk.browsing("ada") as browser:
        gone = await press(browser, one, "dismiss")
        empty = await browser.get(gone.headers["location"])
        twice = await press(browser, one, "dismiss")
        back = await press(browser, one, "restore")
        again = await browser.get(back.headers["location"])

    assert "No new words" in said(empty)
    assert f"/themes/new/{one}/restore" in empty.text
    assert twice.headers["location"] == "/themes/new?done=meanwhile"
    assert f"/themes/new/{one}/adopt" in again.text


async def test_a_name_must_be_given_and_what_was_typed_stays(desk: Desk) -> None:
    (one,) = await planted(desk, "lockers")

    async with desk.browsing("ada") as browser:
        nameless = await press(browser, one, "adopt", name="", department="")
        nowhere = await press(browser, one, "adopt", name="Box", department="dep_none")

    assert (nameless.status_code, nowhere.status_code) == (422, 422)
    assert "Please fill in this field." in said(nameless)
    assert 'value="Box"' in nowhere.text
    assert "This was not saved." in said(nowhere)


@pytest.mark.parametrize(
    ("nick", "reads", "may_decide"), [("ana", True, False), ("bea", False, False)]
)
async def test_others_see_the_words_and_decide_nothing(
    desk: Desk, nick: str, *, reads: bool, may_decide: bool
) -> None:
    (one,) = await planted(desk, "lockers")

    async with desk.browsing(nick) as browser:
        page = await browser.get("/themes/new")
        refused = await press(browser, one, "adopt", name="Box")

    assert "lockers" in said(page)
    assert (LOCKERS[0] in said(page)) is reads
    assert ("/adopt" in page.text) is may_decide
    assert refused.status_code == 403


async def test_an_empty_house_says_what_will_stand_here(desk: Desk) -> None:
    async with desk.browsing("ada") as browser:
        page = await browser.get("/themes/new")

    assert "No new words" in said(page)
    assert "no comments in the last week" in said(page)
