"""What follow-up answers over HTTP: the task's document, every act, every refusal."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import httpx
import pytest
import pytest_asyncio

from services.loop.tasks.api import ROUTERS
from services.loop.tasks.tables import task_history, tasks
from shared.db.transaction import Database
from shared.identity.defaults import ensure_defaults
from shared.identity.erasure import erase_person
from shared.identity.keys import create_key
from shared.identity.people import create_staff
from shared.identity.person_keys import PersonKeys
from shared.identity.principal import Role, Scope
from shared.sealing import Keyring
from shared.service import Service
from shared.settings import Settings
from shared.web.access import Web
from shared.web.app import create_app
from tests.fakes import ManualClock
from tests.handlers.intake import WAITED, Intake

MEMBERS = {
    "id", "version", "response_id", "state", "flags", "owner", "opened_at",
    "first_contact_due_at", "due_at", "overdue", "scheme", "rule", "customer", "metric",
    "score", "comment", "touchpoint", "segment", "product", "themes", "steps", "attempts",
    "agreement", "actions", "outcome", "history", "clocks", "remedies", "snoozed_until",
    "recognitions", "example", "customer_id",
}  # fmt: skip
CONTACT = {"mode": "phone", "result": "reached", "note": "said sorry"}
AGREEMENT = {
    "asked_for": "a call before",
    "agreed": "a new slot",
    "with": "the customer",
    "at": "2026-03-02T10:00:00+01:00",
}
RESOLUTION = {
    "outcome": "solved",
    "root_cause": {"area": "process", "text": "no slots in the evening"},
    "content": "yes",
    "avoidable": "unknown",
    "lesson": "offer evenings",
}
SECRET = "SENTINEL-4711"


@dataclass
class Api:
    """Follow-up behind its routes, with a key of every scope."""

    intake: Intake
    client: httpx.AsyncClient
    headers: dict[str, str] = field(default_factory=dict)

    async def key(self, *scopes: Scope) -> dict[str, str]:
        """Return the headers of another caller."""
        async with self.intake.database.transaction() as tx:
            _, plain = await create_key(
                tx, source="crm", name="CRM", scopes=scopes, now=self.intake.clock.now()
            )
        return {"Authorization": f"Bearer {plain}"}

    async def has_task(self, **members: Any) -> dict[str, Any]:
        """Take a detractor's answer in and return its task's document."""
        event = await self.intake.response(**members)
        await self.intake.take_in(event)
        task: dict[str, Any]
        (task,) = (await self.get("/v1/tasks", response_id=event.response_id)).json()["data"]
        return task

    async def get(self, path: str, **query: Any) -> httpx.Response:
        return await self.client.get(path, params=query, headers=self.headers)

    async def act(
        self, task: dict[str, Any], name: str, body: Any = None, **headers: str
    ) -> httpx.Response:
        sent = {key.replace("_", "-"): value for key, value in headers.items()}
        return await self.client.post(
            f"/v1/tasks/{task['id']}/{name}", json=body, headers={**self.headers, **sent}
        )


@pytest_asyncio.fixture
async def api(
    database_of: Callable[[str], Database],
    clock: ManualClock,
    keyring: Keyring,
    person_keys: PersonKeys,
) -> AsyncIterator[Api]:
    intake = Intake(
        database=database_of("loop"), clock=clock, keyring=keyring, person_keys=person_keys
    )
    await intake.prepare()
    async with intake.database.transaction() as tx:
        await ensure_defaults(tx, Settings(), now=clock.now())
    app = create_app(
        web=Web(
            settings=Settings(),
            clock=clock,
            database=database_of("shared"),
            keyring=keyring,
            person_keys=person_keys,
        ),
        services=[Service(name="loop", routers=[*ROUTERS], workers=[], resources=intake.loop)],
    )
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        made = Api(intake, client)
        made.headers = await made.key(Scope.TASKS_READ, Scope.TASKS_WRITE)
        yield made
        # The use of a key is written beside the request; not after the database has closed.
        await app.state.gate.keys.settle()


# ------------------------------------------------------------------ the document


async def test_a_task_shows_exactly_the_members_that_are_promised(api: Api) -> None:
    task = await api.has_task(comment=WAITED, customer="c-7", segment="gold")

    assert set(task) == MEMBERS
    assert task["owner"] == {
        "id": "team_customer_care",
        "name": "Customer care",
        "kind": "team",
    }
    assert (task["state"], task["version"], task["flags"]) == ("assigned", 1, [])
    assert (task["metric"], task["score"], task["segment"]) == ("nps", 2, "gold")
    assert task["comment"] == WAITED
    assert task["customer"] == {"id": "c-7"}
    assert task["opened_at"] == "2026-03-02T09:00:00Z"
    assert task["first_contact_due_at"] == "2026-03-02T17:00:00Z"
    assert task["due_at"] == "2026-03-03T09:00:00Z"
    assert task["scheme"] == {"id": "standard", "name": "24 hours", "version": 1}
    assert task["rule"] == "unhappy-customer"
    start, end = task["themes"][0]["evidence"]
    assert WAITED[start:end]
    assert (task["steps"], task["attempts"], task["actions"]) == ([], [], [])
    assert (task["agreement"], task["outcome"]) == (None, None)
    assert [line["act"] for line in task["history"]] == ["open"]

    one = await api.get(f"/v1/tasks/{task['id']}")
    assert one.json() == task
    assert one.headers["etag"] == '"1"'


async def test_a_late_task_says_so(api: Api) -> None:
    task = await api.has_task()
    api.intake.clock.advance(timedelta(hours=24, seconds=1))

    late = (await api.get(f"/v1/tasks/{task['id']}")).json()

    assert late["overdue"] is True
    assert late["flags"] == ["overdue"]


async def test_an_erased_customer_is_shown_as_erased(api: Api) -> None:
    task = await api.has_task(comment=WAITED, customer="c-7")
    await api.act(task, "contacts", CONTACT)
    async with api.intake.database.transaction() as tx:
        ref = api.intake.person_keys.ref("crm", "c-7")
        await erase_person(tx, ref, api.intake.clock.now())

    seen = (await api.get(f"/v1/tasks/{task['id']}")).json()

    assert seen["flags"] == ["erased"]
    assert (seen["customer"], seen["comment"]) == (None, None)
    assert seen["attempts"][0]["note"] is None
    assert (seen["score"], seen["touchpoint"]) == (2, "support-call")


# ------------------------------------------------------------------ acts


async def test_a_task_is_worked_to_its_end_over_http(api: Api) -> None:  # noqa: PLR0915 - one story
    task = await api.has_task(comment=WAITED)

    claimed = await api.act(task, "claim")
    assert claimed.status_code == 200
    assert claimed.headers["etag"] == '"2"'
    assert claimed.json()["owner"]["kind"] == "person"
    assert claimed.json()["owner"]["name"] == "CRM"
    assert (await api.act(task, "claim")).status_code == 409

    no_answer = {"mode": "phone", "result": "no_answer", "note": ""}
    tried = (await api.act(task, "contacts", no_answer)).json()
    assert tried["state"] == "in_progress"
    assert (tried["attempts"][0]["n"], tried["attempts"][0]["note"]) == (1, None)

    waiting = (await api.act(task, "wait", {"for": "customer", "note": "rings back"})).json()
    assert waiting["state"] == "waiting_customer"
    assert (await api.act(task, "wait", {"for": "internal"})).status_code == 409
    assert (await api.act(task, "resume", {})).json()["state"] == "in_progress"

    too_early = await api.act(task, "resolve", RESOLUTION)
    assert too_early.status_code == 409
    assert too_early.json()["missing"] == ["reached_contact", "verify", "eliminate"]
    assert too_early.json()["state"] == "in_progress"

    reached = {
        **CONTACT,
        "next_contact_at": "2026-03-02T15:00:00Z",
        "emotion_before": "angry",
        "emotion_after": "calm",
    }
    talked = (await api.act(task, "contacts", reached)).json()
    assert talked["attempts"][1] | {"by": None} == {
        "n": 2,
        "at": "2026-03-02T09:00:00Z",
        "by": None,
        **reached,
    }
    assert [step["step"] for step in talked["steps"]] == ["respond"]

    e_first = await api.act(task, "steps", {"step": "eliminate"})
    assert e_first.status_code == 409
    assert e_first.json()["missing"] == ["verify"]
    assert (
        await api.act(task, "steps", {"step": "listen", "note": "heard"})
    ).status_code == 200

    agreed = (await api.act(task, "agreement", AGREEMENT)).json()["agreement"]
    assert agreed["by"]["name"] == "CRM"
    assert {**agreed, "by": None} == {**AGREEMENT, "at": "2026-03-02T09:00:00Z", "by": None}

    action = {"what": "book a slot", "owner": "me", "due_at": "2026-03-02T18:00:00Z"}
    promised = (await api.act(task, "actions", action)).json()["actions"]
    assert (promised[0]["n"], promised[0]["what"], promised[0]["done"]) == (
        1,
        "book a slot",
        False,
    )
    assert (await api.act(task, "resolve", RESOLUTION)).json()["missing"] == [
        "eliminate",
        "actions/1",
    ]
    done = (await api.act(task, "actions/1/done")).json()
    assert done["actions"][0]["done_at"] == "2026-03-02T09:00:00Z"
    assert [step["letter"] for step in done["steps"]] == ["R", "L", "V", "E"]
    assert (await api.act(task, "actions/1/done")).status_code == 409
    assert (await api.act(task, "actions/2/done")).status_code == 404
    assert (await api.act(task, "actions/x/done")).status_code == 404

    await api.act(task, "notes", {"text": "all well"})
    resolved = (await api.act(task, "resolve", RESOLUTION)).json()
    assert resolved["state"] == "resolved"
    assert resolved["outcome"]["within_deadline"] is True
    assert {name: resolved["outcome"][name] for name in RESOLUTION} == RESOLUTION
    refused = await api.act(task, "notes", {"text": "too late"})
    assert refused.status_code == 409
    assert refused.json()["state"] == "resolved"
    assert refused.json()["allowed_from"] == [
        "assigned",
        "in_progress",
        "waiting_customer",
        "waiting_internal",
    ]

    reopened = (await api.act(task, "reopen", {"reason": "it broke again"})).json()
    assert (reopened["state"], reopened["outcome"]) == ("in_progress", None)
    closed = (await api.act(task, "close", {"reason": "duplicate", "note": "see above"})).json()
    assert closed["outcome"]["reason"] == "duplicate"
    assert [line["act"] for line in closed["history"]] == [
        "open", "claim", "contacts", "wait", "resume", "contacts", "steps", "agreement",
        "actions", "actions/done", "notes", "resolve", "reopen", "close",
    ]  # fmt: skip
    assert [line["version"] for line in closed["history"]] == list(range(1, 15))


async def test_unreachable_takes_three_tries(api: Api) -> None:
    task = await api.has_task()
    body = {"reason": "unreachable", "note": "rang and rang"}
    for _ in range(3):
        refused = await api.act(task, "close", body)
        assert refused.status_code == 409
        await api.act(task, "contacts", {"mode": "phone", "result": "no_answer", "note": "…"})

    assert (await api.act(task, "close", body)).json()["state"] == "closed"


async def test_a_task_is_given_to_people_and_teams_that_exist(api: Api) -> None:
    async with api.intake.database.transaction() as tx:
        ole = await create_staff(
            tx,
            email="ole@example.test",
            name="Ole Berg",
            role=Role.AGENT,
            now=api.intake.clock.now(),
        )
    task = await api.has_task()

    given = await api.act(task, "assign", {"owner": ole.id, "reason": "knows the customer"})
    assert given.json()["owner"] == {"id": ole.id, "name": "Ole Berg", "kind": "person"}
    line = given.json()["history"][-1]
    assert line["detail"] == {"from": "team_customer_care", "to": ole.id}
    assert line["words"] == {"reason": "knows the customer"}

    back = {"owner": {"id": "team_customer_care", "kind": "team"}, "reason": "on holiday"}
    assert (await api.act(task, "assign", back)).json()["owner"]["kind"] == "team"
    nobody = await api.act(task, "assign", {"owner": SECRET, "reason": "why not"})
    assert nobody.status_code == 422
    assert nobody.json()["errors"][0]["pointer"] == "/owner"
    assert SECRET not in nobody.text


# ------------------------------------------------------------------ versions


async def test_an_act_on_an_older_version_is_refused_with_the_current_one(api: Api) -> None:
    task = await api.has_task()
    assert (await api.act(task, "notes", {"text": "a"}, if_match='"1"')).status_code == 200

    stale = await api.act(task, "notes", {"text": "b"}, if_match='"1"')

    assert stale.status_code == 412
    assert stale.json()["version"] == 2
    for fitting in ('"2"', "*", 'W/"4"'):
        body = {"text": "c"}
        assert (await api.act(task, "notes", body, if_match=fitting)).status_code < 300
    for broken in ("2", '"x"', '"1", "2"', '""'):
        assert (await api.act(task, "notes", {"text": "d"}, if_match=broken)).status_code == 400


async def test_the_same_request_again_acts_once(api: Api) -> None:
    task = await api.has_task()
    first = await api.act(task, "contacts", CONTACT, idempotency_key="call-1")
    again = await api.act(
        task, "contacts", dict(reversed(CONTACT.items())), idempotency_key='"call-1"'
    )
    assert (first.status_code, again.status_code) == (200, 200)
    assert "idempotency-replayed" not in first.headers
    assert again.headers["idempotency-replayed"] == "true"
    assert again.json() == first.json()

    other = {**CONTACT, "result": "no_answer"}
    refused = await api.act(task, "contacts", other, idempotency_key="call-1")
    assert refused.status_code == 422
    assert refused.json()["code"] == "idempotency_key_reused"
    assert (await api.act(task, "contacts", CONTACT, idempotency_key="")).status_code == 400

    # What was refused was not done: it may come again when it is possible.
    resume = await api.act(task, "resume", idempotency_key="resume-1")
    assert resume.status_code == 409
    await api.act(task, "wait", {"for": "customer"})
    assert (await api.act(task, "resume", idempotency_key="resume-1")).status_code == 200
    api.intake.clock.advance(timedelta(days=8))
    late = await api.act(task, "contacts", other, idempotency_key="call-1")
    assert late.json()["attempts"][-1]["n"] == 2


# ------------------------------------------------------------------ refusals


@pytest.mark.parametrize(
    ("act", "body", "pointer", "code"),
    [
        ("contacts", {"mode": "pigeon", "result": "reached"}, "/mode", "not_a_choice"),
        ("contacts", {"mode": "phone"}, "/result", "required"),
        ("contacts", {**CONTACT, "note": 7}, "/note", "not_text"),
        ("contacts", {**CONTACT, "note": "x" * 10_001}, "/note", "too_long"),
        ("contacts", {**CONTACT, "note": "a\u0007b"}, "/note", "control_character"),
        (
            "contacts",
            {**CONTACT, "next_contact_at": "tomorrow"},
            "/next_contact_at",
            "not_a_time",
        ),
        (
            "contacts",
            {**CONTACT, "next_contact_at": "2026-03-02T15:00:00"},
            "/next_contact_at",
            "not_a_time",
        ),
        ("contacts", {**CONTACT, "next_contact_at": 5}, "/next_contact_at", "not_a_time"),
        ("contacts", {**CONTACT, SECRET: 1}, "", "unknown_member"),
        ("contacts", [], "", "not_an_object"),
        ("contacts", None, "", "not_an_object"),
        ("steps", {"step": "document"}, "/step", "not_a_choice"),
        ("steps", {}, "/step", "required"),
        ("agreement", {"agreed": "  "}, "/agreed", "blank"),
        ("actions", {"what": "x", "owner": "me"}, "/due_at", "required"),
        (
            "actions",
            {"what": "x", "owner": "me", "due_at": "2026-02-30T00:00:00Z"},
            "/due_at",
            "not_a_time",
        ),
        ("wait", {"for": "godot"}, "/for", "not_a_choice"),
        ("notes", {"text": ""}, "/text", "blank"),
        ("assign", {"owner": "me"}, "/reason", "required"),
        (
            "resolve",
            {**RESOLUTION, "root_cause": {"area": "fate", "text": "x"}},
            "/root_cause/area",
            "not_a_choice",
        ),
        ("resolve", {**RESOLUTION, "content": True}, "/content", "not_a_choice"),
        ("resolve", {**RESOLUTION, "root_cause": "x"}, "/root_cause", "not_an_object"),
        ("close", {"reason": "bored", "note": "x"}, "/reason", "not_a_choice"),
        ("close", {"reason": "duplicate"}, "/note", "required"),
        ("claim", {"owner": SECRET}, "", "unknown_member"),
        ("reopen", {}, "/reason", "required"),
    ],
)
async def test_a_body_that_does_not_fit_is_named_and_leaves_no_trace(
    api: Api, act: str, body: Any, pointer: str, code: str
) -> None:
    task = await api.has_task()

    refused = (
        await api.client.post(f"/v1/tasks/{task['id']}/{act}", json=body, headers=api.headers)
        if body is not None
        else await api.client.post(
            f"/v1/tasks/{task['id']}/{act}",
            content="null",
            headers={**api.headers, "content-type": "application/json"},
        )
    )

    assert refused.status_code == 422, refused.text
    assert refused.headers["content-type"] == "application/problem+json"
    finding = refused.json()["errors"][0]
    assert (finding["pointer"], finding["code"]) == (pointer, code)
    assert finding["fix"]
    assert SECRET not in refused.text
    assert len(await api.intake.rows(task_history)) == 1
    assert (await api.intake.rows(tasks))[0]["version"] == 1


@pytest.mark.parametrize(
    ("content", "kind", "status"),
    [
        (b"{", "application/json", 400),
        (b"", "application/json", 400),
        (b'{"text": "a", "text": "b"}', "application/json", 400),
        (b'{"text": "\\ud800"}', "application/json", 422),
        (b'{"text": "a\\u0000b"}', "application/json", 422),
        (b"text=a", "application/x-www-form-urlencoded", 415),
        (b'{"text": "' + b"x" * 256_000 + b'"}', "application/json", 413),
    ],
)
async def test_a_body_that_cannot_be_read_is_refused(
    api: Api, content: bytes, kind: str, status: int
) -> None:
    task = await api.has_task()

    refused = await api.client.post(
        f"/v1/tasks/{task['id']}/notes",
        content=content,
        headers={**api.headers, "content-type": kind},
    )

    assert refused.status_code == status
    assert len(await api.intake.rows(task_history)) == 1


async def test_what_is_not_there_or_not_allowed_says_so(api: Api) -> None:
    task = await api.has_task()
    unknown = {"id": "tsk_unknown"}

    assert (await api.get("/v1/tasks/tsk_unknown")).status_code == 404
    assert (await api.act(unknown, "notes", {"text": "a"})).status_code == 404
    assert (await api.act(task, "dance", {})).status_code == 404
    reading = await api.key(Scope.TASKS_READ)
    other = await api.key(Scope.THEMES_READ)
    at = f"/v1/tasks/{task['id']}"
    assert (await api.client.get(at, headers=reading)).status_code == 200
    assert (await api.client.get(at, headers=other)).status_code == 403
    assert (await api.client.post(f"{at}/claim", headers=reading)).status_code == 403
    assert (await api.client.get(at)).status_code == 401
    assert (await api.client.get("/v1/tasks")).status_code == 401


async def test_a_key_keeps_its_name_on_an_action_when_the_task_passes_on(api: Api) -> None:
    task = await api.has_task()
    action = {"what": "book a slot", "owner": "me", "due_at": "2026-03-02T18:00:00Z"}
    await api.act(task, "claim")
    await api.act(task, "actions", action)

    passed_on = {"owner": "team_customer_care", "reason": "holiday"}
    answer = (await api.act(task, "assign", passed_on)).json()
    assert answer["owner"]["name"] == "Customer care"
    assert answer["actions"][0]["owner"]["name"] == "CRM"


# ------------------------------------------------------------------ lists


async def test_lists_are_narrowed_by_the_query(api: Api) -> None:
    first = await api.has_task(touchpoint="door", comment=WAITED)
    second = await api.has_task(customer="c-2")
    mine = (await api.act(second, "claim")).json()

    async def ids(**query: Any) -> list[str]:
        answer = await api.get("/v1/tasks", **query)
        assert answer.status_code == 200, answer.text
        return [task["id"] for task in answer.json()["data"]]

    assert await ids() == [first["id"], second["id"]]
    assert await ids(owner="me") == [mine["id"]]
    assert await ids(owner=mine["owner"]["id"]) == [mine["id"]]
    assert await ids(owner="team_customer_care") == [first["id"]]
    assert await ids(touchpoint="door") == [first["id"]]
    assert await ids(theme=first["themes"][0]["id"]) == [first["id"]]
    assert await ids(response_id=second["response_id"]) == [second["id"]]
    assert await ids(state="open") == [first["id"], second["id"]]
    assert await ids(state="closed") == await ids(state="ended") == []
    assert await ids(overdue="true") == []
    assert len(await ids(overdue="false")) == 2


async def test_a_list_goes_on_by_its_cursor(api: Api) -> None:
    expected = [(await api.has_task(customer=f"c-{n}"))["id"] for n in range(5)]
    found: list[str] = []
    more: list[bool] = []
    cursor = None
    while not more or more[-1]:
        query = {"limit": 2} | ({"cursor": cursor} if cursor else {})
        part = (await api.get("/v1/tasks", **query)).json()
        found += [task["id"] for task in part["data"]]
        more.append(part["has_more"])
        cursor = part["next_cursor"]

    assert found == expected
    assert (more, cursor) == ([True, True, False], None)
    first = (await api.get("/v1/tasks", limit=2)).json()["next_cursor"]
    assert (await api.get("/v1/tasks", state="open", cursor=first)).status_code == 422


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("state=lost", 422),
        ("overdue=maybe", 422),
        ("limit=0", 422),
        ("limit=201", 422),
        ("cursor=abc", 422),
        ("state=open&state=closed", 400),
        ("owner=a&owner=b", 400),
        ("touchpoint=%00", 400),
    ],
)
async def test_a_query_that_makes_no_sense_is_refused(
    api: Api, query: str, status: int
) -> None:
    refused = await api.client.get(f"/v1/tasks?{query}", headers=api.headers)

    assert refused.status_code == status
    assert refused.headers["content-type"] == "application/problem+json"


async def test_every_act_describes_its_body(api: Api) -> None:
    document = (await api.client.get("/openapi.json")).json()

    body = document["paths"]["/v1/tasks/{task_id}/resolve"]["post"]["requestBody"]
    schema = body["content"]["application/json"]["schema"]
    assert schema["properties"]["root_cause"]["properties"]["area"]["enum"] == [
        "people",
        "process",
        "customer",
        "finance",
    ]
    assert "$defs" not in str(document["paths"])
