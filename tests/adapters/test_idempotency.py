"""Every POST of the interface acts once under its Idempotency-Key, on both databases.

The list of routes comes from the application. Whoever adds one says in ``SAMPLES`` how it is
called; everything else is the same for all of them.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import httpx
import pytest
import pytest_asyncio
from sqlalchemy import select

from services.ingest.tables import PLUMBING as INGEST
from services.loop.tables import PLUMBING as LOOP
from services.loop.themes.domain.discoveries import State
from services.loop.themes.domain.outer_items import State as ItemState
from services.loop.themes.handlers import proposing
from services.notify.tables import PLUMBING as NOTIFY
from shared.db import requests
from shared.db.engine import Engines
from shared.identity.erasure import erase_person
from shared.identity.principal import Scope
from shared.sealing import Keyring
from shared.web.idempotency import idempotency_key
from tests.fakes import ManualClock
from tests.nights import plant
from tests.plumbing import SECRET
from tests.rises import put_proposal
from tests.whole_house import WholeHouse, api_routes, open_house

CANARY = "canary7f3a"
CONTACT = {"mode": "phone", "result": "reached", "note": CANARY}
AGREED = {"agreed": CANARY}
CAUSE = {"area": "process", "text": CANARY}


@dataclass(frozen=True)
class Sample:
    """How a route is called; ``before`` are acts that make a task ready for it."""

    body: Any = None
    other: Any = None
    """A body of another meaning; without one another thing in the path must do, if any."""
    before: Sequence[tuple[str, Any]] = ()


MONDAYS = {"time_zone": "UTC", "week": {"monday": [{"start": "09:00", "end": "17:00"}]}}
SHORT = {
    "first_contact_within_hours": 2,
    "resolve_within_hours": 8,
    "attempts": {"number": 3, "days": 1, "channels": 1},
}
REMEDIES = [
    {
        "id": "voucher",
        "name": "Voucher",
        "kind": "money",
        "limit": {"amount": 30, "currency": "EUR"},
    }
]
BEYOND = {"remedy": "voucher", "value": {"amount": "45.50", "currency": "EUR"}}
RESOLUTION = {"outcome": "solved", "root_cause": CAUSE, "content": "yes", "avoidable": "no"}
STAFF = "@staff"
"""Stands in a body for the id of somebody who works there."""
BOOK: dict[str, Any] = {"repeat": {"within_days": 7, "share_of_time": 0.5}, "rules": []}
DONE = (("contacts", CONTACT), ("agreement", AGREED), ("steps", {"step": "eliminate"}))
SAMPLES: dict[str, Sample] = {
    "/v1/responses": Sample({"external_id": "A", "score": 2}, {"external_id": "A", "score": 3}),
    "/v1/responses/batch": Sample(
        [{"external_id": "B", "score": 2}], [{"external_id": "B", "score": 3}]
    ),
    **dict.fromkeys(
        ("/v1/hooks/{source}", "/v1/hooks/{source}/{token}"),
        Sample({"id": CANARY, "score": 2}, {"id": CANARY, "score": 3}),
    ),
    **dict.fromkeys(
        ("/v1/segments", "/v1/products", "/v1/reasons"),
        Sample({"code": "a"}, {"code": "a", "labels": {"en": "A"}}),
    ),
    "/v1/reasons/starter": Sample({"set": "bank"}),
    "/v1/departments": Sample({"name": "Sales"}, {"name": "Service"}),
    "/v1/touchpoints/{code}/owners": Sample(
        {"owner": {"id": "team_customer_care", "kind": "team"}},
        {
            "owner": {"id": "team_customer_care", "kind": "team"},
            "valid_until": "2027-01-01T00:00:00Z",
        },
    ),
    "/v1/outer-items/{item_id}/accept": Sample(
        {}, {"owner": {"id": "team_customer_care", "kind": "team"}}
    ),
    "/v1/outer-items/{item_id}/dismiss": Sample({"reason": "known"}, {"reason": "one_off"}),
    "/v1/outer-items/{item_id}/merge": Sample({"into": "oit_goods"}, {"into": "oit_digital"}),
    "/v1/outer-items/{item_id}/reopen": Sample(),
    "/v1/discoveries/{discovery_id}/adopt": Sample({"name": CANARY}, {"name": "another"}),
    "/v1/discoveries/{discovery_id}/dismiss": Sample(),
    "/v1/discoveries/{discovery_id}/restore": Sample(),
    "/v1/keys": Sample(
        {"source": "shop", "name": "k", "scopes": ["responses:write"]},
        {"source": "shop", "name": "k", "scopes": ["responses:read"]},
    ),
    "/v1/keys/{key_id}/rotate": Sample(),
    "/v1/person-requests": Sample(
        {"kind": "export", "person": {"email": f"{CANARY}@example.org"}},
        {"kind": "erasure", "person": {"email": f"{CANARY}@example.org"}},
    ),
    "/v1/person-requests/find": Sample(
        {"person": {"email": f"{CANARY}@example.org"}},
        {"person": {"email": f"{CANARY}@example.com"}},
    ),
    "/v1/sources/{name}/secrets": Sample({"secret": CANARY}, {"secret": "another one"}),
    "/v1/sources/{name}/try": Sample({"payload": {"id": 1}}, {"payload": {"id": 2}}),
    "/v1/sources/{name}/payloads/{payload_id}/receive": Sample(),
    "/v1/touchpoints": Sample({"code": "door"}, {"code": "door", "name": "Door"}),
    "/v1/webhooks": Sample(
        {"url": "https://hooks.example.org/a"}, {"url": "https://hooks.example.org/b"}
    ),
    "/v1/webhooks/{webhook_id}/test": Sample(),
    "/v1/webhooks/{webhook_id}/rotate": Sample(),
    "/v1/webhooks/{webhook_id}/enable": Sample(),
    "/v1/webhooks/{webhook_id}/recover": Sample(
        {"since": "2026-03-01T00:00:00Z"}, {"since": "2026-03-02T00:00:00Z"}
    ),
    "/v1/deliveries/{delivery_id}/resend": Sample(),
    "/v1/absences": Sample(
        {"staff_id": STAFF}, {"staff_id": STAFF, "ends_at": "2026-04-01T00:00:00Z"}
    ),
    "/v1/calendars": Sample(
        {"id": "a", "name": "A", **MONDAYS}, {"id": "b", "name": "B", **MONDAYS}
    ),
    "/v1/schemes": Sample({"id": "a", "name": "A", **SHORT}, {"id": "b", "name": "B", **SHORT}),
    "/v1/routing-rules": Sample(
        {"id": "a", "name": "A", "scores": {"nps": [0, 3]}, "scheme": "standard"},
        {"id": "b", "name": "B", "scores": {"nps": [0, 3]}, "scheme": "standard"},
    ),
    "/v1/routing-rules/draft/publish": Sample(),
    "/v1/routing-rules/versions/{version}/restore": Sample(),
    "/v1/routing-rules/try": Sample({}, {"rules": BOOK}),
    "/v1/taxonomy/draft/publish": Sample(),
    "/v1/taxonomy/versions/{version}/restore": Sample(),
    "/v1/taxonomy/preview": Sample({"themes": []}, {"themes": [{"id": "a"}]}),
    "/v1/staff/{staff_id}/handover": Sample(
        {"to": "team_customer_care"}, {"to": "team_customer_care", "touchpoints": True}
    ),
    **dict.fromkeys(
        (
            "/v1/taxonomy/replays",
            "/v1/taxonomy/replays/{replay_id}/pause",
            "/v1/taxonomy/replays/{replay_id}/resume",
            "/v1/taxonomy/replays/{replay_id}/stop",
        ),
        Sample(),
    ),
    "/v1/taxonomy/proposals/{proposal_id}/accept": Sample(),
    "/v1/taxonomy/proposals/{proposal_id}/reject": Sample(),
    "/v1/responses/{response_id}/theme-corrections": Sample(
        {"theme_id": "waiting", "verdict": "also"}, {"theme_id": "waiting", "verdict": "not"}
    ),
    "/v1/tasks/next": Sample(),
    "/v1/tasks/{task_id}/remedies": Sample(BEYOND, {"remedy": "voucher"}),
    "/v1/tasks/{task_id}/approve": Sample(before=(("remedies", BEYOND),)),
    "/v1/tasks/{task_id}/decline": Sample({"reason": CANARY}, before=(("remedies", BEYOND),)),
    "/v1/tasks/{task_id}/snooze": Sample(
        {"until": "2026-03-05T09:00:00Z"}, {"until": "2026-03-06T09:00:00Z"}
    ),
    "/v1/tasks/{task_id}/recognitions": Sample(
        {"to": STAFF, "note": CANARY}, {"to": STAFF, "note": "x"}
    ),
    "/v1/tasks/{task_id}/confirm": Sample(before=(*DONE, ("resolve", RESOLUTION))),
    "/v1/tasks/{task_id}/example": Sample(before=(*DONE, ("resolve", RESOLUTION))),
    "/v1/tasks/{task_id}/claim": Sample(),
    "/v1/tasks/{task_id}/assign": Sample(
        {"owner": "me", "reason": CANARY}, {"owner": "me", "reason": "x"}
    ),
    "/v1/tasks/{task_id}/contacts": Sample(CONTACT, {**CONTACT, "result": "no_answer"}),
    "/v1/tasks/{task_id}/steps": Sample({"step": "respond"}, {"step": "listen"}),
    "/v1/tasks/{task_id}/agreement": Sample(AGREED, {"agreed": "x"}, before=DONE[:1]),
    "/v1/tasks/{task_id}/actions": Sample(
        {"what": CANARY, "owner": "me", "due_at": "2026-03-05T09:00:00Z"},
        {"what": CANARY, "owner": "me", "due_at": "2026-03-06T09:00:00Z"},
    ),
    "/v1/tasks/{task_id}/actions/{n}/done": Sample(
        before=(
            *DONE[:2],
            ("actions", {"what": "x", "owner": "me", "due_at": "2026-03-05T09:00:00Z"}),
        )
    ),
    "/v1/tasks/{task_id}/wait": Sample({"for": "customer"}, {"for": "internal"}, DONE[:1]),
    "/v1/tasks/{task_id}/resume": Sample(before=(*DONE[:1], ("wait", {"for": "customer"}))),
    "/v1/tasks/{task_id}/notes": Sample({"text": CANARY}, {"text": "x"}),
    "/v1/tasks/{task_id}/resolve": Sample(
        {"outcome": "solved", "root_cause": CAUSE, "content": "yes", "avoidable": "no"},
        {"outcome": "partly", "root_cause": CAUSE, "content": "yes", "avoidable": "no"},
        before=DONE,
    ),
    "/v1/tasks/{task_id}/close": Sample(
        {"reason": "not_needed", "note": CANARY}, {"reason": "duplicate", "note": CANARY}
    ),
    "/v1/tasks/{task_id}/reopen": Sample(
        {"reason": CANARY},
        {"reason": "x"},
        before=(("close", {"reason": "not_needed", "note": "x"}),),
    ),
}


@dataclass
class Scene:
    """A house with two of everything that stands in a path."""

    house: WholeHouse
    client: httpx.AsyncClient
    paths: dict[str, dict[str, str]]

    async def send(self, path: str, body: Any, **headers: str) -> httpx.Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        if STAFF in json.dumps(body):
            body = json.loads(json.dumps(body).replace(STAFF, await self.staff()))
        if body is None:
            return await self.client.post(path, headers=named)
        return await self.client.post(path, json=body, headers=named)

    async def task(self, external_id: str) -> str:
        posted = await self.send(
            "/v1/responses",
            {
                "external_id": external_id,
                "score": 1,
                "comment": CANARY,
                "customer": {"id": external_id, "name": CANARY},
            },
        )
        assert posted.status_code == 202
        await self.house.settle()
        response = posted.json()["id"]
        listed = await self.client.get("/v1/tasks", params={"response_id": response})
        task: str = listed.json()["data"][0]["id"]
        return task

    async def staff(self) -> str:
        listed = await self.client.get("/v1/staff")
        one: str = listed.json()["data"][0]["id"]
        return one

    async def ready(self, sample: Sample, task: str) -> None:
        for act, body in sample.before:
            done = await self.send(f"/v1/tasks/{task}/{act}", body)
            assert done.status_code == 200, done.text

    async def rows(self) -> dict[str, int]:
        return {
            name: number
            for name, number in (await self.house.rows()).items()
            # What a source sends is counted however often it comes.
            if name != "ingest_tallies"
        }


@pytest_asyncio.fixture
async def scene(engines: Engines, clock: ManualClock, keyring: Keyring) -> AsyncIterator[Scene]:
    settings = {"bootstrap_admin": f"ada@example.org:{'long enough ' * 3}"}
    async with open_house(engines, clock, keyring, **settings) as house, house.client() as one:
        made = Scene(house, one, {})
        yield made


async def _items(scene: Scene, template: str) -> list[str]:
    """Propose to look into two themes, and into two that these can be made a part of."""
    now, database = scene.house.clock.now(), scene.house.database
    state: ItemState = "accepted" if template.endswith("/reopen") else "proposed"
    for theme in ("goods", "digital"):
        await put_proposal(database, theme, now=now, item_id=f"oit_{theme}")
    return [
        await put_proposal(database, theme, now=now, state=state)
        for theme in ("waiting", "price")
    ]


async def _paths(scene: Scene, template: str) -> list[str]:  # noqa: C901, PLR0911, PLR0912, PLR0915 - one a kind
    """Return two addresses of a route, of two things of the same kind."""
    if template.rpartition("/")[2] in {"remedies", "approve", "decline"}:
        changed = await scene.client.patch("/v1/schemes/standard", json={"remedies": REMEDIES})
        assert changed.status_code == 200, changed.text
    if "/routing-rules/" in template:
        for _ in range(2 if "{version}" in template else 1):
            drafted = await scene.client.put("/v1/routing-rules/draft", json=BOOK)
            assert drafted.status_code == 200, drafted.text
            if "{version}" in template:
                await scene.send("/v1/routing-rules/draft/publish", None)
    if template.startswith(("/v1/taxonomy/draft", "/v1/taxonomy/versions")):
        for path in ("/v1/taxonomy", "/v1/taxonomy/draft"):
            written = await scene.client.put(path, json={"themes": [{"id": "a"}]})
            assert written.status_code == 200, written.text
    if "{version}" in template:
        return [template.replace("{version}", one) for one in ("1", "2")]
    if "{staff_id}" in template:
        return [template.replace("{staff_id}", await scene.staff())] * 2
    if template == "/v1/tasks/next":
        await scene.task("next")
    if "{task_id}" in template:
        tasks = [await scene.task(f"task-{n}") for n in (1, 2)]
        return [template.replace("{task_id}", one).replace("{n}", "1") for one in tasks]
    if "{webhook_id}" in template:
        made = [
            await scene.send("/v1/webhooks", {"url": f"https://hooks.example.org/{n}"})
            for n in (1, 2)
        ]
        return [template.replace("{webhook_id}", one.json()["id"]) for one in made]
    if "{delivery_id}" in template:
        for n in (1, 2):
            await scene.task(f"mail-{n}")
        listed = (await scene.client.get("/v1/deliveries?state=delivered")).json()["data"]
        return [template.replace("{delivery_id}", one["id"]) for one in listed[:2]]
    if "{key_id}" in template:
        key = {"source": "shop", "name": "k", "scopes": ["responses:write"]}
        keys = [(await scene.send("/v1/keys", key)).json()["id"] for _ in (1, 2)]
        return [template.replace("{key_id}", one) for one in keys]
    if "{payload_id}" in template:
        for n in (1, 2):
            refused = await scene.send("/v1/responses", {"external_id": f"R-{n}", "score": "2"})
            assert refused.status_code == 422
        listed = (await scene.client.get("/v1/sources/crm/payloads")).json()["data"]
        template = template.replace("{name}", "crm")
        return [template.replace("{payload_id}", one["id"]) for one in listed]
    if "{discovery_id}" in template:
        state: State = "dismissed" if template.endswith("/restore") else "shown"
        now = scene.house.clock.now()
        planted = [
            await plant(scene.house.database, label, [], now=now, state=state)
            for label in ("lockers", "zippers")
        ]
        return [template.replace("{discovery_id}", one) for one in planted]
    if "{item_id}" in template:
        return [template.replace("{item_id}", one) for one in await _items(scene, template)]
    if "{code}" in template:
        await scene.send("/v1/touchpoints", {"code": "door"})
        return [template.replace("{code}", "door")] * 2
    if "{source}" in template:
        token = scene.house.rights["authorization"].removeprefix("Bearer ")
        return [template.replace("{source}", "crm").replace("{token}", token)] * 2
    if "{name}" in template:
        return [template.replace("{name}", name) for name in ("crm", "shop")]
    if "{response_id}" in template:
        for n in (1, 2):
            await scene.task(f"R-{n}")
        listed = (await scene.client.get("/v1/responses")).json()["data"]
        return [template.replace("{response_id}", one["id"]) for one in listed[:2]]
    if "{proposal_id}" in template:
        async with scene.house.database.transaction() as tx:
            found: list[Any] = [
                ("waiting", "en", "add", one, 3, 0) for one in ("kiosk", "counter")
            ]
            await proposing.propose(tx, found, now=scene.house.clock.now())
        listed = (await scene.client.get("/v1/taxonomy/proposals")).json()["data"]
        return [template.replace("{proposal_id}", one["id"]) for one in listed]
    if "{replay_id}" in template:
        over = (await scene.send("/v1/taxonomy/replays", None)).json()["id"]
        await scene.send(f"/v1/taxonomy/replays/{over}/stop", None)
        running = (await scene.send("/v1/taxonomy/replays", None)).json()["id"]
        return [template.replace("{replay_id}", one) for one in (running, over)]
    assert "{" not in template, f"say here what stands in {template}"
    return [template, template]


@pytest.mark.parametrize("template", SAMPLES)
async def test_a_post_acts_once_and_is_answered_as_the_first_time(
    scene: Scene, template: str
) -> None:
    sample = SAMPLES[template]
    path, another = await _paths(scene, template)
    if "{task_id}" in template:
        await scene.ready(sample, path.split("/")[3])
        await scene.ready(sample, another.split("/")[3])

    first = await scene.send(path, sample.body, idempotency_key=CANARY)
    assert first.status_code < 300, first.text
    rows = await scene.rows()
    if "{task_id}" in template:
        # What happens in between does not change what was answered.
        await scene.send(f"/v1/tasks/{path.split('/')[3]}/notes", {"text": "meanwhile"})
        rows = await scene.rows()
    scene.house.clock.advance(timedelta(hours=1))
    again = await scene.send(path, sample.body, idempotency_key=f'"{CANARY}"')

    assert (again.status_code, again.content) == (first.status_code, first.content)
    assert again.headers["idempotency-replayed"] == "true"
    assert "idempotency-replayed" not in first.headers
    for name in ("etag", "location"):
        assert again.headers.get(name) == first.headers.get(name)
    assert await scene.rows() == rows

    other = (path, sample.other) if sample.other is not None else (another, sample.body)
    if other == (path, sample.body):
        return  # there is only one thing that can be asked for
    refused = await scene.send(*other, idempotency_key=CANARY)
    assert refused.status_code == 422, refused.text
    assert refused.json()["code"] == "idempotency_key_reused"
    assert await scene.rows() == rows

    for bad in ("", "x" * 256, '"open'):
        assert (await scene.send(path, sample.body, idempotency_key=bad)).status_code == 400
    assert CANARY not in json.dumps(await _stored(scene), default=repr)


async def _stored(scene: Scene) -> list[Any]:
    async with scene.house.database.reading() as view:
        return [
            tuple(row)
            for plumbing in (INGEST, LOOP, NOTIFY)
            for row in await view.all(select(plumbing.requests))
        ]


async def test_every_post_of_the_interface_is_tried_here(scene: Scene) -> None:
    """A route without the header's dependency, or without a sample, fails here."""
    posts = [one for one in api_routes(scene.house.app) if one.method == "POST"]

    assert [one.path for one in posts if not one.depends_on(idempotency_key)] == []
    assert {one.path for one in posts} == set(SAMPLES)


async def test_a_refusal_is_not_remembered(scene: Scene) -> None:
    """The same request may come again, and is looked at afresh."""
    task = await scene.task("A-1")
    path = f"/v1/tasks/{task}/resume"

    early = await scene.send(path, None, idempotency_key="k")
    await scene.send(f"/v1/tasks/{task}/contacts", CONTACT)
    await scene.send(f"/v1/tasks/{task}/wait", {"for": "customer"})
    now = await scene.send(path, None, idempotency_key="k")

    assert (early.status_code, now.status_code) == (409, 200)
    assert "idempotency-replayed" not in now.headers


async def test_ten_at_once_under_one_key_act_once(scene: Scene) -> None:
    body = {"url": "https://hooks.example.org/x"}

    answers = await asyncio.gather(
        *(scene.send("/v1/webhooks", body, idempotency_key="k") for _ in range(10))
    )

    assert len({answer.content for answer in answers}) == 1
    assert [answer.headers.get("idempotency-replayed") for answer in answers].count("true") == 9
    assert (await scene.house.rows())["notify_webhooks"] == 1


async def test_whoever_waits_too_long_for_the_same_request_is_told_to_come_again(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    if scene.house.database.dialect != "postgresql":
        pytest.skip("on SQLite whatever writes waits for its turn as a whole")
    monkeypatch.setattr(requests, "PATIENCE", 0.2)
    body = {"url": "https://hooks.example.org/x"}
    begun, may_end = asyncio.Event(), asyncio.Event()
    keep = requests.keep

    async def keeps_late(*given: Any, **named: Any) -> None:
        begun.set()
        await may_end.wait()
        await keep(*given, **named)

    monkeypatch.setattr(requests, "keep", keeps_late)
    async with asyncio.TaskGroup() as group:
        first = group.create_task(scene.send("/v1/webhooks", body, idempotency_key="k"))
        await begun.wait()
        second = await scene.send("/v1/webhooks", body, idempotency_key="k")
        may_end.set()
    done = first.result()
    third = await scene.send("/v1/webhooks", body, idempotency_key="k")

    assert second.status_code == 409, second.text
    assert second.json()["type"].endswith("request-in-progress")
    assert second.headers["retry-after"] == "1"
    assert done.status_code == 201
    assert (third.content, third.headers["idempotency-replayed"]) == (done.content, "true")


async def test_a_key_is_the_callers_own_and_outlives_an_exchange_of_api_keys(
    scene: Scene,
) -> None:
    body = {"url": "https://hooks.example.org/x"}
    first = await scene.send("/v1/webhooks", body, idempotency_key="k")

    exchanged = await scene.house.key(*Scope, source="crm")
    again = await scene.send("/v1/webhooks", body, idempotency_key="k", **exchanged)
    stranger = await scene.house.key(*Scope, source="shop")
    own = await scene.send("/v1/webhooks", body, idempotency_key="k", **stranger)

    assert again.content == first.content
    assert own.json()["id"] != first.json()["id"]


async def test_an_answer_is_kept_for_seven_days_and_goes_with_the_person(
    scene: Scene,
) -> None:
    task = await scene.task("A-1")
    path = f"/v1/tasks/{task}/notes"
    first = await scene.send(path, {"text": CANARY}, idempotency_key="k")
    assert CANARY in first.text

    async with scene.house.database.transaction() as tx:
        ref = await tx.scalar(select(LOOP.requests.c.person_ref))
        await erase_person(tx, ref, scene.house.clock.now())
    erased = await scene.send(path, {"text": CANARY}, idempotency_key="k")
    scene.house.clock.advance(timedelta(days=7))
    late = await scene.send(path, {"text": "b"}, idempotency_key="k")

    assert erased.headers["idempotency-replayed"] == "true"
    assert CANARY not in erased.text
    assert erased.json()["version"] == first.json()["version"]
    assert "idempotency-replayed" not in late.headers
    assert late.json()["version"] == first.json()["version"] + 1


async def test_a_key_is_found_while_the_secret_is_being_replaced(
    engines: Engines, clock: ManualClock, keyring: Keyring
) -> None:
    body = {"url": "https://hooks.example.org/x"}
    async with open_house(engines, clock, keyring) as house, house.client() as client:
        first = await client.post("/v1/webhooks", json=body, headers={"idempotency-key": "k"})
    replaced = Keyring("another secret of forty characters or so", SECRET)
    async with open_house(engines, clock, replaced) as house, house.client() as client:
        again = await client.post("/v1/webhooks", json=body, headers={"idempotency-key": "k"})
        other = await client.post(
            "/v1/webhooks",
            json={"url": "https://hooks.example.org/y"},
            headers={"idempotency-key": "k"},
        )

    assert again.content == first.content
    assert other.status_code == 422
