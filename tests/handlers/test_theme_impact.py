"""Themes add up from roll-ups to what they cost, where they deviate and who sent them."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy import update

from services.loop.journey.domain import Touchpoint
from services.loop.journey.handlers import add_touchpoint, change_touchpoint
from services.loop.responses.tables import responses
from services.loop.themes.domain import parse_taxonomy
from services.loop.themes.handlers import change_taxonomy, list_themes
from services.loop.themes.handlers.impact import (
    change,
    deviations,
    impacts,
    matrix,
    own_parts,
    sources,
)
from services.loop.themes.tables import mentions, theme_rollups
from shared.db.transaction import Database
from shared.identity.audit import SYSTEM
from shared.identity.person_keys import PersonKeys
from shared.sealing import Keyring
from tests.fakes import ManualClock
from tests.handlers.intake import WAITED, Intake

FRIENDLY = "The adviser was friendly and polite."
NOTHING = "xyzzy"
TAXONOMY = parse_taxonomy(
    {
        "version": 1,
        "max_themes": None,
        "themes": [
            {"id": "staff", "name": "Staff", "keywords": {"en": ["friendly"]}},
            {"id": "waiting", "name": "Waiting", "keywords": {"en": ["waited"]}},
            {"id": "weather", "name": "Weather", "keywords": {"en": ["rain"]}},
        ],
    }
)
FIRST, LAST = date(2026, 2, 3), date(2026, 3, 2)


@pytest_asyncio.fixture
async def intake(
    database_of: Callable[[str], Database],
    clock: ManualClock,
    keyring: Keyring,
    person_keys: PersonKeys,
) -> Intake:
    made = Intake(
        database=database_of("loop"), clock=clock, keyring=keyring, person_keys=person_keys
    )
    async with made.database.transaction() as tx:
        await change_taxonomy(tx, TAXONOMY, expected=None, by="stf_1", now=clock.now())
    return made


def _said(times: int, comment: str | None, score: int | None, **members: Any) -> list[Any]:
    return [{"comment": comment, "score": score, **members} for _ in range(times)]


async def _take_in(intake: Intake, said: list[Any]) -> None:
    await intake.take_in(*await intake.responses(said))


async def test_what_a_theme_costs_and_brings(intake: Intake) -> None:
    """Leaving out the 20 who waited, all of them unhappy, gains 20 points."""
    await _take_in(
        intake,
        [
            *_said(20, WAITED, 2),
            *_said(30, FRIENDLY, 10),
            *_said(10, NOTHING, 10),
            *_said(40, NOTHING, 7),
        ],
    )

    async with intake.database.reading() as view:
        found = await impacts(view, first=FIRST, last=LAST)
        listed = await list_themes(view, first=FIRST, last=LAST, order="lift")

    waiting, staff = found["waiting"], found["staff"]
    assert waiting.points == pytest.approx(100 * (20 / 100 - 40 / 80))
    assert staff.points == pytest.approx(100 * (20 / 100 - -10 / 70))
    for one in (waiting, staff):
        assert one.points is not None
        assert one.ci95 is not None
        assert one.ci95[0] < one.points < one.ci95[1]
    assert (waiting.n, waiting.rank, staff.n, staff.rank) == (20, 1, 30, 2)
    assert [summary.theme.id for summary in listed.themes][:2] == ["staff", "waiting"]


async def test_answers_to_different_kinds_of_surveys_are_not_pooled(intake: Intake) -> None:
    """Only transactional Net Promoter answers make points; all mentions are counted."""
    await _take_in(
        intake,
        [
            *_said(10, WAITED, 2),
            *_said(10, NOTHING, 9),
            *_said(10, WAITED, 9, measurement="periodic"),
            *_said(10, NOTHING, 7, measurement="periodic"),
            *_said(10, WAITED, 5, metric="csat"),
            *_said(10, WAITED, None, measurement="unsolicited", sentiment="negative"),
        ],
    )

    async with intake.database.reading() as view:
        found = (await impacts(view, first=FIRST, last=LAST))["waiting"]
        periodic = await impacts(view, first=FIRST, last=LAST, measurement="periodic")
        (summary, *_) = (await list_themes(view, first=FIRST, last=LAST)).themes

    assert found.points == pytest.approx(-100)
    assert found.n == 10
    assert periodic["waiting"].points == pytest.approx(50)
    assert (summary.counts.mentions, summary.counts.rated) == (40, 40)


async def test_ranks_are_kept_beside_those_of_the_period_before(intake: Intake) -> None:
    before = intake.clock.now() - timedelta(days=28)
    await _take_in(
        intake,
        [
            *_said(3, WAITED, 2),
            *_said(2, FRIENDLY, 9),
            *_said(1, WAITED, 2, answered_at=before),
            *_said(2, FRIENDLY, 9, answered_at=before),
        ],
    )

    async with intake.database.reading() as view:
        found = (await list_themes(view, first=FIRST, last=LAST)).themes

    ranked = [(one.theme.id, one.rank, one.former_rank) for one in found]
    assert ranked[:2] == [("waiting", 1, 2), ("staff", 2, 1)]
    assert {(one.rank, one.former_rank) for one in found[2:]} == {(None, None)}


async def test_where_equally_many_mention_two_themes_the_unhappier_stands_first(
    intake: Intake,
) -> None:
    await _take_in(intake, [*_said(2, WAITED, 2), *_said(2, FRIENDLY, 9)])

    async with intake.database.reading() as view:
        found = (await list_themes(view, first=FIRST, last=LAST)).themes
        promoters = (await list_themes(view, first=FIRST, last=LAST, order="promoters")).themes

    assert [(one.theme.id, one.rank) for one in found[:2]] == [("waiting", 1), ("staff", 1)]
    assert promoters[0].theme.id == "staff"


async def test_a_theme_deviates_where_its_customers_are_unhappier_and_more(
    intake: Intake,
) -> None:
    await _take_in(
        intake,
        [
            *_said(30, WAITED, 2, touchpoint="door"),
            *_said(10, NOTHING, 9, touchpoint="door"),
            *_said(20, WAITED, 9, touchpoint="shop"),
            *_said(80, NOTHING, 9, touchpoint="shop"),
            *_said(2, WAITED, 2, touchpoint=None),
        ],
    )

    async with intake.database.reading() as view:
        door, shop, unknown = await deviations(
            view, "waiting", "touchpoint", first=FIRST, last=LAST
        )
        (only,) = await deviations(
            view, "waiting", "touchpoint", first=FIRST, last=LAST, of={"touchpoint": "shop"}
        )

    assert (door.code, door.mentions, door.comments) == ("door", 30, 40)
    assert (door.row.score, door.deviates, door.frequency) == (-100.0, "lower", "more")
    assert (shop.row.score, shop.deviates, shop.frequency) == (100.0, "higher", "fewer")
    assert (unknown.code, unknown.deviates, unknown.frequency) == (
        "unknown",
        "too_few",
        "too_few",
    )
    assert (only.mentions, only.deviates, only.frequency) == (20, "too_few", "too_few")


async def test_a_theme_that_is_the_same_everywhere_deviates_nowhere(intake: Intake) -> None:
    chance = random.Random(5)
    said = [
        {
            "comment": chance.choice([WAITED, NOTHING]),
            "score": chance.choice([2, 7, 9]),
            "segment": f"segment {number % 6}",
        }
        for number in range(360)
    ]
    await _take_in(intake, said)

    async with intake.database.reading() as view:
        cells = await deviations(view, "waiting", "segment", first=FIRST, last=LAST)

    assert len(cells) == 6
    assert {(cell.deviates, cell.frequency) for cell in cells} == {("no", "no")}


async def test_codes_that_stand_for_others_count_as_those(intake: Intake) -> None:
    async with intake.database.transaction() as tx:
        for code in ("door", "doorstep"):
            await add_touchpoint(
                tx,
                Touchpoint(
                    code=code,
                    name=code,
                    macro=None,
                    owner=None,
                    department_id=None,
                    mapped=True,
                    first_seen_at=intake.clock.now(),
                    version=1,
                ),
            )
        await change_touchpoint(
            tx,
            "doorstep",
            {"alias_of": "door"},
            expected=None,
            by=SYSTEM,
            now=intake.clock.now(),
        )
    await _take_in(
        intake,
        [*_said(3, WAITED, 2, touchpoint="door"), *_said(2, WAITED, 9, touchpoint="doorstep")],
    )

    async with intake.database.reading() as view:
        (door,) = await deviations(view, "waiting", "touchpoint", first=FIRST, last=LAST)
        every = await matrix(view, "touchpoint", first=FIRST, last=LAST)

    assert (door.code, door.mentions, door.row.n) == ("door", 5, 5)
    assert every == {"waiting": [door]}


async def test_the_second_view_holds_the_other_themes_still(intake: Intake) -> None:
    """Whoever waited was unhappy, and a few of them met friendly staff, who changed nothing."""
    both = f"{WAITED}. {FRIENDLY}"
    await _take_in(
        intake,
        [
            *_said(40, both, 2),
            *_said(10, WAITED, 2),
            *_said(12, FRIENDLY, 9),
            *_said(40, NOTHING, 9),
            *_said(9, NOTHING, 2, measurement="periodic"),
            *_said(9, NOTHING, 1, metric="csat"),
            *_said(9, None, 2),
        ],
    )

    async with intake.database.reading() as view:
        alone = await impacts(view, first=FIRST, last=LAST)
        own = await own_parts(view, first=FIRST, last=LAST)
        nowhere = await own_parts(view, first=FIRST, last=LAST, of={"touchpoint": "door"})
        earlier = await own_parts(view, first=FIRST, last=LAST - timedelta(days=1))

    assert own.n == 102
    assert (nowhere.n, nowhere.parts) == (earlier.n, earlier.parts) == (0, {})
    assert alone["staff"].points is not None
    assert alone["staff"].points < -20
    assert abs(own.parts["staff"].points) < 2
    assert own.parts["waiting"].points == pytest.approx(-200 * 50 / 102, abs=4)


async def test_what_rows_of_before_never_counted_in_may_be_taken_out(intake: Intake) -> None:
    """They do not tell promoters apart, and a revision of such an answer moves the sums."""
    event = await intake.response(comment=WAITED, score=9)
    await intake.take_in(event)
    async with intake.database.transaction() as tx:
        await tx.execute(
            update(theme_rollups).values(
                source="unknown",
                measurement="unknown",
                promoters=0,
                key=theme_rollups.c.theme_id,
            )
        )
    await _take_in(
        intake,
        [
            *_said(12, WAITED, 2),
            *_said(12, NOTHING, 9),
            {
                "response_id": event.response_id,
                "revision": 2,
                "comment": NOTHING,
                "score": 2,
            },
        ],
    )

    async with intake.database.reading() as view:
        found = await impacts(view, first=FIRST, last=LAST)
        cells = await deviations(view, "waiting", "touchpoint", first=FIRST, last=LAST)
        explained = await change(view, "waiting", first=FIRST, last=LAST)

    assert (found["waiting"].n, found["waiting"].enough) == (12, True)
    assert [(cell.mentions, cell.comments) for cell in cells] == [(12, 25)]
    assert explained is None


async def test_who_sent_the_mentions(intake: Intake) -> None:
    await _take_in(
        intake,
        [
            *_said(3, WAITED, 2, source="survey"),
            *_said(1, WAITED, None, source="complaints", measurement="unsolicited"),
            *_said(4, NOTHING, 9, source="complaints"),
        ],
    )

    async with intake.database.reading() as view:
        of_theme = await sources(view, "waiting", first=FIRST, last=LAST)
        of_all = await sources(view, first=FIRST, last=LAST)
        before = await sources(view, first=FIRST - timedelta(days=9), last=FIRST)

    assert [(one.source, one.mentions, one.share.value) for one in of_theme] == [
        ("survey", 3, 0.75),
        ("complaints", 1, 0.25),
    ]
    assert [(one.source, one.mentions) for one in of_all] == [("complaints", 5), ("survey", 3)]
    assert before == []


async def test_why_the_score_changed(intake: Intake) -> None:
    """Twice as many waited, as unhappy as before: nothing else has changed."""
    before = intake.clock.now() - timedelta(days=28)
    await _take_in(
        intake,
        [
            *_said(40, WAITED, 2),
            *_said(60, NOTHING, 9),
            *_said(20, WAITED, 2, answered_at=before),
            *_said(80, NOTHING, 9, answered_at=before),
        ],
    )

    async with intake.database.reading() as view:
        found = await change(view, "waiting", first=FIRST, last=LAST)
        too_few = await change(view, "staff", first=FIRST, last=LAST)

    assert found is not None
    assert (found.points, found.elsewhere, found.feeling) == (-40, 0, 0)
    assert found.frequency == pytest.approx(-40)
    assert too_few is None


async def test_sums_stay_what_a_recount_gives_whatever_is_revised(intake: Intake) -> None:
    chance = random.Random(11)
    ids: list[str] = []
    for poll in range(6):
        said = []
        comments = [WAITED, FRIENDLY, NOTHING, f"{WAITED}. {FRIENDLY}", None]
        for _ in range(25):
            members: dict[str, Any] = {
                "comment": chance.choice(comments),
                "score": chance.choice([2, 7, 10]),
                "source": chance.choice(["crm", "survey"]),
                "touchpoint": chance.choice(["door", "shop", None]),
                "measurement": chance.choice(["transactional", "periodic"]),
                "answered_at": intake.clock.now() - timedelta(days=chance.randrange(3)),
            }
            if ids and chance.random() < 0.4:
                members |= {"response_id": chance.choice(ids), "revision": poll + 1}
            said.append(members)
        events = await intake.responses(said)
        ids += [event.response_id for event in events]
        await intake.take_in(*events)

    stored = {row["id"]: row for row in await intake.rows(responses)}
    themes: dict[str, list[str]] = {response_id: [] for response_id in stored}
    for mention in await intake.rows(mentions):
        themes[mention["response_id"]].append(mention["theme_id"])
    recount: Counter[tuple[Any, ...]] = Counter()
    for response_id, row in stored.items():
        if row["has_comment"]:
            for theme in ("", *(themes[response_id] or [" "])):
                recount[(*_where(row), theme, row["category"])] += 1
    summed: Counter[tuple[Any, ...]] = Counter()
    for row in await intake.rows(theme_rollups):
        where = (row["day"], row["touchpoint"], row["source"], row["measurement"])
        for name in ("promoter", "passive", "detractor"):
            summed[(*where, row["theme_id"], name)] += row[f"{name}s"]

    assert {cell: n for cell, n in summed.items() if n} == recount
    assert len(stored) < len(ids)


def _where(row: Mapping[str, Any]) -> tuple[Any, ...]:
    answered: datetime = row["answered_at"]
    return (
        answered.astimezone(UTC).date(),
        row["touchpoint"] or "unknown",
        row["source"],
        row["measurement"],
    )
