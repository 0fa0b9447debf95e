"""The pages of scores, touchpoints, lists and departments, worked with a browser's forms."""

from __future__ import annotations

import csv
from collections.abc import AsyncIterator
from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
import pytest_asyncio

from services.loop.journey.domain import OwnerRef, Ownership
from services.loop.journey.handlers import (
    change_touchpoint,
    ensure_other,
    find_code,
    find_periods,
    find_touchpoint,
    plan_ownership,
)
from shared.identity.audit import SYSTEM
from shared.identity.groups import list_departments
from shared.identity.person_keys import PersonKeys
from shared.identity.teams import create_department
from shared.sealing import Keyring
from tests.desk import HOSTILE, Desk, desk_on
from tests.fakes import ManualClock
from tests.staff import audited

ONE = "/settings/touchpoints/one"


@pytest_asyncio.fixture
async def desk(
    tmp_path: Path, clock: ManualClock, keyring: Keyring, person_keys: PersonKeys
) -> AsyncIterator[Desk]:
    async with desk_on(
        f"{tmp_path}/desk.db", clock=clock, keyring=keyring, person_keys=person_keys
    ) as opened:
        async with opened.database.transaction() as tx:
            await ensure_other(tx, now=clock.now())
        yield opened


async def _answers(desk: Desk, *members: dict[str, Any]) -> None:
    await desk.take_in(
        *await desk.responses([{"customer": f"c-{n}", **one} for n, one in enumerate(members)])
    )


async def _own(desk: Desk, code: str, nick: str, **more: Any) -> None:
    async with desk.database.transaction() as tx:
        now = desk.clock.now()
        new = Ownership(
            id="",
            owner=OwnerRef(id=desk.staff[nick], kind="person"),
            **{"department_id": None, "valid_from": now, **more},
        )
        await plan_ownership(tx, code, new, expected=None, by=SYSTEM, now=now)


async def _post(browser: httpx.AsyncClient, path: str, **fields: str) -> httpx.Response:
    return await browser.post(path, data=fields)


def _done(answer: httpx.Response) -> str:
    assert answer.status_code == 303, answer.text
    return parse_qs(urlsplit(answer.headers["location"]).query)["done"][0]


# ------------------------------------------------------------------ who sees what


async def test_settings_list_what_is_theirs_to_open(desk: Desk) -> None:
    async with desk.browsing("ada") as browser:
        page = (await browser.get("/settings")).text
    async with desk.browsing("ana") as browser:
        refused = await browser.get("/settings")
        header = (await browser.get("/scores")).text

    for path in ("touchpoints", "lists", "departments", "sources", "keys"):
        assert f'href="/settings/{path}"' in page
    assert refused.status_code == 403
    assert 'href="/settings"' not in header


async def test_a_lead_reads_settings_and_changes_none(desk: Desk) -> None:
    async with desk.browsing("uwe") as browser:
        pages = [
            await browser.get(path)
            for path in (
                "/settings/touchpoints",
                f"{ONE}?code=door",
                "/settings/lists",
                "/settings/lists/one?kind=reason&code=other",
                "/settings/departments",
            )
        ]
        refused = await _post(browser, "/settings/departments", name="Sales")

    assert [page.status_code for page in pages] == [200] * 5
    assert not any('action="/settings/touchpoints/' in page.text for page in pages)
    assert refused.status_code == 403


async def test_the_board_sees_scores_and_no_settings(desk: Desk) -> None:
    async with desk.browsing("bea") as browser:
        assert (await browser.get("/scores")).status_code == 200
        assert (await browser.get("/settings")).status_code == 403


# ------------------------------------------------------------------ scores


async def test_the_whole_is_said_in_one_sentence_with_its_margin(desk: Desk) -> None:
    await _answers(desk, *[{"score": 10, "touchpoint": "door"}] * 30, *[{"score": 2}] * 10)

    async with desk.browsing("ana") as browser:
        page = (await browser.get("/scores")).text

    assert "Net Promoter Score +50.0 from 40 answers; with 95 % certainty between" in page
    assert "higher than the whole" in page
    assert "Doorstep delivery" in page


async def test_too_few_answers_are_no_score(desk: Desk) -> None:
    await _answers(desk, {"score": 10}, {"score": 0})

    async with desk.browsing("ana") as browser:
        page = (await browser.get("/scores")).text
        nothing = (await browser.get("/scores?metric=ces")).text

    assert "only 2 answers, too few to rely on" in page
    assert "too few answers" in page
    assert ">0.0<" not in page
    assert "Ease, 1 to 7: no answers in this period." in nothing
    assert "No answers to show" in nothing


async def test_rows_sort_by_name_score_and_number(desk: Desk) -> None:
    await _answers(
        desk,
        *[{"score": 10, "segment": "Beta"}] * 12,
        *[{"score": 2, "segment": "alpha"}] * 11,
        {"score": 9, "segment": "gamma"},
        {"score": 9, "segment": None},
    )

    async def rows(query: str) -> list[str]:
        async with desk.browsing("ana") as browser:
            answer = await browser.get(f"/scores.csv?group=segment{query}")
        return [row["name"] for row in csv.DictReader(StringIO(answer.text.lstrip("\ufeff")))]

    assert await rows("") == ["Beta", "alpha", "gamma", "unknown"]
    assert await rows("&sort=name") == ["alpha", "Beta", "gamma", "unknown"]
    assert await rows("&sort=-name") == ["unknown", "gamma", "Beta", "alpha"]
    assert await rows("&sort=score") == ["alpha", "Beta", "gamma", "unknown"]
    assert await rows("&sort=-score") == ["Beta", "alpha", "gamma", "unknown"]
    assert await rows("&sort=n") == ["gamma", "unknown", "alpha", "Beta"]
    assert await rows("&sort=weather") == await rows("")


async def test_page_and_file_and_json_hold_the_same_rows(desk: Desk) -> None:
    await _answers(
        desk, *[{"score": 10, "channel": "=1+1"}] * 2, {"score": 0, "channel": "sms"}
    )

    async with desk.browsing("ana") as browser:
        page = await browser.get("/scores?group=channel&weeks=4&channel=%3D1%2B1")
        sheet = await browser.get("/scores.csv?group=channel")
        by_api = await browser.get("/scores.csv?group_by=channel")

    rows = list(csv.DictReader(StringIO(sheet.text.lstrip("\ufeff"))))
    assert [(row["group"], row["n"], row["enough"]) for row in rows] == [
        ("'=1+1", "2", "no"),
        ("sms", "1", "no"),
    ]
    assert by_api.text == sheet.text  # the name that /v1/scores has for it
    assert sheet.headers["content-type"].startswith("text/csv")
    assert "/scores.csv?group=channel&amp;weeks=4&amp;channel=%3D1%2B1" in page.text
    assert (
        "/v1/scores?metric=nps&amp;measurement=transactional&amp;group_by=channel" in page.text
    )
    assert 'href="/scores?group=channel&amp;weeks=4"' in page.text


@pytest.mark.parametrize(
    "query",
    [
        "?metric=stars&measurement=all&group=weather&weeks=-1&sort=--n",
        "?from=2026-13-01&to=x",
        "?from=2026-02-01&to=2026-01-01",
        "?from=0001-01-01&to=9999-12-31",
        "?touchpoint=%20&owner=nobody&department=%27",
        "?group=week&touchpoint=" + "x" * 5000,
        "?group=owner&sort=-n",
        "?group=month&weeks=52",
    ],
)
async def test_an_address_that_makes_no_sense_still_shows_scores(
    desk: Desk, query: str
) -> None:
    await _answers(desk, {"score": 3})

    async with desk.browsing("ana") as browser:
        for path in ("/scores", "/scores.csv"):
            assert (await browser.get(f"{path}{query}")).status_code == 200


async def test_a_row_leads_to_its_own_answers_and_a_filter_can_be_taken_away(
    desk: Desk,
) -> None:
    await _answers(desk, {"score": 3, "touchpoint": "door"}, {"score": 9, "reason": "late"})

    async with desk.browsing("ana") as browser:
        page = (await browser.get("/scores")).text
        narrowed = (await browser.get("/scores?group=week&reason=late")).text
        a_week = (await browser.get("/scores?from=2026-02-23&to=2026-03-01")).text

    assert 'href="/scores?touchpoint=door&amp;group=week"' in page
    assert "Contact reason: <bdi>late</bdi>" in narrowed
    assert 'name="reason" value="late"' in narrowed
    assert 'href="/scores?group=week"' in narrowed
    assert 'name="from" value="2026-02-23"' in a_week


async def test_departments_and_owners_have_names(desk: Desk) -> None:
    async with desk.database.transaction() as tx:
        part = await create_department(tx, name="Logistics", now=desk.clock.now())
    await _own(desk, "door", "ole", department_id=part.id)
    await _answers(desk, {"score": 3, "touchpoint": "door"}, {"score": 9})

    async with desk.browsing("ana") as browser:
        by_owner = (await browser.get("/scores?group=owner")).text
        by_part = (await browser.get("/scores?group=department")).text

    assert "<bdi>Ole Berg</bdi>" in by_owner
    assert "<bdi>unknown</bdi>" in by_owner
    assert "<bdi>Logistics</bdi>" in by_part


# ------------------------------------------------------------------ touchpoints


async def test_what_has_to_be_done_comes_first(desk: Desk) -> None:
    await _own(desk, "door", "ole")
    await _answers(desk, {"touchpoint": "zebra"}, {"touchpoint": "door"})

    async with desk.browsing("ada") as browser:
        page = (await browser.get("/settings/touchpoints")).text
        found = (await browser.get("/settings/touchpoints?q=DOORSTEP")).text
        unowned = (await browser.get("/settings/touchpoints?show=unowned")).text
        none = (await browser.get("/settings/touchpoints?q=%25")).text

    places = [page.index(f"one?code={code}") for code in ("zebra", "support-call", "door")]
    assert places == sorted(places)
    assert "1 is not described" in page
    assert "1 has no owner" in page
    assert "code=door" in found
    assert "code=zebra" not in found
    assert "code=support-call" in unowned
    assert "code=door" not in unowned
    assert "Nothing fits this filter" in none


async def test_a_long_list_of_touchpoints_comes_in_parts(desk: Desk) -> None:
    await _answers(desk, *[{"touchpoint": f"place {n:03}"} for n in range(70)])
    seen: list[str] = []
    path: str | None = "/settings/touchpoints"

    async with desk.browsing("ada") as browser:
        while path:
            page = (await browser.get(path)).text
            seen += [part.split('"')[0] for part in page.split("one?code=")[1:]]
            following = page.split('rel="next"')[0].rpartition('href="')[2]
            path = (
                following.split('"')[0].replace("&amp;", "&") if 'rel="next"' in page else None
            )

    assert len(seen) == len(set(seen)) == 72
    assert seen[0] == "place+000"
    assert seen[-1] == "support-call"


async def test_an_unknown_code_is_mapped_and_taken_back(desk: Desk) -> None:
    await _own(desk, "door", "ole")
    await _answers(desk, {"touchpoint": "the/door"})

    async with desk.browsing("ada") as browser:
        before = await browser.get(ONE, params={"code": "the/door"})
        mapped = await _post(
            browser,
            "/settings/touchpoints/map",
            code="the/door",
            version="1",
            alias_of="door",
        )
        shown = (await browser.get(mapped.headers["location"])).text
        stale = await _post(
            browser, "/settings/touchpoints/map", code="the/door", version="1", alias_of=""
        )
        back = await _post(
            browser, "/settings/touchpoints/map", code="the/door", version="2", alias_of=""
        )

    assert "not described" in before.text
    assert _done(mapped) == "map"
    assert "The code stands for what you chose." in shown
    assert "stands for" in shown
    assert "Name an owner" not in shown
    assert stale.status_code == 412
    assert "Somebody changed this meanwhile." in stale.text
    assert _done(back) == "unmap"


async def test_a_touchpoint_is_described_owned_and_handed_over(desk: Desk) -> None:
    async with desk.database.transaction() as tx:
        part = await create_department(tx, name="Logistics", now=desk.clock.now())
    later = (desk.clock.now() + timedelta(days=5)).strftime("%Y-%m-%dT%H:%M")
    ole, ana = desk.staff["ole"], desk.staff["ana"]
    act = "/settings/touchpoints"

    async with desk.browsing("ada") as browser:
        described = await _post(
            browser,
            f"{act}/describe",
            code="door",
            version="1",
            name="Front door",
            macro="Delivery",
            key="yes",
            department_id=part.id,
        )
        owned = await _post(
            browser, f"{act}/owners", code="door", owner=ole, department_id=part.id
        )
        handed = await _post(browser, f"{act}/owners", code="door", owner=ana, valid_from=later)
        page = (await browser.get(f"{ONE}?code=door")).text
        blank = await _post(browser, f"{act}/owners", code="door", owner="")
        wrong = await _post(
            browser, f"{act}/owners", code="door", owner=ana, valid_until="tomorrow"
        )
        overlapping = await _post(
            browser, f"{act}/owners", code="door", owner=ana, valid_until=later
        )
    now = desk.clock.now()
    async with desk.database.reading() as view:
        door = await find_touchpoint(view, "door", now=now)
        periods = await find_periods(view, "door")

    assert [_done(one) for one in (described, owned, handed)] == ["described", "owner", "owner"]
    assert (door.name, door.macro, door.key) == ("Front door", "Delivery", True)
    assert (door.owner, door.department_id) == (OwnerRef(id=ole, kind="person"), part.id)
    # Berlin, where Ada lives, is an hour ahead of UTC in March.
    assert periods[-1].valid_from == now + timedelta(days=5) - timedelta(hours=1)
    assert periods[-1].owner == OwnerRef(id=ana, kind="person")
    assert "Now its tasks go to Ole Berg." in page
    assert "planned" in page
    assert (blank.status_code, wrong.status_code) == (422, 422)
    assert 'href="#owner-owner"' in blank.text
    assert overlapping.status_code == 409
    assert "The period of another owner covers a part of this one." in overlapping.text


async def test_a_period_ends_at_the_press_of_a_button(desk: Desk) -> None:
    await _own(desk, "door", "ole")
    desk.clock.advance(timedelta(hours=1))
    async with desk.database.reading() as view:
        (period,) = await find_periods(view, "door")

    async with desk.browsing("ada") as browser:
        ended = await _post(browser, "/settings/touchpoints/end", code="door", period=period.id)
        again = await _post(browser, "/settings/touchpoints/end", code="door", period=period.id)
        page = (await browser.get(f"{ONE}?code=door")).text
        nowhere = await _post(browser, "/settings/touchpoints/end", code="x", period="own_1")

    assert _done(ended) == "end"
    assert again.status_code == 409
    assert "Nobody owns this touchpoint now" in page
    assert nowhere.status_code == 404


async def test_key_touchpoints_without_enough_answers_are_named(desk: Desk) -> None:
    async with desk.database.transaction() as tx:
        await change_touchpoint(
            tx, "door", {"key": True}, expected=None, by=SYSTEM, now=desk.clock.now()
        )
    await _answers(desk, {"touchpoint": "door"})

    async with desk.browsing("ada") as browser:
        few = (await browser.get("/settings/touchpoints")).text
        await _answers(desk, *[{"touchpoint": "door"}] * 10)
        enough = (await browser.get("/settings/touchpoints")).text

    assert "Too few answers at key touchpoints: Doorstep delivery." in few
    assert "Too few answers at key touchpoints" not in enough


async def test_a_touchpoint_is_described_before_anybody_names_it(desk: Desk) -> None:
    async with desk.browsing("ada") as browser:
        made = await _post(
            browser, "/settings/touchpoints", code="kiosk & co", name=HOSTILE[:90]
        )
        again = await _post(browser, "/settings/touchpoints", code="kiosk & co", name="Kiosk")
        empty = await _post(browser, "/settings/touchpoints", code="", name="Kiosk")
        page = await browser.get(made.headers["location"])

    assert _done(made) == "described"
    assert (again.status_code, empty.status_code) == (409, 422)
    assert 'value="kiosk &amp; co"' in again.text
    assert page.status_code == 200
    assert "<script>document" not in page.text
    assert "touchpoint.described" in await audited(desk.database)


# ------------------------------------------------------------------ lists


async def test_a_list_offers_its_starter_set_and_what_was_seen(desk: Desk) -> None:
    await _answers(desk, {"reason": "loan"})

    async with desk.browsing("ada") as browser:
        before = (await browser.get("/settings/lists?kind=reason")).text
        added = await _post(browser, "/settings/lists/starter", none="1")
        after = (await browser.get(added.headers["location"])).text

    assert "Add the contact reasons of a bank" in before
    assert before.index("code=loan") < before.index("code=other")
    assert _done(added) == "bank"
    assert "Loan application" in after
    assert "Add the contact reasons of a bank" not in after


async def test_a_code_is_named_in_languages_mapped_and_retired(desk: Desk) -> None:
    await _answers(desk, {"segment": "G1"})
    lists = "/settings/lists"
    gold = {"kind": "segment", "code": "gold"}

    async with desk.browsing("ada") as browser:
        added = await _post(browser, lists, **gold, label="Gold")
        twice = await _post(browser, lists, **gold, label="Gold")
        named = await _post(
            browser, f"{lists}/names", **gold, label_en="Gold", label_de="Goldkunden"
        )
        mapped = await _post(
            browser, f"{lists}/map", kind="segment", code="G1", alias_of="gold"
        )
        in_use = await _post(browser, f"{lists}/retire", **gold)
        itself = await _post(browser, f"{lists}/map", **gold, alias_of="gold")
        await _post(browser, f"{lists}/map", kind="segment", code="G1", alias_of="")
        retired = await _post(browser, f"{lists}/retire", **gold)
        other = await _post(browser, f"{lists}/weather", **gold)
        nobody = await _post(browser, f"{lists}/names", kind="segment", code="x", label_en="X")
    async with desk.browsing("uwe") as browser:
        german = (await browser.get("/settings/lists/one?kind=segment&code=gold")).text
    async with desk.database.reading() as view:
        found = await find_code(view, "segment", "gold", now=desk.clock.now())

    assert [_done(one) for one in (added, named, mapped, retired)] == [
        "added",
        "changed",
        "map",
        "retired",
    ]
    assert (twice.status_code, in_use.status_code, itself.status_code) == (409, 409, 422)
    assert "A code cannot stand for itself." in itself.text
    assert (other.status_code, nobody.status_code) == (404, 404)
    assert found.labels == {"en": "Gold", "de": "Goldkunden"}
    assert found.retired_at is not None
    assert "<bdi>Goldkunden</bdi>" in german


async def test_tasks_show_segments_by_their_names(desk: Desk) -> None:
    await _answers(desk, {"score": 1, "segment": "gold"})
    async with desk.browsing("ada") as browser:
        await _post(browser, "/settings/lists", kind="segment", code="gold", label="Gold club")
        await _post(browser, "/settings/lists", kind="segment", code="gold", label="Gold club")
        queue = (await browser.get("/?tab=open")).text

    assert "Gold club" in queue


# ------------------------------------------------------------------ departments


async def test_departments_are_added_renamed_and_headed(desk: Desk) -> None:
    path = "/settings/departments"

    async with desk.browsing("ada") as browser:
        empty = (await browser.get(path)).text
        added = await _post(browser, path, name="Logistics", head_id=desk.staff["ole"])
        taken = await _post(browser, path, name="Logistics")
        async with desk.database.reading() as view:
            (part,) = await list_departments(view)
        changed = await _post(
            browser, path, id=part.id, version="1", name="Delivery", head_id=""
        )
        stale = await _post(browser, path, id=part.id, version="1", name="Other")
        nobody = await _post(browser, path, id="dep_none", version="1", name="Other")
        blank = await _post(browser, path, name=" ")
        page = (await browser.get(changed.headers["location"])).text

    assert "No department yet" in empty
    assert (_done(added), _done(changed)) == ("added", "changed")
    assert part.head_id == desk.staff["ole"]
    assert taken.status_code == 409
    assert "This name is taken already." in taken.text
    assert (stale.status_code, nobody.status_code, blank.status_code) == (412, 404, 422)
    assert "Delivery" in page
    assert "The department is saved." in page
