"""Touchpoints with owners and aliases, lists of codes, departments, scores: over HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from datetime import timedelta
from typing import Any

import pytest

from services.loop.responses.tables import score_rollups
from services.loop.tasks.tables import tasks
from shared.identity.groups import DEFAULT_TEAM
from shared.identity.people import disable_staff
from shared.identity.principal import Scope
from tests.loop_door import EVERY_SCOPE, Api
from tests.staff import audited

TOUCHPOINTS = "/v1/touchpoints"


async def _made(api: Api, path: str, **body: Any) -> dict[str, Any]:
    answer = await api.send("POST", path, json=body)
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


async def _changed(api: Api, path: str, **body: Any) -> dict[str, Any]:
    answer = await api.send("PATCH", path, json=body)
    assert answer.status_code == 200, answer.text
    changed: dict[str, Any] = answer.json()
    return changed


async def _owners_of_tasks(api: Api) -> list[str]:
    return [
        row["owner_id"]
        for row in sorted(await api.intake.rows(tasks), key=lambda row: str(row["id"]))
    ]


def _finding(answer: Any) -> str:
    assert answer.status_code == 422, answer.text
    code: str = answer.json()["errors"][0]["code"]
    return code


# ------------------------------------------------------------------ rights


@pytest.mark.parametrize(
    "path",
    [
        f"{TOUCHPOINTS}/door/owners",
        "/v1/segments",
        "/v1/products",
        "/v1/reasons",
        "/v1/departments",
        "/v1/staff",
        "/v1/teams",
    ],
)
async def test_settings_want_their_own_right(api: Api, path: str) -> None:
    answer = await api.get(path, *(EVERY_SCOPE - {Scope.SETTINGS_READ}))

    assert answer.status_code == 403


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", f"{TOUCHPOINTS}/door/owners"),
        ("DELETE", f"{TOUCHPOINTS}/door/owners/own_1"),
        ("POST", "/v1/segments"),
        ("PATCH", "/v1/products/x"),
        ("DELETE", "/v1/reasons/x"),
        ("POST", "/v1/reasons/starter"),
        ("POST", "/v1/departments"),
        ("PATCH", "/v1/departments/dep_1"),
    ],
)
async def test_who_may_only_read_changes_nothing(api: Api, method: str, path: str) -> None:
    bound = EVERY_SCOPE - {Scope.SETTINGS_WRITE, Scope.POLICIES_WRITE}
    answer = await api.send(method, path, *bound, json={})

    assert answer.status_code == 403


# ------------------------------------------------------------------ owners


async def test_the_owner_at_the_moment_of_acceptance_gets_the_task(api: Api) -> None:
    ana, ole = await api.person("ana"), await api.person("ole")
    clock = api.intake.clock
    await _made(api, TOUCHPOINTS, code="support-call", name="Support call", owner=ana)
    early = await api.intake.response(customer="c-early")
    clock.advance(timedelta(days=1))
    await _made(api, f"{TOUCHPOINTS}/support-call/owners", owner=ole)
    clock.advance(timedelta(hours=1))

    # What was accepted before the handover arrives here only after it.
    await api.intake.take_in(early)
    await api.intake.take_in(await api.intake.response(customer="c-late"))

    assert await _owners_of_tasks(api) == [ana, ole]


async def test_periods_are_listed_planned_and_ended(api: Api) -> None:
    ana, ole = await api.person("ana"), await api.person("ole")
    now = api.intake.clock.now()
    later = now + timedelta(days=9)
    await _made(api, TOUCHPOINTS, code="door", owner=ana)
    path = f"{TOUCHPOINTS}/door/owners"

    planned = await _made(api, path, owner=ole, valid_from=later.isoformat())
    both = (await api.get(path)).json()
    dropped = await api.send("DELETE", f"{path}/{planned['id']}")
    left = (await api.get(path)).json()["data"]
    ended = await api.send("DELETE", f"{path}/{both['data'][0]['id']}")
    api.intake.clock.advance(timedelta(seconds=1))
    again = await api.send("DELETE", f"{path}/{both['data'][0]['id']}")

    assert [(p["owner"]["id"], p["state"]) for p in both["data"]] == [
        (ana, "current"),
        (ole, "planned"),
    ]
    assert both["data"][0]["valid_until"] == both["data"][1]["valid_from"]
    assert (both["has_more"], both["next_cursor"]) == (False, None)
    assert dropped.status_code == 200
    assert [(p["owner"]["id"], p["state"]) for p in left] == [(ana, "current")]
    assert (ended.status_code, ended.json()["owner"], ended.json()["owned"]) == (
        200,
        None,
        False,
    )
    assert again.status_code in {404, 409}
    assert [name for name in await audited(api.intake.database) if "owner" in name] == [
        "touchpoint.owner-planned",
        "touchpoint.owner-ended",
        "touchpoint.owner-ended",
    ]


async def test_a_period_can_be_given_an_end(api: Api) -> None:
    ana = await api.person("ana")
    now = api.intake.clock.now()
    await _made(api, TOUCHPOINTS, code="door")
    path = f"{TOUCHPOINTS}/door/owners"
    period = await _made(api, path, owner=ana)
    await api.intake.take_in(*await api.intake.responses([{"touchpoint": "door", "score": 9}]))
    end = {"valid_until": (now + timedelta(days=2)).isoformat()}

    past = await api.send(
        "PATCH",
        f"{path}/{period['id']}",
        json={"valid_until": (now - timedelta(days=1)).isoformat()},
    )
    ends = await api.send("PATCH", f"{path}/{period['id']}", json=end)
    still = (await api.get(f"{TOUCHPOINTS}/door")).json()
    api.intake.clock.advance(timedelta(days=2))
    over = (await api.get(f"{TOUCHPOINTS}/door")).json()

    assert _finding(past) == "in_the_past"
    assert ends.status_code == 200
    assert ends.json() == still
    assert still["responses"] == 1
    assert (still["owner"]["id"], still["owned"]) == (ana, True)
    assert (over["owner"], over["owned"]) == (None, False)


async def test_periods_that_overlap_are_refused_and_leave_nothing(api: Api) -> None:
    ana, ole = await api.person("ana"), await api.person("ole")
    now = api.intake.clock.now()
    path = f"{TOUCHPOINTS}/door/owners"
    await _made(api, TOUCHPOINTS, code="door", owner=ana)

    stand_in = await api.send(
        "POST",
        path,
        json={
            "owner": ole,
            "valid_from": (now + timedelta(days=1)).isoformat(),
            "valid_until": (now + timedelta(days=3)).isoformat(),
        },
    )
    backwards = await api.send(
        "POST",
        path,
        json={
            "owner": ole,
            "valid_from": (now + timedelta(days=3)).isoformat(),
            "valid_until": (now + timedelta(days=1)).isoformat(),
        },
    )
    naive = await api.send("POST", path, json={"owner": ole, "valid_from": "2026-03-05T10:00"})
    nobody = await api.send("POST", path, json={"owner": "stf_nobody"})
    nowhere = await api.send("POST", f"{TOUCHPOINTS}/gate/owners", json={"owner": ole})
    stale = await api.send("POST", path, json={"owner": ole}, If_Match='"7"')

    assert stand_in.status_code == 409
    assert stand_in.json()["type"].endswith("/overlapping-period")
    assert _finding(backwards) == "too_early"
    assert naive.status_code == 422
    assert _finding(nobody) == "unknown_owner"
    assert nowhere.status_code == 404
    assert (stale.status_code, stale.json()["version"]) == (412, 1)
    assert len((await api.get(path)).json()["data"]) == 1


async def test_an_owner_who_left_leaves_the_tasks_to_the_default_owner(api: Api) -> None:
    ana = await api.person("ana")
    await _made(api, TOUCHPOINTS, code="support-call", name="Support call", owner=ana)
    async with api.intake.database.transaction() as tx:
        await disable_staff(tx, ana, now=api.intake.clock.now())

    await api.intake.take_in(await api.intake.response())
    unowned = (await api.get(TOUCHPOINTS, owned="false")).json()["data"]
    named_again = await api.send(
        "POST", f"{TOUCHPOINTS}/support-call/owners", json={"owner": ana}
    )

    assert await _owners_of_tasks(api) == [DEFAULT_TEAM]
    assert [(t["code"], t["owner"]["id"], t["owned"]) for t in unowned] == [
        ("support-call", ana, False)
    ]
    assert (await api.get(TOUCHPOINTS, owned="true")).json()["data"] == []
    assert _finding(named_again) == "unknown_owner"


async def test_a_department_stays_when_the_owner_changes(api: Api) -> None:
    ana = await api.person("ana")
    part = await _made(api, "/v1/departments", name="Logistics")
    await _made(api, TOUCHPOINTS, code="door", department_id=part["id"])

    owned = await _changed(api, f"{TOUCHPOINTS}/door", owner=ana)
    moved = await _changed(api, f"{TOUCHPOINTS}/door", department_id=None)

    assert (owned["owner"]["id"], owned["department_id"]) == (ana, part["id"])
    assert (moved["owner"]["id"], moved["department_id"]) == (ana, None)


# ------------------------------------------------------------------ codes that are one


async def test_a_code_that_stands_for_another_does_so_in_everything_and_can_be_taken_back(
    api: Api,
) -> None:
    ana = await api.person("ana")
    await _made(api, TOUCHPOINTS, code="front-door", name="Doorstep", owner=ana, key=True)
    await api.intake.take_in(
        *await api.intake.responses(
            [
                {"customer": "c-1", "touchpoint": "front-door"},
                {"customer": "c-2", "touchpoint": "door", "comment": "I waited for an hour."},
            ]
        )
    )
    before = (await api.get("/v1/scores", group_by="touchpoint")).json()["data"]

    mapped = await _changed(api, f"{TOUCHPOINTS}/door", alias_of="front-door")
    await api.intake.take_in(await api.intake.response(customer="c-3", touchpoint="door"))
    scores = (await api.get("/v1/scores", group_by="touchpoint")).json()["data"]
    narrowed = (await api.get("/v1/scores", touchpoint="door")).json()["data"]
    themes = (await api.get("/v1/themes", touchpoint="front-door")).json()["comments"]
    listed = (await api.get("/v1/tasks", touchpoint="front-door")).json()["data"]
    whole = (await api.get(f"{TOUCHPOINTS}/front-door")).json()
    refused = await api.send("PATCH", f"{TOUCHPOINTS}/door", json={"name": "Gate"})
    back = await _changed(api, f"{TOUCHPOINTS}/door", alias_of=None)
    after = (await api.get("/v1/scores", group_by="touchpoint")).json()["data"]

    assert [(s["group"]["touchpoint"], s["n"]) for s in before] == [
        ("door", 1),
        ("front-door", 1),
    ]
    assert (mapped["mapped"], mapped["alias_of"]) == (True, "front-door")
    assert (mapped["owner"]["id"], mapped["responses"]) == (ana, 1)
    assert [(s["group"]["touchpoint"], s["n"]) for s in scores] == [("front-door", 3)]
    assert [s["n"] for s in narrowed] == [3]
    assert themes == 1
    assert len(listed) == 3
    assert (whole["responses"], whole["key"]) == (3, True)
    assert sorted(await _owners_of_tasks(api)) == sorted([ana, DEFAULT_TEAM, ana])
    assert refused.status_code == 409
    assert (back["mapped"], back["alias_of"], back["owner"]) == (False, None, None)
    assert [(s["group"]["touchpoint"], s["n"]) for s in after] == [
        ("door", 2),
        ("front-door", 1),
    ]


async def test_there_are_no_chains_and_no_circles(api: Api) -> None:
    await _made(api, TOUCHPOINTS, code="a", name="A")
    await _made(api, TOUCHPOINTS, code="b", name="B")
    await _made(api, TOUCHPOINTS, code="c", name="C")
    await _changed(api, f"{TOUCHPOINTS}/a", alias_of="b")
    await api.intake.take_in(await api.intake.response(touchpoint="kiosk 7"))

    async def refused(code: str, target: str) -> str:
        path = f"{TOUCHPOINTS}/{code}"
        return _finding(await api.send("PATCH", path, json={"alias_of": target}))

    assert await refused("b", "c") == "others_stand_for"
    assert await refused("c", "a") == "stands_for_another"
    assert await refused("b", "a") == "stands_for_another"
    assert await refused("c", "c") == "itself"
    assert await refused("c", "nowhere") == "unknown_code"
    assert await refused("c", "kiosk 7") == "unknown_code"
    assert await refused("c", "unknown") == "reserved"


async def test_two_who_map_at_the_same_moment_make_no_chain(api: Api) -> None:
    codes = ("a", "b", "c")
    for code in codes:
        await _made(api, TOUCHPOINTS, code=code)
    rights = await api.key()

    def mapped(code: str, target: str) -> Awaitable[Any]:
        path = f"{TOUCHPOINTS}/{code}"
        return api.client.patch(path, json={"alias_of": target}, headers=rights)

    answers = await asyncio.gather(mapped("a", "b"), mapped("b", "c"), mapped("c", "a"))
    targets = {code: (await api.get(f"{TOUCHPOINTS}/{code}")).json() for code in codes}

    # A deadlock among three would be answered with 503: nothing was changed, try again.
    assert {answer.status_code for answer in answers} <= {200, 422, 503}
    assert 200 in {answer.status_code for answer in answers}
    aliases = {code: one["alias_of"] for code, one in targets.items() if one["alias_of"]}
    assert not set(aliases.values()) & set(aliases)


async def test_touchpoints_come_in_parts_whatever_is_asked(api: Api) -> None:
    for code in ("a", "b", "c"):
        await _made(api, TOUCHPOINTS, code=code)
    await _changed(api, f"{TOUCHPOINTS}/c", alias_of="a")

    first = (await api.get(TOUCHPOINTS, owned="false", limit=1)).json()
    rest = (
        await api.get(TOUCHPOINTS, owned="false", limit=1, cursor=first["next_cursor"])
    ).json()
    foreign = await api.get(TOUCHPOINTS, cursor=first["next_cursor"])

    assert [t["code"] for t in first["data"] + rest["data"]] == ["a", "b"]
    assert (first["has_more"], rest["has_more"]) == (True, False)
    assert foreign.status_code == 422


# ------------------------------------------------------------------ lists of codes


@pytest.mark.parametrize("kind", ["segment", "product", "reason"])
async def test_a_code_is_seen_described_renamed_mapped_and_retired(api: Api, kind: str) -> None:
    path = f"/v1/{kind}s"
    await api.intake.take_in(
        *await api.intake.responses([{kind: "G/1"}, {kind: "gold", "customer": "c-2"}])
    )

    unmapped = (await api.get(path, mapped="false")).json()["data"]
    gold = await _made(api, path, code="gold", labels={"en": "Gold", "de": "Goldkunden"})
    again = await api.send("POST", path, json={"code": "gold"})
    renamed = await api.send(
        "PATCH", f"{path}/gold", json={"labels": {"en": "Golden"}}, If_Match='"2"'
    )
    stale = await api.send("PATCH", f"{path}/gold", json={"labels": {}}, If_Match='"2"')
    mapped = await _changed(api, f"{path}/G/1", alias_of="gold")
    scores = (await api.get("/v1/scores", group_by=kind)).json()["data"]
    in_use = await api.send("DELETE", f"{path}/gold")
    await _changed(api, f"{path}/G/1", alias_of=None)
    retired = await api.send("DELETE", f"{path}/gold")
    once_more = await api.send("DELETE", f"{path}/gold")
    seen = (await api.get(f"{path}/gold")).json()
    revived = await _made(api, path, code="gold", labels={"en": "Gold"})

    assert [(c["code"], c["mapped"], c["name"]) for c in unmapped] == [
        ("G/1", False, "G/1"),
        ("gold", False, "gold"),
    ]
    assert (gold["mapped"], gold["name"], gold["responses"]) == (True, "Gold", 1)
    assert again.status_code == 409
    assert (renamed.status_code, renamed.headers["etag"]) == (200, '"3"')
    assert renamed.json()["labels"] == {"en": "Golden"}
    assert (stale.status_code, stale.json()["version"]) == (412, 3)
    assert (mapped["mapped"], mapped["alias_of"]) == (True, "gold")
    assert [(s["group"][kind], s["n"]) for s in scores] == [("gold", 2)]
    assert in_use.status_code == 409
    assert (retired.status_code, once_more.status_code) == (204, 204)
    assert seen["retired_at"] is not None
    assert revived["retired_at"] is None
    names = [name for name in await audited(api.intake.database) if name.startswith(kind)]
    assert names == [
        f"{kind}.described",
        f"{kind}.changed",
        f"{kind}.changed",
        f"{kind}.changed",
        f"{kind}.retired",
        f"{kind}.described",
    ]


async def test_the_reasons_of_a_bank_are_offered_and_other_is_always_there(api: Api) -> None:
    before = (await api.get("/v1/reasons")).json()["data"]
    await _made(api, "/v1/reasons", code="money_transfer", labels={"en": "Wire"})

    added = await _made(api, "/v1/reasons/starter", set="bank")
    again = await _made(api, "/v1/reasons/starter", set="bank")
    other = await api.send("DELETE", "/v1/reasons/other")
    mapped = await api.send("PATCH", "/v1/reasons/other", json={"alias_of": "user_name"})
    after = {one["code"]: one for one in (await api.get("/v1/reasons")).json()["data"]}

    assert [one["code"] for one in before] == ["other"]
    assert len(added["data"]) == 8
    assert again["data"] == []
    assert other.status_code == 409
    assert _finding(mapped) == "reserved"
    assert len(after) == 10
    assert after["money_transfer"]["labels"] == {"en": "Wire"}
    assert after["loan_status"]["labels"]["de"] == "Stand des Kreditantrags"


async def test_emotions_of_senders_and_of_contacts_are_counted_together(api: Api) -> None:
    await _made(api, "/v1/reasons", code="money_transfer")
    await api.intake.take_in(
        *await api.intake.responses(
            [
                {"reason": "money_transfer", "emotion": "angry"},
                {"reason": "transfer", "emotion": "angry", "customer": "c-2"},
                {"reason": None, "emotion": "calm", "customer": "c-3"},
                {"reason": "money_transfer", "customer": "c-4", "score": 10},
            ]
        )
    )
    await _changed(api, "/v1/reasons/transfer", alias_of="money_transfer")
    (task,) = [
        one
        for one in (await api.get("/v1/tasks")).json()["data"]
        if one["customer"]["id"] == "c-1"
    ]
    heard = {
        "mode": "phone",
        "result": "reached",
        "note": "They listened.",
        "emotion_before": "worried",
        "emotion_after": "calm",
    }
    logged = await api.send("POST", f"/v1/tasks/{task['id']}/contacts", json=heard)

    answer = (await api.get("/v1/reasons")).json()
    before = (await api.get("/v1/reasons", **{"from": "2025-01-01", "to": "2025-01-31"})).json()
    reasons = {one["code"]: (one["n"], one["emotions"]) for one in answer["data"]}

    assert logged.status_code == 200
    assert reasons["money_transfer"] == (3, {"angry": 2, "worried": 1})
    assert reasons["other"] == (0, {})
    assert answer["unknown"] == {"n": 1, "emotions": {"calm": 1}}
    assert all((one["n"], one["emotions"]) == (0, {}) for one in before["data"])


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"code": ""},
        {"code": "unknown"},
        {"code": "x", "labels": {"English": "X"}},
        {"code": "x", "labels": {"en": ""}},
        {"code": "x", "labels": ["X"]},
        {"code": "x", "label": "X"},
    ],
)
async def test_a_code_that_cannot_be_leaves_no_row(api: Api, body: Any) -> None:
    answer = await api.send("POST", "/v1/segments", json=body)

    assert answer.status_code == 422
    assert (await api.get("/v1/segments")).json()["data"] == []


async def test_a_revised_answer_is_counted_once_and_where_it_now_belongs(api: Api) -> None:
    event = await api.intake.response(segment="gold")
    await api.intake.take_in(event)
    await api.intake.take_in(
        await api.intake.response(response_id=event.response_id, revision=2, segment="basic")
    )

    segments = (await api.get("/v1/segments")).json()["data"]

    assert [(one["code"], one["responses"]) for one in segments] == [("basic", 1), ("gold", 0)]


# ------------------------------------------------------------------ scores


async def test_scores_by_reason_department_and_owner_say_what_is_unknown(api: Api) -> None:
    ana = await api.person("ana")
    part = await _made(api, "/v1/departments", name="Logistics")
    await _made(api, TOUCHPOINTS, code="door", owner=ana, department_id=part["id"])
    await _made(api, TOUCHPOINTS, code="desk", department_id=part["id"])
    await api.intake.take_in(
        *await api.intake.responses(
            [
                {"touchpoint": "door", "score": 10, "reason": "late"},
                {"touchpoint": "desk", "score": 2},
                {"touchpoint": "kiosk", "score": 9},
                {"touchpoint": None, "score": 9, "reason": "late"},
                {"touchpoint": "door", "score": 0, "measurement": "periodic"},
            ]
        )
    )
    await _changed(api, f"{TOUCHPOINTS}/kiosk", alias_of="desk")

    async def groups(name: str, **query: str) -> list[tuple[str, int]]:
        rows = (await api.get("/v1/scores", group_by=name, **query)).json()["data"]
        return [(row["group"][name], row["n"]) for row in rows]

    assert await groups("reason") == [("late", 2), ("unknown", 2)]
    assert await groups("department") == [(part["id"], 3), ("unknown", 1)]
    assert await groups("owner") == [(ana, 1), ("unknown", 3)]
    assert await groups("touchpoint", department=part["id"]) == [("desk", 2), ("door", 1)]
    assert await groups("touchpoint", department="unknown") == [("unknown", 1)]
    assert await groups("touchpoint", owner="unknown") == [("desk", 2), ("unknown", 1)]
    assert await groups("touchpoint", owner=ana, reason="late") == [("door", 1)]
    assert await groups("owner", measurement="periodic") == [(ana, 1)]
    assert {row["reason"] for row in await api.intake.rows(score_rollups)} == {
        "late",
        "unknown",
    }


async def test_a_group_that_is_none_is_answered_with_those_that_are(api: Api) -> None:
    """The next request can be right without a look at the documentation."""
    answer = await api.get("/v1/scores", group_by="shop")
    assert _finding(answer) == "literal_error"
    (finding,) = answer.json()["errors"]
    assert finding["fix"].startswith("send touchpoint, segment, product")
    assert finding["fix"].endswith("week or month")
    assert "shop" not in answer.text


# ------------------------------------------------------------------ people


async def test_a_department_is_made_read_changed_and_listed(api: Api) -> None:
    ana = await api.person("ana")
    made = await api.send("POST", "/v1/departments", json={"name": "Logistics", "head_id": ana})
    path = f"/v1/departments/{made.json()['id']}"

    taken = await api.send("POST", "/v1/departments", json={"name": "Logistics"})
    nobody = await api.send("PATCH", path, json={"head_id": "stf_nobody"})
    changed = await api.send(
        "PATCH", path, json={"name": "Delivery", "head_id": None}, If_Match='"1"'
    )
    stale = await api.send("PATCH", path, json={"name": "X"}, If_Match='"1"')
    listed = (await api.get("/v1/departments")).json()

    assert (made.status_code, made.headers["etag"], made.json()["head_id"]) == (201, '"1"', ana)
    assert taken.status_code == 409
    assert _finding(nobody) == "unknown_staff"
    assert (changed.status_code, changed.headers["etag"]) == (200, '"2"')
    assert (stale.status_code, stale.json()["version"]) == (412, 2)
    assert (await api.get(path)).json() == changed.json()
    assert [(one["name"], one["head_id"]) for one in listed["data"]] == [("Delivery", None)]
    assert (await api.get("/v1/departments/dep_none")).status_code == 404
    assert [n for n in await audited(api.intake.database) if n.startswith("department")] == [
        "department.created",
        "department.changed",
    ]


async def test_an_integrator_finds_whom_to_name_as_an_owner(api: Api) -> None:
    ana, ole = await api.person("ana"), await api.person("ole")
    async with api.intake.database.transaction() as tx:
        await disable_staff(tx, ole, now=api.intake.clock.now())

    first = (await api.get("/v1/staff", limit=1)).json()
    rest = (await api.get("/v1/staff", cursor=first["next_cursor"])).json()
    one = (await api.get(f"/v1/staff/{ana}")).json()
    teams = (await api.get("/v1/teams")).json()["data"]

    assert [(p["id"], p["active"]) for p in first["data"] + rest["data"]] == [
        (ana, True),
        (ole, False),
    ]
    assert (one["name"], one["email"], one["role"]) == ("Ana", "ana@example.test", "agent")
    assert (await api.get("/v1/staff/stf_none")).status_code == 404
    assert [team["id"] for team in teams] == [DEFAULT_TEAM]
