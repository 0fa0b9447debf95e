"""Whoever answers for a theme is told that it rises, once and by day, on both databases."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import pytest_asyncio

from services.notify.domain.themes import by_day
from shared.bus.consumer import Arrived
from shared.db.transaction import Database
from shared.events.loop import OwnerRef, ThemeRising
from shared.identity.person_keys import PersonKeys
from shared.identity.principal import Role
from shared.identity.teams import add_member, create_team
from shared.sealing import Keyring
from tests.fakes import ManualClock
from tests.handlers.test_notify_sources import arrived
from tests.notices import House
from tests.staff import staff

MONDAY = date(2026, 2, 23)


@pytest_asyncio.fixture
async def house(
    database_of: Callable[[str], Database],
    clock: ManualClock,
    keyring: Keyring,
    person_keys: PersonKeys,
) -> AsyncIterator[House]:
    opened = House(database_of("notify"), clock, keyring, person_keys)
    await opened.prepare()
    yield opened


def rising(clock: ManualClock, *to: OwnerRef, **members: Any) -> Arrived:
    event = ThemeRising(
        **{
            "theme_id": "late",
            "name": "Late courier",
            "names": {"de": "Verspäteter Kurier"},
            "department": "Delivery",
            "week": MONDAY,
            "first": MONDAY,
            "last": MONDAY + timedelta(days=6),
            "mentions": 24,
            "comments": 200,
            "former_mentions": 60,
            "former_comments": 1_600,
            "former_weeks": 8,
            "expected": 7.6,
            "ratio": 3.2,
            "ratio_ci95": (1.9, 5.4),
            "rated": 20,
            "detractors": 18,
            "response_ids": ["rsp_1"],
            "item_id": "oit_1",
            "to": list(to),
            **members,
        }
    )
    return arrived(event, "evt_rising", clock)


def person(id_: str) -> OwnerRef:
    return OwnerRef(id=id_, kind="person")


async def test_the_head_and_who_stands_in_get_one_mail_each(house: House) -> None:
    now = house.clock.now()
    head = await staff(house.database, now, "hed@example.org", role=Role.DEPARTMENT_HEAD)
    deputy = await staff(house.database, now, "dep@example.org", language="de")
    async with house.database.transaction() as tx:
        team = await create_team(tx, name="Van", now=now)
        await add_member(tx, team.id, head.id, now=now)
    crew = OwnerRef(id=team.id, kind="team")

    for _ in range(2):  # the bus may bring it again
        await house.hear(rising(house.clock, person(head.id), person(deputy.id), crew))
    await house.dispatch()

    told = {one["To"]: one for one in house.mail.messages}
    assert sorted(told) == ["dep@example.org", "hed@example.org"]
    assert len(house.mail.mails) == 2
    mail = told["hed@example.org"]
    assert mail["Subject"] == "“Late courier” is mentioned 3.2 times as often as before"
    assert "Verspäteter Kurier" in told["dep@example.org"]["Subject"]
    text = mail.get_body(("plain",))
    assert text is not None
    assert "https://loop.example.org/themes/late" in text.get_content()


async def test_nobody_is_written_to_at_night(house: House) -> None:
    """The clock stands at nine in the morning by UTC: eleven at night in Honolulu."""
    now = house.clock.now()
    there = await staff(house.database, now, "a@e.org", time_zone="Pacific/Honolulu")

    await house.hear(rising(house.clock, person(there.id)))
    await house.dispatch()
    assert house.mail.mails == []

    house.clock.advance(timedelta(hours=8))
    await house.dispatch()
    assert len(house.mail.mails) == 1


@pytest.mark.parametrize(
    ("moment", "zone", "expected"),
    [
        ("2026-03-02T07:00:00+00:00", "UTC", "2026-03-02T07:00:00+00:00"),
        ("2026-03-02T06:59:00+00:00", "UTC", "2026-03-02T07:00:00+00:00"),
        ("2026-03-02T19:59:00+00:00", "UTC", "2026-03-02T19:59:00+00:00"),
        ("2026-03-02T20:00:00+00:00", "UTC", "2026-03-03T07:00:00+00:00"),
        ("2026-03-02T03:00:00+00:00", "Europe/Berlin", "2026-03-02T06:00:00+00:00"),
        # The night in which the clocks go forward: seven is seven.
        ("2026-03-28T23:30:00+00:00", "Europe/Berlin", "2026-03-29T05:00:00+00:00"),
    ],
)
def test_day_is_from_seven_to_eight(moment: str, zone: str, expected: str) -> None:
    found = by_day(datetime.fromisoformat(moment), ZoneInfo(zone))

    assert found == datetime.fromisoformat(expected)


async def test_systems_that_ask_for_it_are_told_also_where_nobody_is(house: House) -> None:
    await house.webhook(events=("theme.*",))
    await house.webhook(url="https://crm.example.com/other", events=("task.*",))

    await house.hear(rising(house.clock), await house.event())
    await house.dispatch()

    bodies = [
        json.loads(call.body)
        for call in house.posts.calls
        if call.url == "https://crm.example.com/hook"
    ]
    assert [body["type"] for body in bodies] == ["theme.rising"]
    data = bodies[0]["data"]
    assert data["links"] == {
        "theme": "https://loop.example.org/themes/late",
        "api": "https://loop.example.org/v1/themes/late",
        "item": "https://loop.example.org/v1/outer-items/oit_1",
    }
    assert (data["mentions"], data["ratio_ci95"], data["week"]) == (
        24,
        [1.9, 5.4],
        "2026-02-23",
    )
    assert set(data) == {*ThemeRising.model_fields, "links"} - {"to"}
    assert not [m for m in house.mail.messages if "Late courier" in (m["Subject"] or "")]
