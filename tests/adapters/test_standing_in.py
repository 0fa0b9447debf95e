"""Absences, limits and hand-overs: who gets the work of somebody who cannot do it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest_asyncio

from services.loop.journey.domain import OwnerRef, Ownership
from services.loop.journey.handlers import find_periods, plan_ownership
from services.loop.tasks.tables import task_history
from shared.identity.audit import SYSTEM
from shared.identity.groups import DEFAULT_TEAM
from shared.identity.people import disable_staff
from shared.identity.person_keys import PersonKeys
from shared.identity.tables import audit
from shared.sealing import Keyring
from tests.desk import Desk, desk_on
from tests.fakes import ManualClock

PAGE = "/settings/absences"


@pytest_asyncio.fixture
async def desk(
    tmp_path: Path, clock: ManualClock, keyring: Keyring, person_keys: PersonKeys
) -> AsyncIterator[Desk]:
    async with desk_on(
        f"{tmp_path}/desk.db", clock=clock, keyring=keyring, person_keys=person_keys
    ) as opened:
        await _own(opened, "ana")
        yield opened


async def _own(desk: Desk, nick: str, **more: Any) -> None:
    """Let somebody own the doorstep."""
    now = desk.clock.now()
    async with desk.database.transaction() as tx:
        new = Ownership(
            id="",
            owner=OwnerRef(id=desk.staff[nick], kind="person"),
            **{"department_id": None, "valid_from": now, **more},
        )
        await plan_ownership(tx, "door", new, expected=None, by=SYSTEM, now=now)


async def _owner(desk: Desk, customer: str) -> str:
    return (await desk.hears(customer=customer, touchpoint="door")).owner.id


async def _because(desk: Desk) -> list[str]:
    lines = [line for line in await desk.rows(task_history) if line["act"] == "open"]
    because: list[str] = max(lines, key=lambda line: line["n"])["detail"]["because"]
    return because


async def _ok(answer: httpx.Response, status: int = 200) -> Any:
    assert answer.status_code == status, answer.text
    return answer.json() if answer.content else None


async def test_an_absence_forwards_new_tasks_until_it_is_over(desk: Desk) -> None:
    ana, ole = desk.staff["ana"], desk.staff["ole"]
    assert await _owner(desk, "c-0") == ana
    start = desk.clock.now() + timedelta(hours=1)
    async with desk.browsing("ana") as browser:
        away = await _ok(
            await browser.post(
                "/v1/absences",
                json={
                    "staff_id": ana,
                    "deputy_id": ole,
                    "begins_at": start.isoformat(),
                    "ends_at": (start + timedelta(days=2)).isoformat(),
                },
            ),
            201,
        )
        listed = await _ok(await browser.get("/v1/absences"))
    assert [one["id"] for one in listed["data"]] == [away["id"]]
    assert await _owner(desk, "c-1") == ana
    desk.clock.advance(timedelta(hours=2))
    assert await _owner(desk, "c-2") == ole
    assert await _because(desk) == [
        f"touchpoint_owner:{ana}",
        f"absent:{ana}",
        f"deputy:{ole}",
    ]
    desk.clock.advance(timedelta(days=2))
    assert await _owner(desk, "c-3") == ana


async def test_deputies_who_are_away_themselves_end_at_the_team(desk: Desk) -> None:
    ana, ole = desk.staff["ana"], desk.staff["ole"]
    async with desk.browsing("uwe") as lead:
        for who, deputy in ((ana, ole), (ole, ana)):
            body = {"staff_id": who, "deputy_id": deputy}
            await _ok(await lead.post("/v1/absences", json=body), 201)

    assert await _owner(desk, "c-1") == DEFAULT_TEAM
    assert await _because(desk) == [
        f"touchpoint_owner:{ana}",
        f"absent:{ana}",
        f"deputy:{ole}",
        f"absent:{ole}",
        f"last:{DEFAULT_TEAM}",
    ]


async def test_beyond_the_limit_the_deputy_gets_it_also_within_one_poll(desk: Desk) -> None:
    ana, ole = desk.staff["ana"], desk.staff["ole"]
    async with desk.browsing("uwe") as lead:
        path = f"/v1/workloads/{ana}"
        body = {"most_open": 2, "deputy_id": ole}
        limit = await _ok(await lead.put(path, json=body))
        late = await lead.put(path, json=body, headers={"If-Match": '"0"'})
        assert (limit["version"], late.status_code) == (1, 412)
    events = [{"customer": f"c-{n}", "touchpoint": "door"} for n in range(3)]
    await desk.take_in(*await desk.responses(events))

    owners = sorted(task.owner.id for task in await desk.tasks())
    assert owners == sorted([ana, ana, ole])
    assert await _because(desk) == [f"touchpoint_owner:{ana}", f"full:{ana}", f"deputy:{ole}"]


async def test_staff_say_it_for_themselves_and_leads_for_all(desk: Desk) -> None:
    ole = desk.staff["ole"]
    async with desk.browsing("ana") as browser:
        other = await browser.post("/v1/absences", json={"staff_id": ole})
        limit = await browser.put(f"/v1/workloads/{ole}", json={"most_open": 0})
        page = (await browser.get(PAGE)).text
        assert "Open tasks and limits" not in page
        assert "Ole Berg</option>" in page
    async with desk.browsing("uwe") as lead:
        wrong = await lead.post("/v1/absences", json={"staff_id": ole, "deputy_id": ole})
        past = await lead.post(
            "/v1/absences", json={"staff_id": ole, "ends_at": "2020-01-01T00:00:00Z"}
        )
    assert (other.status_code, limit.status_code) == (403, 403)
    assert wrong.json()["errors"][0]["pointer"] == "/deputy_id"
    assert past.json()["errors"][0]["pointer"] == "/ends_at"


async def test_absences_and_limits_are_worked_by_forms(desk: Desk) -> None:
    ana, ole = desk.staff["ana"], desk.staff["ole"]
    async with desk.browsing("uwe") as lead:
        noted = await lead.post(PAGE, data={"staff_id": ana, "deputy_id": ole})
        assert noted.status_code == 303, noted.text
        (away,) = (await _ok(await lead.get("/v1/absences")))["data"]
        assert (await lead.post(f"{PAGE}/end", data={"id": away["id"]})).status_code == 303
        assert (await _ok(await lead.get("/v1/absences")))["data"] == []
        assert (await lead.post(f"{PAGE}/end", data={"id": "abs_x"})).status_code == 404
        saved = await lead.post(
            f"{PAGE}/limit", data={"staff_id": ana, "most_open": "3", "version": "0"}
        )
        assert saved.status_code == 303, saved.text
        wrong = await lead.post(
            f"{PAGE}/limit", data={"staff_id": ana, "most_open": "many", "version": "1"}
        )
        assert wrong.status_code == 422
        (limit,) = (await _ok(await lead.get("/v1/workloads")))["data"]
    assert limit["most_open"] == 3


async def test_who_leaves_hands_everything_over(desk: Desk) -> None:
    ana, ole = desk.staff["ana"], desk.staff["ole"]
    desk.clock.advance(timedelta(minutes=1))
    tasks = [await desk.hears(customer=f"c-{n}", touchpoint="door") for n in range(3)]
    async with desk.browsing("ada") as admin:
        asked = (await admin.get("/settings/handover")).text
        assert "Whose work is handed over?" in asked
        shown = (await admin.get(f"/settings/handover?of={ana}")).text
        assert "Doorstep delivery" in shown
        nothing = await admin.post("/settings/handover", data={"of": ana, "to": ole})
        assert nothing.status_code == 422
        done = await admin.post(
            "/settings/handover",
            data={"of": ana, "to": ole, "tasks": "yes", "touchpoints": "yes"},
        )
        assert done.status_code == 303, done.text
        said = (await admin.get(done.headers["location"])).text
        assert "open tasks 3, promises 0, touchpoints 1, rules 0." in said
        assert "There is nothing to hand over." in said

    assert {task.owner.id for task in await desk.tasks()} == {ole}
    assert await _owner(desk, "c-new") == ole
    lines = [line for line in await desk.rows(task_history) if line["act"] == "assign"]
    assert {line["task_id"] for line in lines} == {task.id for task in tasks}
    (line,) = [row for row in await desk.rows(audit) if row["action"] == "staff.handed-over"]
    assert line["detail"] == {
        "to": ole,
        "tasks": 3,
        "actions": 0,
        "touchpoints": 1,
        "rules": 0,
        "more": False,
    }


async def test_periods_keep_their_ends_and_plans_in_a_hand_over(desk: Desk) -> None:
    ana, ole = desk.staff["ana"], desk.staff["ole"]
    now = desk.clock.now()
    async with desk.database.transaction() as tx:
        new = Ownership(
            id="",
            owner=OwnerRef(id=ana, kind="person"),
            department_id=None,
            valid_from=now,
            valid_until=now + timedelta(days=9),
        )
        await plan_ownership(tx, "support-call", new, expected=None, by=SYSTEM, now=now)
    desk.clock.advance(timedelta(days=1))
    async with desk.browsing("ada") as admin:
        body = {"to": ole, "tasks": False, "touchpoints": True}
        done = await _ok(await admin.post(f"/v1/staff/{ana}/handover", json=body))
    async with desk.database.reading() as view:
        periods = await find_periods(view, "support-call")

    assert done == {"tasks": 0, "actions": 0, "touchpoints": 2, "rules": 0, "more": False}
    assert [(p.owner.id, p.valid_until) for p in periods if p.owner] == [
        (ana, now + timedelta(days=1)),
        (ole, now + timedelta(days=9)),
    ]


VIP: dict[str, Any] = {
    "id": "vip",
    "name": "Important customers",
    "scores": {"nps": [0, 6]},
    "conditions": [{"field": "segment", "op": "is", "value": "Gold"}],
}


async def test_promises_and_places_in_rules_go_over_too(desk: Desk) -> None:
    """What Ana promised in a task of Ole's, and where a rule names her."""
    ana, ole, uwe = (desk.staff[nick] for nick in ("ana", "ole", "uwe"))
    task = await desk.hears(customer="c-1", touchpoint="support-call")
    due = (desk.clock.now() + timedelta(hours=5)).isoformat()
    async with desk.browsing("ada") as admin:
        path = f"/v1/tasks/{task.id}"
        await _ok(await admin.post(f"{path}/assign", json={"owner": ole, "reason": "knows"}))
        for what in ("call the depot", "write a letter"):
            body = {"what": what, "owner": ana, "due_at": due}
            await _ok(await admin.post(f"{path}/actions", json=body))
        await _ok(await admin.post(f"{path}/actions/2/done"))
        rule = {**VIP, "owner": {"kind": "person", "id": ana, "deputy": ole}}
        made = await admin.post("/v1/routing-rules", json=rule)
        assert made.status_code == 201, made.text
        shown = (await admin.get(f"/settings/handover?of={ana}")).text
        assert "Important customers" in shown

        done = await admin.post(
            "/settings/handover",
            data={"of": ana, "to": ole, "tasks": "yes", "rules": "yes"},
        )
        assert done.status_code == 303, done.text
        said = (await admin.get(done.headers["location"])).text
        assert "promises 1, touchpoints 0, rules 1." in said
        seen = await _ok(await admin.get(path))
        rules = (await _ok(await admin.get("/v1/routing-rules")))["data"]
        again = await admin.post(f"/v1/staff/{ana}/handover", json={"to": uwe, "rules": True})
    assert [one["owner"]["id"] for one in seen["actions"]] == [ole, ana]
    assert seen["actions"][0]["due_at"].startswith(due[:19])
    assert [one["owner"] for one in rules if one["id"] == "vip"] == [
        {"kind": "person", "id": ole, "deputy": None}
    ]
    assert (await _ok(again))["rules"] == 0


async def test_rules_that_name_somebody_who_left_say_so(desk: Desk) -> None:
    ana = desk.staff["ana"]
    async with desk.browsing("ada") as admin:
        rule = {**VIP, "owner": {"kind": "person", "id": ana}}
        assert (await admin.post("/v1/routing-rules", json=rule)).status_code == 201
        before = (await admin.get("/settings/rules")).text
        async with desk.database.transaction() as tx:
            await disable_staff(tx, ana, now=desk.clock.now())
        after = (await admin.get("/settings/rules")).text
    assert "has left" not in before
    assert "Ana Ruiz has left" in after
    assert f'href="/settings/handover?of={ana}"' in after


async def test_rules_stay_while_somebody_works_on_a_draft(desk: Desk) -> None:
    ana, ole = desk.staff["ana"], desk.staff["ole"]
    async with desk.browsing("ada") as admin:
        rule = {**VIP, "owner": {"kind": "person", "id": ana}}
        assert (await admin.post("/v1/routing-rules", json=rule)).status_code == 201
        book = {"repeat": {"within_days": 7, "share_of_time": 0.5}, "rules": [rule]}
        draft = await admin.put("/v1/routing-rules/draft", json=book)
        assert draft.status_code == 200, draft.text
        refused = await admin.post(f"/v1/staff/{ana}/handover", json={"to": ole, "rules": True})
    assert refused.status_code == 409
    assert "draft" in refused.json()["detail"]


async def test_only_who_leads_hands_over_and_touchpoints_take_settings(desk: Desk) -> None:
    ana, ole = desk.staff["ana"], desk.staff["ole"]
    path = f"/v1/staff/{ana}/handover"
    async with desk.browsing("ole") as staff:
        assert (await staff.post(path, json={"to": ole})).status_code == 403
        assert (await staff.get("/settings/handover")).status_code == 403
    async with desk.browsing("uwe") as lead:
        assert (await lead.post(path, json={"to": ana})).status_code == 422
        whole = await lead.post(path, json={"to": ole, "touchpoints": True})
        assert whole.status_code == 403
        assert (await lead.post(path, json={"to": ole})).status_code == 200
