"""Calendars and schemes over HTTP: published in versions, refused when none could keep them."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from shared.identity.principal import Scope
from tests.loop_door import EVERY_SCOPE, Api
from tests.staff import audited

CALENDARS, SCHEMES = "/v1/calendars", "/v1/schemes"
SPLIT = [{"start": "09:00", "end": "12:00"}, {"start": "13:00", "end": "17:00"}]
OFFICE: dict[str, Any] = {
    "id": "office",
    "name": "Office",
    "time_zone": "Europe/Berlin",
    "week": {"monday": SPLIT, "tuesday": SPLIT},
    "holidays": {"country": "DE", "region": "BY"},
    "special": {"2026-12-24": [{"start": "09:00", "end": "12:00"}]},
}
GOLD: dict[str, Any] = {
    "id": "gold",
    "name": "Gold",
    "first_contact_within_hours": 2,
    "resolve_within_hours": 7.5,
    "attempts": {
        "number": 3,
        "days": 2,
        "channels": 2,
        "quiet_hours": {"from": "20:00", "to": "08:00"},
    },
    "clock": "team",
    "calendar": "office",
    "reminders": [0.5, 0.8],
    "escalations": [{"at": 1, "to": "lead"}, {"at": 1.5, "to": "head"}],
    "pauses_in": ["waiting_customer"],
    "remedies": [
        {
            "id": "voucher",
            "name": "Voucher",
            "kind": "money",
            "limit": {"amount": 30, "currency": "EUR"},
        }
    ],
    "talk_guide": {"en": "Say sorry first."},
}


async def made(api: Api, path: str, body: dict[str, Any]) -> dict[str, Any]:
    answer = await api.send("POST", path, json=body)
    assert answer.status_code == 201, answer.text
    assert answer.headers["etag"] == '"1"'
    return dict(answer.json())


def findings(answer: Any) -> set[tuple[str, str]]:
    assert answer.status_code == 422, answer.text
    return {(one["pointer"], one["code"]) for one in answer.json()["errors"]}


# ------------------------------------------------------------------ calendars


async def test_a_calendar_is_published_read_and_changed_in_versions(api: Api) -> None:
    first = await made(api, CALENDARS, OFFICE)
    assert first["week"]["monday"] == SPLIT
    assert first["week"]["sunday"] == []
    assert (first["closed"], first["version"]) == ([], 1)

    answer = await api.send(
        "PATCH", f"{CALENDARS}/office", json={"closed": ["2026-12-31"]}, If_Match='"1"'
    )

    assert answer.status_code == 200, answer.text
    assert answer.headers["etag"] == '"2"'
    second = answer.json()
    assert (second["closed"], second["special"]) == (["2026-12-31"], first["special"])
    assert (await api.get(f"{CALENDARS}/office")).json() == second
    assert (await api.get(f"{CALENDARS}/office", version=1)).json() == first
    assert (await api.get(CALENDARS)).json()["data"] == [second]
    assert (await audited(api.intake.database)).count("calendar.published") == 2


async def test_two_who_change_a_calendar_do_not_overwrite_each_other(api: Api) -> None:
    await made(api, CALENDARS, OFFICE)
    both = await asyncio.gather(
        *(
            api.send("PATCH", f"{CALENDARS}/office", json={"name": name}, If_Match='"1"')
            for name in ("One", "Two")
        )
    )

    assert sorted(one.status_code for one in both) == [200, 412]
    (refused,) = [one for one in both if one.status_code == 412]
    assert refused.json()["version"] == 2
    again = await api.send("POST", CALENDARS, json=OFFICE)
    assert (again.status_code, again.json()["type"].rsplit("/", 1)[-1]) == (409, "id-taken")


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        pytest.param(
            {"time_zone": "Europe/Bielefeld"},
            ("/time_zone", "unknown_time_zone"),
            id="no such zone",
        ),
        pytest.param({"week": {}}, ("/week", "never_open"), id="never open"),
        pytest.param(
            {"week": {"friday": [{"start": "17:00", "end": "09:00"}]}},
            ("/week/friday/0", "ends_before_it_starts"),
            id="a night",
        ),
        pytest.param(
            {"week": {"friday": [*SPLIT, {"start": "16:00", "end": "18:00"}]}},
            ("/week/friday/2", "shifts_overlap"),
            id="overlapping",
        ),
        pytest.param(
            {"special": {"2026-12-24": [SPLIT[1], SPLIT[0]]}},
            ("/special/2026-12-24/1", "shifts_overlap"),
            id="out of order",
        ),
        pytest.param(
            {"holidays": {"country": "XX"}},
            ("/holidays/country", "unknown_country"),
            id="no such country",
        ),
        pytest.param(
            {"holidays": {"country": "DE", "region": "Bavaria"}},
            ("/holidays/region", "unknown_region"),
            id="no such region",
        ),
        pytest.param({"closed": ["2026-02-30"]}, ("/closed/0", "not_a_day"), id="no such day"),
        pytest.param(
            {"week": {"friday": [{"start": "9", "end": "12:00"}]}},
            ("/week/friday/0/start", "string_pattern_mismatch"),
            id="no time",
        ),
        pytest.param({"name": None}, ("/name", "string_type"), id="no name"),
        pytest.param({"weeks": {}}, ("/weeks", "extra_forbidden"), id="unknown"),
    ],
)
async def test_a_calendar_that_nobody_could_keep_is_refused(
    api: Api, changes: dict[str, Any], found: tuple[str, str]
) -> None:
    assert findings(await api.send("POST", CALENDARS, json={**OFFICE, **changes})) == {found}
    await made(api, CALENDARS, OFFICE)
    answer = await api.send("PATCH", f"{CALENDARS}/office", json=changes)
    assert findings(answer) == {found}
    assert (await api.get(f"{CALENDARS}/office")).json()["version"] == 1


async def test_a_shift_may_end_at_midnight_and_holidays_can_be_taken_away(api: Api) -> None:
    await made(api, CALENDARS, OFFICE)
    late = {"week": {"friday": [{"start": "18:00", "end": "00:00"}]}, "holidays": None}

    answer = await api.send("PATCH", f"{CALENDARS}/office", json=late)

    assert answer.status_code == 200, answer.text
    assert answer.json()["holidays"] is None


# ------------------------------------------------------------------ schemes


async def test_the_shipped_scheme_is_listed_with_every_question_answered(api: Api) -> None:
    (shipped,) = (await api.get(SCHEMES)).json()["data"]

    assert (shipped["id"], shipped["version"], shipped["published_by"]) == ("standard", 1, None)
    assert shipped["attempts"] == {
        "number": 3,
        "days": 1,
        "channels": 1,
        "quiet_hours": None,
    }
    assert (shipped["reminders"], shipped["clock"]) == ([0.75], "customer")


async def test_a_scheme_is_published_read_and_changed_in_versions(api: Api) -> None:
    await made(api, CALENDARS, OFFICE)
    first = await made(api, SCHEMES, GOLD)
    assert first["attempts"]["quiet_hours"] == {"from": "20:00", "to": "08:00"}

    answer = await api.send(
        "PATCH", f"{SCHEMES}/gold", json={"resolve_within_hours": 4}, If_Match='"1"'
    )

    assert answer.status_code == 200, answer.text
    assert answer.headers["etag"] == '"2"'
    assert answer.json()["resolve_within_hours"] == 4
    assert answer.json()["escalations"] == first["escalations"]
    assert (await api.get(f"{SCHEMES}/gold", version=1)).json() == first
    assert [one["id"] for one in (await api.get(SCHEMES)).json()["data"]] == [
        "gold",
        "standard",
    ]
    stale = await api.send("PATCH", f"{SCHEMES}/gold", json={"night": True}, If_Match='"1"')
    assert (stale.status_code, stale.json()["version"]) == (412, 2)


async def test_a_changed_scheme_counts_for_new_tasks_and_leaves_the_others(api: Api) -> None:
    old = await api.intake.response()
    await api.intake.take_in(old)
    answer = await api.send("PATCH", f"{SCHEMES}/standard", json={"resolve_within_hours": 4})
    assert (answer.status_code, answer.json()["version"]) == (200, 2)
    new = await api.intake.response(customer="c-2")
    await api.intake.take_in(new)

    before, after = [
        (await api.get("/v1/tasks", response_id=one.response_id)).json()["data"][0]
        for one in (old, new)
    ]
    assert (before["scheme"]["version"], after["scheme"]["version"]) == (1, 2)
    assert before["due_at"] > after["due_at"]


async def test_a_task_shows_both_clocks_and_since_when_it_is_paused(api: Api) -> None:
    """Monday 10:00 in Berlin, two hours in; lunch is an hour of it."""
    await made(api, CALENDARS, OFFICE)
    changes = {name: GOLD[name] for name in ("clock", "calendar", "pauses_in")}
    answer = await api.send("PATCH", f"{SCHEMES}/standard", json=changes)
    assert answer.status_code == 200, answer.text
    event = await api.intake.response(answered_at=api.intake.clock.now())
    await api.intake.take_in(event)
    api.intake.clock.advance(timedelta(hours=3))
    (task,) = (await api.get("/v1/tasks", response_id=event.response_id)).json()["data"]
    assert task["clocks"] == {
        "breaches": "team",
        "customer_waits_seconds": 3 * 3600,
        "team_used_seconds": 2 * 3600,
        "team_left_seconds": 22 * 3600,
        "paused_since": None,
    }

    waiting = await api.send("POST", f"/v1/tasks/{task['id']}/wait", json={"for": "customer"})

    assert waiting.status_code == 200, waiting.text
    api.intake.clock.advance(timedelta(hours=100))
    clocks = (await api.get(f"/v1/tasks/{task['id']}")).json()["clocks"]
    assert clocks["team_left_seconds"] == 22 * 3600
    assert clocks["customer_waits_seconds"] == 103 * 3600
    assert clocks["paused_since"] == "2026-03-02T12:00:00Z"


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        pytest.param({"calendar": "moon"}, ("/calendar", "unknown_calendar"), id="calendar"),
        pytest.param({"calendar": None}, ("/calendar", "calendar_needed"), id="team clock"),
        pytest.param(
            {"remedies": [GOLD["remedies"][0]] * 2}, ("/remedies", "id_taken"), id="remedies"
        ),
        pytest.param(
            {"resolve_within_hours": 0}, ("/resolve_within_hours", "greater_than"), id="time"
        ),
        pytest.param({"reminders": [1.2]}, ("/reminders/0", "less_than"), id="reminder"),
        pytest.param(
            {"escalations": [{"at": 1, "to": "ceo"}]},
            ("/escalations/0/to", "literal_error"),
            id="level",
        ),
        pytest.param({"attempts": {}}, ("/attempts/number", "missing"), id="attempts"),
    ],
)
async def test_a_scheme_that_nobody_could_keep_is_refused(
    api: Api, changes: dict[str, Any], found: tuple[str, str]
) -> None:
    await made(api, CALENDARS, OFFICE)
    assert findings(await api.send("POST", SCHEMES, json={**GOLD, **changes})) == {found}
    await made(api, SCHEMES, GOLD)
    assert findings(await api.send("PATCH", f"{SCHEMES}/gold", json=changes)) == {found}


@pytest.mark.parametrize("path", [CALENDARS, SCHEMES])
async def test_only_who_has_the_right_reads_and_publishes(api: Api, path: str) -> None:
    body = OFFICE if path == CALENDARS else {**GOLD, "calendar": None, "clock": "customer"}
    await made(api, path, body)
    blind = EVERY_SCOPE - {Scope.SETTINGS_READ}
    bound = EVERY_SCOPE - {Scope.SETTINGS_WRITE, Scope.POLICIES_WRITE}
    one = f"{path}/{body['id']}"

    assert {(await api.get(each, *blind)).status_code for each in (path, one)} == {403}
    assert (await api.send("POST", path, *bound, json={})).status_code == 403
    assert (await api.send("PATCH", one, *bound, json={})).status_code == 403
    assert (await api.get(f"{path}/nobody")).status_code == 404
    assert (await api.get(one, version=9)).status_code == 404
    assert (await api.get(path, limit=[1, 1])).status_code == 400


@pytest.mark.parametrize("path", [CALENDARS, SCHEMES])
async def test_lists_go_on_where_they_stopped(api: Api, path: str) -> None:
    body = OFFICE if path == CALENDARS else {**GOLD, "calendar": None, "clock": "customer"}
    for n in range(3):
        await made(api, path, {**body, "id": f"a-{n}"})
    first = (await api.get(path, limit=2)).json()
    second = (await api.get(path, limit=2, cursor=first["next_cursor"])).json()

    assert [one["id"] for one in first["data"] + second["data"]][:3] == ["a-0", "a-1", "a-2"]
    assert second["has_more"] is False


# ------------------------------------------------------------------ how it was kept


async def test_service_levels_say_how_often_a_promise_was_kept_and_on_what_it_rests(
    api: Api,
) -> None:
    """Two customers: one is called after an hour and done, the other waits for ever."""
    for number in (1, 2):
        event = await api.intake.response(
            customer=f"c-{number}", answered_at=api.intake.clock.now()
        )
        await api.intake.take_in(event)
    first, *_ = (await api.get("/v1/tasks")).json()["data"]
    api.intake.clock.advance(timedelta(hours=1))
    called = {"mode": "phone", "result": "reached", "note": "said sorry"}
    await api.send("POST", f"/v1/tasks/{first['id']}/contacts", json=called)
    done = {"reason": "unreachable", "note": "the line was cut"}
    refused = await api.send("POST", f"/v1/tasks/{first['id']}/close", json=done)
    assert refused.status_code == 409
    api.intake.clock.advance(timedelta(hours=30))

    answer = await api.get("/v1/service-levels", Scope.SCORES_READ)

    assert answer.status_code == 200, answer.text
    (level,) = answer.json()["data"]
    assert (level["scheme"], level["n"]) == ({"id": "standard", "name": "24 hours"}, 2)
    contact, resolution = level["first_contact"], level["resolution"]
    assert (contact["n"], contact["on_time"], contact["share"]) == (2, 1, 0.5)
    assert contact["enough"] is False
    assert contact["ci95"][0] < 0.5 < contact["ci95"][1]
    assert contact["customer"] == {"n": 1, "median_seconds": 3600, "p90_seconds": 3600}
    assert contact["team"] == {"n": 0, "median_seconds": None, "p90_seconds": None}
    assert (resolution["n"], resolution["on_time"], resolution["share"]) == (2, 0, 0.0)
    past = await api.get("/v1/service-levels", **{"from": "2020-01-01", "to": "2020-02-01"})
    assert past.json()["data"] == []
    blind = EVERY_SCOPE - {Scope.SCORES_READ}
    assert (await api.get("/v1/service-levels", *blind)).status_code == 403
