"""The pages of themes: which stand there, what is said of each, and the words behind them."""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from html import unescape
from io import StringIO
from typing import Any

import httpx

from services.loop.themes.handlers import change_taxonomy, current_taxonomy
from shared.identity.people import create_staff
from shared.identity.principal import Role
from shared.identity.teams import create_department
from tests.desk import MACHINE, Desk
from tests.follow_up import SOLVED

MAYA = {"customer": "c-maya", "block": {"name": "Maya Lindqvist", "phone": "+46 70 000"}}
QUEUED = "waited in the queue"


def said(answer: httpx.Response) -> str:
    """Return what a page says, without its markup."""
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", answer.text)).split())


def rows(answer: httpx.Response) -> Sequence[Mapping[str, str]]:
    """Return the rows of a file."""
    assert answer.headers["content-type"].startswith("text/csv")
    return list(csv.DictReader(StringIO(answer.text.removeprefix("\ufeff"))))


async def heard(desk: Desk, *answers: Mapping[str, Any]) -> None:
    """Take answers in; ``days`` says how long ago each was given."""
    now = desk.clock.now()
    await desk.take_in(
        *await desk.responses(
            [
                {
                    "answered_at": now - timedelta(days=answer.get("days", 0)),
                    **{name: value for name, value in answer.items() if name != "days"},
                }
                for answer in answers
            ]
        )
    )


async def belongs_to(desk: Desk, theme_id: str, department: str) -> str:
    """Give a theme to a department; return the department's id."""
    async with desk.database.transaction() as tx:
        made = await create_department(tx, name=department, by=MACHINE, now=desk.clock.now())
        taxonomy = (await current_taxonomy(tx)).taxonomy
        themes = tuple(
            replace(theme, department=made.id) if theme.id == theme_id else theme
            for theme in taxonomy.themes
        )
        await change_taxonomy(
            tx, replace(taxonomy, themes=themes), expected=None, by="x", now=desk.clock.now()
        )
    return made.id


async def test_themes_are_counted_beside_the_period_before(desk: Desk) -> None:
    answers = [{"comment": QUEUED, "days": days} for days in (1, 2, 3, 30)]
    await heard(desk, *answers, {"comment": "blue", "score": 9})

    async with desk.browsing("ana") as browser:
        listed = said(await browser.get("/themes"))
        week = said(await browser.get("/themes?days=7&touchpoint=door"))

    assert re.search(r"1\. Waiting and punctuality 3 75% \+2 too few answers 100% of 3", listed)
    assert re.search(r"Net Promoter Score .50\.0", listed)
    assert "n = 4" in listed
    assert "too few answers to rely on" in listed
    assert "Without a theme 25% before: 0% read them" in listed
    assert "No themes in this period" in week


async def test_a_rise_is_told_from_a_week_like_any_other(desk: Desk) -> None:
    past = [
        {"comment": comment, "days": 7 * week + day, "score": 9}
        for week in range(4, 13)
        for day, comment in enumerate([QUEUED, "the bill was wrong", "blue", "green", "red"])
    ]
    now = [{"comment": QUEUED, "days": day, "score": 2} for day in range(20)]
    others = [{"comment": "the bill was wrong", "days": day, "score": 9} for day in (1, 8, 15)]
    await heard(desk, *past, *now, *others)

    async with desk.browsing("uwe") as browser:
        page = await browser.get("/themes", headers={"Accept-Language": "en"})
        (rising, other) = rows(await browser.get("/themes.csv"))[:2]
        theme = said(await browser.get("/themes/waiting"))
        weeks = rows(await browser.get("/themes/waiting/weeks.csv"))

    assert page.status_code == 200
    assert (rising["theme"], rising["expected_range"]) == ("waiting", "beyond")
    assert other["expected_range"] != "beyond"
    assert (rising["rated"], rising["unhappy"]) == ("20", "20")
    assert len(weeks) == 26
    assert weeks[-1]["mentions"] == "7"
    assert int(weeks[-5]["expected_to"]) < 7
    assert "7" in theme


async def test_what_nobody_answers_for_stands_on_its_own_list(desk: Desk) -> None:
    await heard(desk, {"comment": QUEUED}, {"comment": "The bill was wrong."})
    await belongs_to(desk, "waiting", "Service desk")

    async with desk.browsing("ada") as browser:
        listed = said(await browser.get("/themes"))
        unassigned = await browser.get("/themes?tab=unassigned")
        nobody = await browser.get("/themes?department=-")

    assert "Unassigned 1" in listed
    assert "Service desk" in listed
    for page in (unassigned, nobody):
        assert "Price and billing" in page.text
        assert "Waiting and punctuality" not in page.text
        assert 'href="/settings/taxonomy/one?id=price"' in page.text


async def test_a_head_sees_their_own_department_first_and_the_others_when_asked(
    desk: Desk,
) -> None:
    await heard(desk, {"comment": QUEUED}, {"comment": "The bill was wrong."})
    department = await belongs_to(desk, "waiting", "Service desk")
    async with desk.database.transaction() as tx:
        made = await create_staff(
            tx,
            email="hedda@example.org",
            name="Hedda Head",
            role=Role.DEPARTMENT_HEAD,
            department_id=department,
            now=desk.clock.now(),
        )
    desk.staff["hedda"] = made.id

    async with desk.browsing("hedda") as browser:
        own = (await browser.get("/themes")).text
        every = (await browser.get("/themes?department=")).text

    assert "Waiting and punctuality" in own
    assert "Price and billing" not in own
    assert "Price and billing" in every


async def test_the_top_ten_says_which_place_each_had(desk: Desk) -> None:
    before = [{"comment": "The bill was wrong.", "days": 30}] * 2
    await heard(desk, *before, {"comment": QUEUED, "days": 31}, {"comment": QUEUED})
    await heard(desk, {"comment": QUEUED}, {"comment": "The bill was wrong."})

    async with desk.browsing("ana") as browser:
        page = said(await browser.get("/themes?tab=top"))

    assert re.search(r"1\. Waiting and punctuality was 2\.", page)
    assert re.search(r"2\. Price and billing was 1\.", page)


async def test_the_words_that_touch_no_theme_can_be_read(desk: Desk) -> None:
    await heard(
        desk,
        *({"comment": f"blue {n}", "days": n} for n in range(25)),
        {"comment": QUEUED},
    )

    async with desk.browsing("ana") as browser:
        first = await browser.get("/themes?tab=without")
        (older,) = re.findall(r'href="([^"]+)" rel="next"', first.text)
        second = await browser.get(unescape(older))
    async with desk.browsing("bea") as browser:
        board = await browser.get("/themes?tab=without")

    assert "blue 0" in first.text
    assert "blue 24" not in first.text
    assert "blue 24" in second.text
    assert "queue" not in re.sub(r"<nav.*?</nav>", "", first.text, flags=re.DOTALL).replace(
        'class="queue"', ""
    )
    assert "blue" not in board.text
    assert "The words are not shown to you" in said(board)


async def test_a_theme_shows_the_voices_to_those_who_may_read_tasks(desk: Desk) -> None:
    task = await desk.hears("Maya here. We waited two hours in the queue.", **MAYA)

    async with desk.browsing("ana") as browser:
        staff = await browser.get("/themes/waiting")
    async with desk.browsing("bea") as browser:
        board = await browser.get("/themes/waiting")

    assert re.search(r"<mark>[^<]*wait", staff.text)
    assert re.search(r"why here: “wait\w*”", said(staff))
    assert "Maya" not in staff.text
    assert f'<a href="/tasks/{task.id}">Task</a>: Not started' in staff.text
    assert "Open 1" in said(staff)
    assert board.status_code == 200
    assert "two hours" not in board.text
    assert "The words are not shown to you" in said(board)


async def test_a_theme_shows_what_resolved_tasks_found_behind_it(desk: Desk) -> None:
    await desk.act(await desk.hears(QUEUED), *SOLVED)
    await desk.act(await desk.hears("The bill was wrong."), *SOLVED)

    async with desk.browsing("ana") as browser:
        page = said(await browser.get("/themes/waiting"))

    assert "1 task of this period is resolved. Avoidable: 100% of 1" in page
    assert "Area of the cause: Process 1" in page


async def test_whoever_may_corrects_a_voice_where_it_stands_and_takes_it_back(
    desk: Desk,
) -> None:
    await desk.hears("We waited two hours; the bill was wrong, too.", **MAYA)

    async with desk.browsing("ana") as browser:
        page = await browser.get("/themes/waiting?days=84")
        (response_id,) = set(re.findall(r'name="response_id" value="(\w+)"', page.text))
        (here,) = set(re.findall(r'name="back" value="([^"]+)"', page.text))
        form = {"response_id": response_id, "back": unescape(here)}
        corrected = await browser.post(
            "/themes/waiting/corrections", data={**form, "verdict": "not"}
        )
        without = await browser.get(corrected.headers["location"])
        (undo,) = re.findall(r'action="([^"]+/undo)"', without.text)
        undone = await browser.post(undo, data={**form, "theme_id": "waiting"})
        again = await browser.get(undone.headers["location"])
    async with desk.browsing("bea") as browser:
        board = await browser.get("/themes/waiting?days=84")

    assert "days=84" in corrected.headers["location"]
    assert "two hours" not in without.text
    assert "The theme was taken off this comment." in said(without)
    assert "two hours" in again.text
    assert "The correction was taken back." in said(again)
    assert "/corrections" not in board.text


async def test_a_theme_shows_where_it_is_mentioned_and_where_it_stands_out(desk: Desk) -> None:
    door = [{"comment": QUEUED, "touchpoint": "door", "score": 1}] * 15
    call = [{"comment": QUEUED, "touchpoint": "support-call", "score": 9}]
    fine = [{"comment": "blue", "touchpoint": "support-call", "score": 9}] * 30
    await heard(desk, *door, *call, *fine)

    async with desk.browsing("ana") as browser:
        page = said(await browser.get("/themes/waiting"))
        narrowed = said(await browser.get("/themes/waiting?touchpoint=door"))

    assert re.search(
        r"delivery 15 100% of 15, 80% to 100% .100\.0 .* mentioned more than elsewhere",
        page,
    )
    assert re.search(r"Effect on the score .\d+\.\d", page)
    assert "Support call 1 3% of 31" in page
    assert "Mentions 15 100% of the comments" in narrowed
