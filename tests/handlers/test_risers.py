"""Rises are told once a week and proposed; people decide. On both databases."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import pytest_asyncio

from services.loop.jobs import RiserWork
from services.loop.journey.domain import Absence, OwnerRef
from services.loop.journey.handlers.absences import note_absence
from services.loop.themes.domain import Taxonomy, parse_taxonomy
from services.loop.themes.domain.risers import latest_week
from services.loop.themes.handlers import change_taxonomy
from services.loop.themes.handlers.judging import due_week, judge_week
from services.loop.themes.handlers.outer_items import (
    accept_item,
    dismiss_item,
    find_outer_item,
    list_outer_items,
    merge_item,
    reopen_item,
)
from services.loop.themes.handlers.risers import verdicts
from services.loop.themes.tables import outer_items, riser_weeks, risers
from shared.db.transaction import Database
from shared.errors import Conflict, Forbidden, Invalid, NotFound, Stale
from shared.events.loop import ThemeRising
from shared.identity.audit import SYSTEM
from shared.identity.groups import list_departments
from shared.identity.installation import name_organisation
from shared.identity.person_keys import PersonKeys
from shared.identity.principal import ROLE_SCOPES, Principal, Role
from shared.identity.teams import create_department
from shared.sealing import Keyring
from tests.fakes import ManualClock
from tests.handlers.intake import Intake
from tests.staff import audited, staff

DAY = timedelta(days=1)
WEEK = timedelta(weeks=1)
MONDAY = date(2026, 2, 23)
"""The week before the tests' Monday morning."""


def taxonomy(department: str | None = "Delivery") -> Taxonomy:
    late = {"id": "late", "name": "Late", "keywords": {"en": ["late"]}}
    kind = {"id": "kind", "name": "Kindness", "keywords": {"en": ["kind"]}}
    calm = {"id": "calm", "name": "Calm", "keywords": {"en": ["particular"]}}
    themes: list[dict[str, Any]] = [late, kind, calm]
    if department is not None:
        themes = [{**theme, "department": department} for theme in themes]
    return parse_taxonomy({"version": 1, "max_themes": None, "themes": themes})


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
    await use(made, taxonomy())
    return made


async def use(intake: Intake, new: Taxonomy) -> None:
    async with intake.database.transaction() as tx:
        await change_taxonomy(tx, new, expected=None, by="stf_1", now=intake.clock.now())


async def hear(intake: Intake, weekly: Sequence[int], word: str = "late", **more: Any) -> None:
    """Take comments in: so many of the word in each week, the last one being over."""
    end = datetime.combine(MONDAY + WEEK, datetime.min.time(), intake.clock.now().tzinfo)
    said = []
    for ago, number in enumerate(reversed(weekly)):
        at = end - (ago + 1) * WEEK + DAY
        said += [
            {
                "comment": f"{word} again" if n < number else "nothing in particular",
                "answered_at": at + timedelta(minutes=n),
                "received_at": at + timedelta(minutes=n),
                **more,
            }
            for n in range(number + 10)
        ]
    await intake.take_in(*await intake.responses(said))


async def judge(intake: Intake, department: str = "Delivery", week: date = MONDAY) -> int:
    async with intake.database.transaction() as tx:
        return await judge_week(tx, week, department, now=intake.clock.now())


async def told(intake: Intake) -> list[ThemeRising]:
    return [one for _, one in await intake.announced() if isinstance(one, ThemeRising)]


def member(person: Any) -> Principal:
    return Principal(
        kind="staff",
        id=person.id,
        name=person.name,
        scopes=ROLE_SCOPES[person.role],
        role=person.role,
        department=person.department_id,
    )


async def headed(intake: Intake, name: str = "Delivery", **more: Any) -> Principal:
    """Return who heads a department of that name."""
    now = intake.clock.now()
    email = f"{name.lower()}@example.org"
    head = await staff(
        intake.database, now, email, role=Role.DEPARTMENT_HEAD, name="Hedda", **more
    )
    async with intake.database.transaction() as tx:
        await create_department(tx, name=name, head_id=head.id, now=now)
    return member(head)


STEADY = [6, 5, 7, 6, 5, 6, 7, 6]
RISING = [*STEADY, 24]


async def test_a_verdict_says_what_was_counted_and_what_was_expected(intake: Intake) -> None:
    await hear(intake, RISING)

    async with intake.database.reading() as view:
        found = await verdicts(view, department=None, week=MONDAY + 3 * DAY)
        theirs = await verdicts(view, department="Finance", week=MONDAY)
        before = (await verdicts(view, department="Delivery", week=MONDAY - WEEK))["late"]
    late = found["late"]
    assert (late.word, late.rises, late.is_sharp, late.weeks) == ("beyond", True, True, 1)
    assert (late.mentions, late.comments) == (24, 34)
    assert (late.former_mentions, late.former_comments, late.former_weeks) == (48, 128, 8)
    assert late.expected == pytest.approx(12.9, abs=0.1)
    assert late.ratio is not None
    assert late.ci95 is not None
    assert late.ci95[0] < late.ratio < late.ci95[1]
    assert found["kind"].word == "too_few"
    assert theirs == {}
    assert before.rises is False


async def test_a_sharp_rise_is_told_to_the_head_and_proposed_once(intake: Intake) -> None:
    head = await headed(intake)
    await hear(intake, RISING)

    assert [await judge(intake) for _ in range(3)] == [1, 0, 0]

    (event,) = await told(intake)
    (item,) = await intake.rows(outer_items)
    assert (event.theme_id, event.department, event.week) == ("late", "Delivery", MONDAY)
    assert (event.mentions, event.former_mentions, event.detractors) == (24, 48, 24)
    assert (event.first, event.last) == (MONDAY, MONDAY + 6 * DAY)
    assert [one.id for one in event.to] == [head.id]
    assert len(event.response_ids) == 3
    assert event.item_id == item["id"]
    assert (item["state"], item["owner_id"]) == ("proposed", head.id)
    assert item["evidence"]["response_ids"] == event.response_ids
    rows = {one["theme_id"]: one for one in await intake.rows(risers)}
    assert rows["late"]["is_sharp"]
    assert rows["late"]["range_high"] < 24
    assert "kind" not in rows


async def test_what_rises_again_adds_to_the_open_item(intake: Intake) -> None:
    await headed(intake)
    await hear(intake, [*STEADY, 24, 60])

    assert await judge(intake, week=MONDAY - WEEK) == 1
    assert await judge(intake, week=MONDAY) == 1

    (item,) = await intake.rows(outer_items)
    assert (item["first_week"], item["last_week"]) == (MONDAY - WEEK, MONDAY)
    assert (item["version"], item["evidence"]["mentions"]) == (2, 60)
    assert len(await told(intake)) == 2


async def test_what_somebody_dismissed_is_not_proposed_again_and_alarms_nobody(
    intake: Intake,
) -> None:
    head = await headed(intake)
    await hear(intake, [*STEADY, 24, 60])
    await judge(intake, week=MONDAY - WEEK)
    async with intake.database.transaction() as tx:
        (item,) = await list_outer_items(tx, most=10)
        await dismiss_item(
            tx, item.id, reason="known", expected=1, by=head, now=intake.clock.now()
        )

    await judge(intake, week=MONDAY)

    assert [one["state"] for one in await intake.rows(outer_items)] == ["dismissed"]
    first, second = await told(intake)
    assert first.to
    assert not second.to
    assert second.item_id == first.item_id


async def test_praise_that_rises_alarms_nobody(intake: Intake) -> None:
    await hear(intake, RISING, "kind", score=10)

    assert await judge(intake) == 0

    assert await told(intake) == []
    assert await intake.rows(outer_items) == []
    rises = {one["theme_id"]: one["rises"] for one in await intake.rows(risers)}
    assert rises == {"kind": True, "calm": False}


async def test_a_theme_of_nobody_is_told_to_who_looks_after_all_of_them(
    intake: Intake,
) -> None:
    now = intake.clock.now()
    admin = await staff(intake.database, now, "ada@example.org", role=Role.ADMIN)
    await use(intake, taxonomy(department=None))
    await hear(intake, RISING)
    await judge(intake, "")
    cx = await staff(intake.database, now, "cx@example.org", role=Role.CX_MANAGER)
    await use(intake, taxonomy("Nowhere"))
    await judge(intake, "Nowhere", MONDAY)

    (event,) = await told(intake)
    assert [one.id for one in event.to] == [admin.id]
    assert event.department is None
    # The week is judged for the other department too, but no theme is told twice in it.
    assert [one["department"] for one in await intake.rows(riser_weeks)] == ["", "Nowhere"]
    await judge(intake, "Nowhere", MONDAY - WEEK)
    assert cx.id not in {one.id for event in await told(intake) for one in event.to}


async def test_a_department_is_one_by_its_name_and_by_its_id(intake: Intake) -> None:
    head = await headed(intake)
    async with intake.database.reading() as view:
        (part,) = await list_departments(view)
    one, *others = taxonomy().themes
    await use(intake, Taxonomy(themes=(replace(one, department=part.id), *others)))
    await hear(intake, RISING)

    async with intake.database.reading() as view:
        due = await due_week(view, now=intake.clock.now())
        found = [await verdicts(view, department=d, week=MONDAY) for d in (part.id, "delivery")]
    assert list(due.departments) == [part.id]
    assert found[0] == found[1]
    assert set(found[0]) == {"late", "kind", "calm"}
    assert await judge(intake, part.id) == 1
    async with intake.database.reading() as view:
        (item,) = await list_outer_items(view, department="Delivery", most=5)
    assert (item.department, item.owner) == (part.id, OwnerRef(id=head.id, kind="person"))


async def test_whoever_stands_in_for_the_head_is_told_as_well(intake: Intake) -> None:
    head = await headed(intake)
    deputy = await staff(intake.database, intake.clock.now(), "dep@example.org")
    async with intake.database.transaction() as tx:
        away = Absence(
            id="",
            staff_id=head.id,
            deputy_id=deputy.id,
            begins_at=intake.clock.now() - DAY,
            ends_at=None,
        )
        await note_absence(tx, away, by=SYSTEM, now=intake.clock.now())
    await hear(intake, RISING)

    await judge(intake)

    (event,) = await told(intake)
    assert [one.id for one in event.to] == [head.id, deputy.id]


async def test_without_a_past_the_week_stays_due(intake: Intake) -> None:
    """History that is imported on a Wednesday is judged then."""
    assert await judge(intake) == 0
    async with intake.database.reading() as view:
        due = await due_week(view, now=intake.clock.now())
    assert (due.week, due.departments) == (MONDAY, [])
    assert await intake.rows(riser_weeks) == []

    await hear(intake, RISING)

    async with intake.database.reading() as view:
        due = await due_week(view, now=intake.clock.now())
    assert (due.week, due.departments) == (MONDAY, ["Delivery"])
    assert await judge(intake) == 1
    async with intake.database.reading() as view:
        assert (await due_week(view, now=intake.clock.now())).departments == []


async def test_a_week_is_over_when_it_is_over_here_and_by_utc(intake: Intake) -> None:
    clock = intake.clock
    monday = clock.now().replace(hour=0)
    zones = {"UTC": 4, "Europe/Berlin": 4, "America/New_York": 9, "Asia/Tokyo": 4}
    for zone, hour in zones.items():
        async with intake.database.transaction() as tx:
            await name_organisation(tx, "A shop", zone, by=SYSTEM, now=clock.now())
        async with intake.database.reading() as view:
            early = await due_week(view, now=monday + timedelta(hours=hour, minutes=-1))
            late = await due_week(view, now=monday + timedelta(hours=hour))
        assert (zone, early.week, late.week) == (zone, MONDAY - WEEK, MONDAY)


async def test_the_worker_judges_once_a_week_and_looks_once_a_minute(intake: Intake) -> None:
    await headed(intake)
    await hear(intake, [*RISING, 6])
    worker = RiserWork(intake.loop)

    for _ in range(3):
        await worker.step()
        intake.clock.advance(timedelta(minutes=1))
    assert await told(intake) == []
    assert [one["week"] for one in await intake.rows(riser_weeks)] == [MONDAY]

    intake.clock.advance(7 * DAY)
    await hear(intake, [0] * 10)
    again = RiserWork(intake.loop)
    await again.step()
    await again.close()
    assert len(await intake.rows(riser_weeks)) == 2


async def test_people_decide_on_an_item_and_can_take_it_back(intake: Intake) -> None:
    head = await headed(intake)
    other = await headed(intake, "Finance")
    cx = member(
        await staff(intake.database, intake.clock.now(), "cx@e.org", role=Role.CX_MANAGER)
    )
    colleague = await staff(intake.database, intake.clock.now(), "col@e.org")
    now = intake.clock.now()
    await hear(intake, RISING)
    await judge(intake)
    async with intake.database.transaction() as tx:
        (item,) = await list_outer_items(tx, state="proposed", department="Delivery", most=5)
        assert await list_outer_items(tx, department="Finance", most=5) == []
        with pytest.raises(Forbidden):
            await accept_item(tx, item.id, owner=None, expected=None, by=other, now=now)
        with pytest.raises(Stale):
            await accept_item(tx, item.id, owner=None, expected=9, by=head, now=now)
        with pytest.raises(Invalid):
            nobody = OwnerRef(id="stf_x", kind="person")
            await accept_item(tx, item.id, owner=nobody, expected=1, by=head, now=now)
        with pytest.raises(NotFound):
            await find_outer_item(tx, "oit_x")

        taken = await accept_item(tx, item.id, owner=None, expected=1, by=head, now=now)
        assert (taken.state, taken.owner, taken.version) == ("accepted", item.owner, 2)
        with pytest.raises(Conflict):
            await accept_item(tx, item.id, owner=None, expected=2, by=head, now=now)
        with pytest.raises(Conflict):
            await merge_item(tx, item.id, into=item.id, expected=2, by=cx, now=now)
        back = await reopen_item(tx, item.id, expected=2, by=cx, now=now)
        assert (back.state, back.decided_by) == ("proposed", cx.id)
        mine = OwnerRef(id=colleague.id, kind="person")
        given = await accept_item(tx, item.id, owner=mine, expected=3, by=cx, now=now)
        assert given.owner == mine
        gone = await dismiss_item(tx, item.id, reason="one_off", expected=4, by=head, now=now)
        assert (gone.state, gone.reason, gone.is_open) == ("dismissed", "one_off", False)
        with pytest.raises(Conflict):
            await dismiss_item(tx, item.id, reason="known", expected=5, by=head, now=now)

    deeds = [one for one in await audited(intake.database) if one.startswith("outer-item")]
    assert deeds == [
        "outer-item.accepted",
        "outer-item.reopened",
        "outer-item.accepted",
        "outer-item.dismissed",
    ]


async def test_two_themes_may_be_one_thing_to_look_into(intake: Intake) -> None:
    head = await headed(intake)
    now = intake.clock.now()
    await hear(intake, RISING)
    await hear(intake, RISING, "kind")
    assert await judge(intake) == 2
    async with intake.database.transaction() as tx:
        one, two = await list_outer_items(tx, most=5)
        merged = await merge_item(tx, one.id, into=two.id, expected=1, by=head, now=now)
        assert (merged.state, merged.merged_into) == ("merged", two.id)

    await use(intake, replace(taxonomy(), max_themes=None))
    async with intake.database.reading() as view:
        assert [i.id for i in await list_outer_items(view, theme_id=one.theme_id, most=5)] == [
            one.id
        ]
    async with intake.database.transaction() as tx:
        assert (await reopen_item(tx, one.id, expected=2, by=head, now=now)).merged_into is None


def test_the_latest_week_is_never_the_one_that_runs() -> None:
    sunday = datetime.fromisoformat("2026-03-01T23:59:00+00:00")
    assert latest_week(sunday, ZoneInfo("UTC")) == date(2026, 2, 16)
