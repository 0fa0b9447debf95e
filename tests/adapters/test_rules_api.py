"""Routing rules over HTTP: added, ordered, changed, drafted, published, put back."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from services.loop.tasks.tables import task_history, tasks
from shared.identity.groups import DEFAULT_TEAM
from shared.identity.people import disable_staff
from shared.identity.principal import Scope
from shared.identity.tables import audit
from tests.loop_door import Api

RULES = "/v1/routing-rules"


async def _added(api: Api, **body: Any) -> dict[str, Any]:
    answer = await api.send("POST", RULES, json=body)
    assert answer.status_code == 201, answer.text
    rule: dict[str, Any] = answer.json()
    return rule


async def _audited(api: Api, action: str) -> list[dict[str, Any]]:
    lines = await api.intake.rows(audit)
    return [line["detail"] for line in lines if line["action"] == action]


async def _task_of(api: Api, **members: Any) -> dict[str, Any]:
    event = await api.intake.response(**members)
    await api.intake.take_in(event)
    (row,) = [r for r in await api.intake.rows(tasks) if r["response_id"] == event.response_id]
    (opening,) = [
        line
        for line in await api.intake.rows(task_history)
        if line["task_id"] == row["id"] and line["act"] == "open"
    ]
    return {**row, "because": opening["detail"]["because"]}


BUSINESS: dict[str, Any] = {
    "id": "business",
    "name": "Business customers",
    "scores": {"nps": [0, 6]},
    "conditions": [{"field": "segment", "op": "is", "value": "Business"}],
    "owner": {"kind": "contact_owner"},
    "position": 1,
}


async def test_an_empty_installation_shows_the_shipped_rule(api: Api) -> None:
    answer = await api.get(RULES)

    assert answer.status_code == 200
    assert [rule["id"] for rule in answer.json()["data"]] == ["unhappy-customer"]
    one = await api.get(f"{RULES}/unhappy-customer")
    assert one.headers["etag"] == '"1"'
    assert one.json()["owner"]["kind"] == "touchpoint_owner"


async def test_the_first_rule_that_matches_opens_the_task_and_the_task_says_which(
    api: Api,
) -> None:
    rule = await _added(api, **{**BUSINESS, "owner": {"kind": "team", "id": DEFAULT_TEAM}})
    assert (rule["position"], rule["version"]) == (1, 2)

    business = await _task_of(api, segment="business", customer="c-b")
    private = await _task_of(api, segment="Private", customer="c-p")

    assert (business["rule"], business["rule_name"]) == ("business", "Business customers")
    assert private["rule"] == "unhappy-customer"
    assert business["because"] == [f"team:{DEFAULT_TEAM}"]

    await api.send("PATCH", f"{RULES}/business", json={"position": 2})
    later = await _task_of(api, segment="Business", customer="c-b2")
    assert later["rule"] == "unhappy-customer"


async def test_a_business_customer_gets_the_contact_person_and_a_private_one_the_centre(
    api: Api,
) -> None:
    """The taxi: the same ride, a fixed contact for one, the customer centre for the other."""
    vera, doris = await api.person("vera"), await api.person("doris")
    await _added(api, **{**BUSINESS, "owner": {"kind": "contact_owner", "deputy": doris}})
    ride = {"segment": "Business", "product": "ride"}

    by_mail = await _task_of(
        api, **ride, customer="c-1", block={"contact_owner": "Vera@example.test"}
    )
    by_name = await _task_of(api, **ride, customer="c-2", block={"contact_owner": "vera"})
    unknown = await _task_of(
        api, **ride, customer="c-3", block={"contact_owner": "somebody else"}
    )
    async with api.intake.database.transaction() as tx:
        await disable_staff(tx, vera, now=api.intake.clock.now())
    gone = await _task_of(
        api, **ride, customer="c-4", block={"contact_owner": "vera@example.test"}
    )
    private = await _task_of(
        api, customer="c-5", segment="Private", product="ride", block={"contact_owner": "vera"}
    )

    assert [t["owner_id"] for t in (by_mail, by_name)] == [vera, vera]
    assert (unknown["owner_id"], unknown["because"]) == (
        doris,
        ["no_contact_owner", f"deputy:{doris}"],
    )
    assert (gone["owner_id"], gone["because"]) == (
        doris,
        [f"contact_owner:{vera}", f"gone:{vera}", f"deputy:{doris}"],
    )
    assert private["owner_id"] == DEFAULT_TEAM


async def test_who_changed_what_when_can_be_read_and_put_back(api: Api) -> None:
    await _added(api, **BUSINESS)
    await api.send("PATCH", f"{RULES}/unhappy-customer", json={"enabled": False})
    gone = await api.send("DELETE", f"{RULES}/business")
    assert gone.status_code == 204

    versions = (await api.get(f"{RULES}/versions")).json()["data"]
    assert [one["version"] for one in versions] == [4, 3, 2, 1]
    assert versions[-1]["published_by"] is None
    assert versions[0]["published_by"]["name"] == "tests"
    page = (await api.get(f"{RULES}/versions", limit=3)).json()
    rest = await api.get(f"{RULES}/versions", cursor=page["next_cursor"])
    assert [one["version"] for one in rest.json()["data"]] == [1]

    restored = await api.send("POST", f"{RULES}/versions/1/restore")
    assert restored.status_code == 201
    assert restored.json()["version"] == 5
    assert [r["id"] for r in (await api.get(RULES)).json()["data"]] == ["unhappy-customer"]
    lines = await _audited(api, "rules.published")
    assert [line["changes"] for line in lines] == [
        ["added:business"],
        ["changed:unhappy-customer"],
        ["removed:business"],
        ["changed:unhappy-customer"],
    ]
    assert lines[-1]["restored"] == 1
    missing = await api.send("POST", f"{RULES}/versions/99/restore")
    assert missing.status_code == 404


async def test_a_draft_changes_nothing_until_it_is_published(api: Api) -> None:
    assert (await api.get(f"{RULES}/draft")).status_code == 404
    book = {"repeat": {"within_days": 7, "share_of_time": 0.5}, "rules": []}

    drafted = await api.send("PUT", f"{RULES}/draft", json=book)

    assert drafted.status_code == 200
    assert (await _task_of(api, customer="c-1"))["rule"] == "unhappy-customer"
    stale = await api.send("POST", f"{RULES}/draft/publish", if_match='"7"')
    assert (stale.status_code, stale.json()["version"]) == (412, 1)
    published = await api.send("POST", f"{RULES}/draft/publish", if_match='"1"')
    assert (published.status_code, published.json()["version"]) == (201, 2)
    assert (await api.get(RULES)).json()["data"] == []
    assert (await api.get(f"{RULES}/draft")).status_code == 404


async def test_a_draft_that_was_overtaken_is_not_published(api: Api) -> None:
    book = {"repeat": {"within_days": 0, "share_of_time": 1}, "rules": []}
    await api.send("PUT", f"{RULES}/draft", json=book)
    await _added(api, **BUSINESS)

    refused = await api.send("POST", f"{RULES}/draft/publish")

    assert refused.status_code == 409
    assert (refused.json()["based_on"], refused.json()["version"]) == (1, 2)
    assert (await api.send("DELETE", f"{RULES}/draft")).status_code == 204
    assert len(await _audited(api, "rules.draft-dropped")) == 1


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"id": "draft"}, "/rules/0/id"),
        ({"scheme": "nope"}, "/rules/0/scheme"),
        ({"scores": {"nps": [0, 11]}}, "/rules/0/scores/nps"),
        ({"scores": {"nps": [6, 0]}}, "/rules/0/scores/nps"),
        ({"scores": {}, "conditions": []}, "/rules/0"),
        ({"owner": {"kind": "person"}}, "/rules/0/owner/id"),
        ({"owner": {"kind": "person", "id": "stf_nobody"}}, "/rules/0/owner/id"),
        ({"owner": {"kind": "contact_owner", "deputy": "x"}}, "/rules/0/owner/deputy"),
        (
            {"conditions": [{"field": "segment", "op": "at_least", "value": "a"}]},
            "/rules/0/conditions/0/op",
        ),
        (
            {"conditions": [{"field": "score", "op": "is", "value": "low"}]},
            "/rules/0/conditions/0/value",
        ),
        (
            {"conditions": [{"field": "has_comment", "op": "exists", "value": True}]},
            "/rules/0/conditions/0/op",
        ),
    ],
)
async def test_a_rule_that_cannot_be_used_is_refused_with_what_to_do(
    api: Api, change: dict[str, Any], pointer: str
) -> None:
    refused = await api.send("POST", RULES, json={**BUSINESS, **change})

    assert refused.status_code == 422
    assert [one["pointer"] for one in refused.json()["errors"]] == [pointer]
    assert refused.json()["errors"][0]["fix"]
    assert (await api.get(RULES)).json()["version"] == 1


async def test_versions_guard_changes_and_ids_are_taken_once(api: Api) -> None:
    await _added(api, **BUSINESS)

    again = await api.send("POST", RULES, json=BUSINESS)
    stale = await api.send("PATCH", f"{RULES}/business", json={"name": "Firms"}, if_match='"1"')
    unknown = await api.send("PATCH", f"{RULES}/nope", json={"name": "Firms"})

    assert (again.status_code, again.json()["type"].rpartition("/")[2]) == (409, "id-taken")
    assert (stale.status_code, stale.json()["version"]) == (412, 2)
    assert unknown.status_code == 404


async def test_only_who_may_change_settings_changes_rules(api: Api) -> None:
    reader = (Scope.SETTINGS_READ,)

    assert (await api.get(RULES, *reader)).status_code == 200
    assert (await api.send("POST", RULES, *reader, json=BUSINESS)).status_code == 403
    assert (await api.get(RULES, Scope.TASKS_READ)).status_code == 403


async def test_a_change_is_tried_on_what_came_before_it_is_published(api: Api) -> None:
    """Tasks, owners, breaches and the difference to live, and nothing is written."""
    doris = await api.person("doris")
    await _task_of(api, customer="c-1", segment="Business")
    await _task_of(api, customer="c-2", segment="Private")
    api.intake.clock.advance(timedelta(hours=5))
    rule = {**BUSINESS, "owner": {"kind": "person", "id": doris}, "scheme": "short"}
    del rule["position"]
    short = {
        "id": "short",
        "name": "Short",
        "first_contact_within_hours": 1,
        "resolve_within_hours": 4,
        "attempts": {"number": 1},
    }
    book = {"repeat": {"within_days": 0, "share_of_time": 1}, "rules": [rule]}

    answer = await api.send("POST", f"{RULES}/try", json={"rules": book, "schemes": [short]})

    assert answer.status_code == 200, answer.text
    trial = answer.json()
    assert (trial["responses"], trial["whole"]) == (2, True)
    assert (trial["only_tried"], trial["only_live"]) == (0, 1)
    assert {one["name"]: one["tried"]["tasks"] for one in trial["owners"]} == {
        "Doris": 1,
        "Customer care": 0,
    }
    assert trial["total"]["tried"]["late"] == 1
    assert trial["total"]["live"] == {
        "tasks": 2,
        "late_first_contact": 0,
        "late": 0,
        "unknown": 0,
    }
    assert (await api.get(RULES)).json()["version"] == 1

    nothing_new = await api.send("POST", f"{RULES}/try", json={})
    assert nothing_new.json()["total"]["tried"] == nothing_new.json()["total"]["live"]
    wrong = {"rules": {**book, "rules": [{**rule, "scheme": "nope"}]}}
    assert (await api.send("POST", f"{RULES}/try", json=wrong)).status_code == 422


async def test_praise_and_lukewarm_answers_get_thanks_within_days_by_rules_of_their_own(
    api: Api,
) -> None:
    scheme = {
        "id": "thanks",
        "name": "Thanks within days",
        "first_contact_within_hours": 72,
        "resolve_within_hours": 120,
        "attempts": {"number": 1},
    }
    assert (await api.send("POST", "/v1/schemes", json=scheme)).status_code == 201
    await _added(
        api,
        id="promoters",
        name="Promoters who wrote something",
        scores={"nps": [9, 10]},
        conditions=[{"field": "has_comment", "op": "is", "value": True}],
        scheme="thanks",
    )
    await _added(api, id="passives", name="Passives", scores={"nps": [7, 8]}, scheme="thanks")

    praise = await _task_of(api, score=10, comment="Lovely people")
    passive = await _task_of(api, score=8)
    detractor = await _task_of(api, score=2)
    silent = await api.intake.response(score=10)
    await api.intake.take_in(silent)

    assert (praise["rule"], passive["rule"]) == ("promoters", "passives")
    assert [row["due_at"] - row["opened_at"] for row in (praise, passive, detractor)] == [
        timedelta(hours=120),
        timedelta(hours=120),
        timedelta(hours=24),
    ]
    assert (await api.intake.handled())[-1].reason == "no_rule"
