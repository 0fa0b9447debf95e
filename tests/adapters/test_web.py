"""The frame around every route, through a small application of its own."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any

import httpx
import pytest
import pytest_asyncio
from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from structlog.testing import capture_logs

from shared.db.engine import Engines
from shared.db.transaction import Database
from shared.errors import (
    Conflict,
    Finding,
    Forbidden,
    Invalid,
    Malformed,
    NotFound,
    Stale,
    TooMany,
    TryLater,
    Unreadable,
)
from shared.identity import keys, passwords, people, sessions
from shared.identity.defaults import ensure_defaults
from shared.identity.person_keys import PersonKeys
from shared.identity.principal import Principal, Role, Scope
from shared.sealing import Keyring
from shared.service import Service
from shared.settings import Settings
from shared.web import health
from shared.web.access import Web, resources
from shared.web.app import create_app
from shared.web.auth import PUBLIC_ROUTES, own_source, requires, requires_any, requires_page
from shared.web.health import Report, tolerated
from shared.web.middleware import BODY_LIMIT
from shared.web.paging import Paged, decode_cursor, encode_cursor, listed
from shared.web.sign_in import local_path
from tests.fakes import ManualClock
from tests.plumbing import _create_all

CANARY = "Ca9aryQ7"
PASSWORD = "correct horse battery"
HTML = {"accept": "text/html,application/xhtml+xml;q=0.9"}

# ------------------------------------------------------------------ a small service

toys = APIRouter()


@dataclass(frozen=True)
class Toys:
    names: tuple[str, ...] = ("ball", "kite", "top")


class Toy(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")

    size: int = Field(ge=0, le=10)
    note: str = ""


Reader = Annotated[Principal, Depends(requires(Scope.TASKS_READ))]
Poster = Annotated[Principal, Depends(requires(Scope.RESPONSES_WRITE))]
Either = Annotated[
    Principal, Depends(requires_any(Scope.RESPONSES_READ, Scope.RESPONSES_WRITE))
]
Visitor = Annotated[Principal, Depends(requires_page(Scope.TASKS_READ))]

ERRORS = {
    "unreadable": Unreadable("Cannot be read."),
    "forbidden": Forbidden("Not you."),
    "not-found": NotFound("Nothing."),
    "conflict": Conflict("Not now.", extra={"state": "closed"}),
    "stale": Stale("Too late.", extra={"version": 4}),
    "invalid": Invalid("Wrong.", [Finding(pointer="/size", code="odd", detail="odd")] * 30),
    "too-many": TooMany("Slow down.", retry_after=7),
    "try-later": TryLater("the database cannot answer right now", retry_after=3),
    "internal": RuntimeError(f"{CANARY} was here"),
    "malformed": Malformed(f"{CANARY} was here"),
}


@toys.get("/v1/toys")
async def list_toys(request: Request, caller: Reader, page: Paged) -> dict[str, object]:
    here = request.app.state.web
    names = resources(request, Toys).names
    after = page.after(here.keyring, of="toys")
    rest = [name for name in names if after is None or name > after[0]]
    return listed(
        rest[: page.limit + 1],
        page,
        show=lambda name: {"name": name},
        key=lambda name: [name],
        keyring=here.keyring,
        of="toys",
    )


@toys.post("/v1/toys")
async def post_toy(caller: Poster, toy: Toy) -> dict[str, object]:
    return {"size": toy.size, "by": caller.id}


@toys.post("/v1/raw")
@toys.post("/v1/responses/batch")
async def post_raw(request: Request, caller: Poster) -> dict[str, object]:
    return {"bytes": len(await request.body())}


@toys.post("/v1/acts")
async def act(caller: Reader) -> dict[str, object]:
    return {"by": caller.id}


@toys.put("/v1/acts")
async def put_act(caller: Reader) -> dict[str, object]:
    return {}


@toys.get("/v1/sources")
async def sources(caller: Either) -> dict[str, object]:
    return {"source": own_source(caller)}


@toys.get("/v1/errors/{name}")
@toys.get("/broken/{name}")
async def fail(name: str) -> None:
    raise ERRORS[name]


@toys.get("/")
async def start(caller: Visitor) -> dict[str, object]:
    return {"name": caller.name}


@toys.get("/queue")
async def queue(caller: Visitor) -> dict[str, object]:
    return {"name": caller.name}


@toys.post("/queue")
async def change_queue(caller: Visitor) -> dict[str, object]:
    return {"name": caller.name}


# ------------------------------------------------------------------ fixtures


@dataclass
class House:
    web: Web
    clock: ManualClock
    database: Database
    app: Any

    def client(self, *, base: str | None = None, address: str = "127.0.0.1", **more: Any):
        return httpx.AsyncClient(
            transport=httpx.ASGITransport(self.app, client=(address, 5000)),
            base_url=base or self.web.settings.public_url,
            **more,
        )

    async def key(self, *scopes: Scope, source: str = "crm") -> dict[str, str]:
        async with self.database.transaction() as tx:
            _, plain = await keys.create_key(
                tx, source=source, name=source, scopes=scopes, now=self.clock.now()
            )
        return {"authorization": f"Bearer {plain}"}

    async def person(self, role: Role = Role.STAFF, email: str = "ann@example.test") -> str:
        hashed = await passwords.hash_password(PASSWORD)
        async with self.database.transaction() as tx:
            made = await people.create_staff(
                tx,
                email=email,
                name="Ann",
                role=role,
                now=self.clock.now(),
                password_hash=hashed,
            )
        return made.id

    async def session(self, role: Role = Role.STAFF) -> dict[str, str]:
        person = await self.person(role)
        async with self.database.transaction() as tx:
            token = await sessions.start(tx, person, now=self.clock.now())
        name = "__Host-session" if "https" in self.web.settings.public_url else "session"
        return {"cookie": f"{name}={token}"}


async def build(tmp_path: Path, **more: Any) -> tuple[House, Engines]:
    url = f"sqlite+aiosqlite:///{tmp_path}/closed-loop.db"
    await _create_all(url)
    engines = Engines.open(url)
    checks = more.pop("checks", {})
    settings = Settings.model_validate(
        {"database_url": url, "public_url": "http://127.0.0.1:8000", **more}
    )
    clock, database, keyring = ManualClock(), Database(engines), Keyring("s" * 40)
    web = Web(
        settings=settings,
        clock=clock,
        database=database,
        keyring=keyring,
        person_keys=PersonKeys(keyring),
    )
    async with database.transaction() as tx:
        await ensure_defaults(tx, settings, clock.now())
    service = Service(name="toys", routers=[toys], workers=[], resources=Toys())
    app = create_app(web=web, services=[service], checks=checks)
    return House(web=web, clock=clock, database=database, app=app), engines


@pytest_asyncio.fixture
async def house(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[House]:
    built, engines = await build(tmp_path, **getattr(request, "param", {}))
    yield built
    await built.app.state.gate.keys.settle()
    await engines.close()


@pytest_asyncio.fixture
async def client(house: House) -> AsyncIterator[httpx.AsyncClient]:
    async with house.client() as ready:
        yield ready


def with_settings(**more: Any):
    return pytest.mark.parametrize("house", [more], indirect=True)


def is_problem(answer: httpx.Response, status: int, slug: str) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = answer.json()
    assert body["type"].endswith(f"/errors/{slug}")
    assert body["status"] == status
    assert body["title"]
    assert body["detail"]
    assert body["instance"] == answer.request.url.path
    assert body["request_id"] == answer.headers["x-request-id"]
    assert ("errors" in body) == (status == 422)
    assert CANARY not in answer.text
    return body


# ------------------------------------------------------------------ problems


@pytest.mark.parametrize(
    ("name", "status", "slug"),
    [
        ("unreadable", 400, "unreadable"),
        ("forbidden", 403, "forbidden"),
        ("not-found", 404, "not-found"),
        ("conflict", 409, "conflict"),
        ("stale", 412, "stale"),
        ("invalid", 422, "invalid"),
        ("too-many", 429, "too-many"),
        ("try-later", 503, "try-later"),
        ("internal", 500, "internal"),
        ("malformed", 500, "internal"),
    ],
)
async def test_every_error_becomes_a_problem_document(client, name, status, slug):
    answer = await client.get(f"/v1/errors/{name}?secret={CANARY}")

    body = is_problem(answer, status, slug)
    assert body["type"] == f"http://127.0.0.1:8000/errors/{slug}"
    if name == "conflict":
        assert body["state"] == "closed"
    if name == "stale":
        assert body["version"] == 4
    if name == "invalid":
        assert len(body["errors"]) == 20
        assert set(body["errors"][0]) == {"pointer", "code", "detail", "fix"}
    if name in {"too-many", "try-later"}:
        assert int(answer.headers["retry-after"]) > 0


@pytest.mark.parametrize("name", list(ERRORS))
async def test_a_browser_gets_a_page_to_read(client, name):
    answer = await client.get(f"/broken/{name}", headers=HTML)

    assert answer.headers["content-type"].startswith("text/html")
    assert answer.headers["x-request-id"] in answer.text
    assert CANARY not in answer.text


async def test_an_unforeseen_error_is_logged_without_its_text(client):
    with capture_logs() as logged:
        answer = await client.get("/v1/errors/internal")

    assert answer.status_code == 500
    (crash,) = [entry for entry in logged if entry["event"] == "request.crashed"]
    assert crash["error"] == "RuntimeError"
    assert "test_web.py" in crash["at"][0]
    assert CANARY not in str(logged)


async def test_what_is_not_there_is_a_problem_too(client):
    is_problem(await client.get(f"/v1/{CANARY}".lower()), 404, "not-found")
    is_problem(await client.get("/nothing"), 404, "not-found")
    is_problem(await client.get("/v1/toys/"), 404, "not-found")
    page = await client.get("/nothing", headers=HTML)
    assert (page.status_code, page.headers["content-type"]) == (404, "text/html; charset=utf-8")


async def test_a_method_that_is_not_there_names_all_that_are(client):
    answer = await client.delete("/v1/toys")
    is_problem(answer, 405, "method-not-allowed")
    assert answer.headers["allow"] == "GET, POST"

    answer = await client.get("/v1/acts")
    is_problem(answer, 405, "method-not-allowed")
    assert answer.headers["allow"] == "POST, PUT"


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"size": 11}, "/size"),
        ({"size": CANARY}, "/size"),
        ({"size": True}, "/size"),
        ({"size": 1.5}, "/size"),
        ({}, "/size"),
        ({"size": 1, "note": 5}, "/note"),
        ({"size": 1, "extra": CANARY}, "/extra"),
    ],
)
async def test_wrong_content_is_listed_and_not_repeated(house, client, body, pointer):
    key = await house.key(Scope.RESPONSES_WRITE)

    answer = await client.post("/v1/toys", json=body, headers=key)

    problem = is_problem(answer, 422, "invalid")
    assert [error["pointer"] for error in problem["errors"]] == [pointer]


@pytest.mark.parametrize("body", [b"{", b"", b'{"size": NaN}', b'{"size": 1e999}', b"\xff\xfe"])
async def test_a_body_that_cannot_be_taken_is_the_callers_problem(house, client, body):
    key = await house.key(Scope.RESPONSES_WRITE)
    headers = {**key, "content-type": "application/json"}

    answer = await client.post("/v1/toys", content=body, headers=headers)

    assert answer.status_code in {400, 422}
    assert answer.headers["content-type"] == "application/problem+json"


async def test_the_address_of_a_problem_opens_an_explanation(client):
    problem = (await client.get("/v1/errors/conflict")).json()

    as_json = await client.get(problem["type"])
    as_page = await client.get(problem["type"], headers=HTML)

    assert as_json.json()["title"] == problem["title"]
    assert problem["title"] in as_page.text
    assert (await client.get("/errors/address-taken")).status_code == 200
    is_problem(await client.get("/errors/<script>"), 404, "not-found")


# ------------------------------------------------------------------ keys


async def test_a_key_with_the_scope_is_let_in(house, client):
    answer = await client.post(
        "/v1/toys", json={"size": 1}, headers=await house.key(Scope.RESPONSES_WRITE)
    )

    assert answer.status_code == 200
    assert answer.json()["by"].startswith("key_")


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"authorization": ""},
        {"authorization": "Bearer"},
        {"authorization": f"Bearer {CANARY}"},
        {"authorization": "Bearer cfl_" + "0" * 27 + "_000000"},
        {"authorization": "Bearer " + CANARY * 6},
        {"authorization": "Basic YTpi"},
        {"authorization": b"Bearer \xff\xfe" + b"x" * 40},
    ],
)
async def test_without_a_usable_key_the_answer_is_401(client, headers):
    answer = await client.get("/v1/toys", headers=headers)

    is_problem(answer, 401, "unauthenticated")
    assert answer.headers["www-authenticate"] == "Bearer"


async def test_two_authorization_headers_are_one_too_many(house, client):
    key = await house.key(Scope.TASKS_READ)
    pair = [("authorization", key["authorization"])] * 2

    is_problem(await client.get("/v1/toys", headers=pair), 400, "unreadable")


async def test_without_the_scope_the_answer_is_403_and_names_it(house, client):
    answer = await client.get("/v1/toys", headers=await house.key(Scope.RESPONSES_WRITE))

    assert "tasks:read" in is_problem(answer, 403, "forbidden")["detail"]


@pytest.mark.parametrize("name", ["key", "api_key", "access_token"])
async def test_a_key_in_the_address_is_refused_with_advice(house, client, name):
    key = await house.key(Scope.TASKS_READ)
    plain = key["authorization"].removeprefix("Bearer ")

    answer = await client.get(f"/v1/toys?{name}={plain}", headers=key)

    problem = is_problem(answer, 400, "key-in-query")
    assert plain not in answer.text
    assert "replace the key" in problem["detail"]


async def test_a_revoked_key_is_refused_within_a_second(house, client):
    headers = await house.key(Scope.TASKS_READ)
    assert (await client.get("/v1/toys", headers=headers)).status_code == 200
    async with house.database.transaction() as tx:
        (key,) = await keys.list_keys(tx)
        await keys.revoke_key(tx, key.id, now=house.clock.now())
    house.clock.advance(timedelta(seconds=1))

    is_problem(await client.get("/v1/toys", headers=headers), 401, "unauthenticated")


async def test_wrong_keys_are_limited_per_address_and_met_keys_are_not(house, client):
    good = await house.key(Scope.TASKS_READ)
    await client.get("/v1/toys", headers=good)
    wrong = {"authorization": f"Bearer {CANARY * 6}"}

    statuses = [(await client.get("/v1/toys", headers=wrong)).status_code for _ in range(102)]

    assert statuses == [401] * 100 + [429] * 2
    refused = await client.get("/v1/toys", headers=wrong)
    is_problem(refused, 429, "too-many")
    assert 0 < int(refused.headers["retry-after"]) <= 60
    assert (await client.get("/v1/toys", headers=good)).status_code == 200
    async with house.client(address="10.0.0.8") as elsewhere:
        assert (await elsewhere.get("/v1/toys", headers=wrong)).status_code == 401
    house.clock.advance(timedelta(minutes=1))
    assert (await client.get("/v1/toys", headers=wrong)).status_code == 401


@with_settings(rate_per_key=3)
async def test_a_key_may_have_so_many_requests_a_minute(house, client):
    one, other = await house.key(Scope.TASKS_READ), await house.key(Scope.TASKS_READ)

    statuses = [(await client.get("/v1/toys", headers=one)).status_code for _ in range(4)]

    assert statuses == [200, 200, 200, 429]
    assert (await client.get("/v1/toys", headers=other)).status_code == 200
    house.clock.advance(timedelta(minutes=1))
    assert (await client.get("/v1/toys", headers=one)).status_code == 200


async def test_a_posting_key_sees_its_own_source_and_an_administrative_one_all(house, client):
    async def seen(*scopes: Scope) -> Any:
        answer = await client.get("/v1/sources", headers=await house.key(*scopes))
        return answer.json()["source"]

    assert await seen(Scope.RESPONSES_WRITE) == "crm"
    assert await seen(Scope.RESPONSES_WRITE, Scope.RESPONSES_READ) == "crm"
    assert await seen(Scope.RESPONSES_READ) is None
    assert await seen(*Scope) is None
    staff = await client.get("/v1/sources", headers=await house.session(Role.LEAD))
    assert staff.json()["source"] is None


# ------------------------------------------------------------------ lists


async def test_a_list_is_read_in_parts(house, client):
    key = await house.key(Scope.TASKS_READ)

    first = (await client.get("/v1/toys?limit=2", headers=key)).json()
    second = (
        await client.get(f"/v1/toys?limit=2&cursor={first['next_cursor']}", headers=key)
    ).json()

    assert [toy["name"] for toy in first["data"]] == ["ball", "kite"]
    assert first["has_more"] is True
    assert second == {"data": [{"name": "top"}], "next_cursor": None, "has_more": False}


@pytest.mark.parametrize("limit", ["0", "201", "-1", "1.5", "x", "", "٣", "1e2", "9" * 30])
async def test_a_limit_outside_the_range_is_422(house, client, limit):
    answer = await client.get(
        "/v1/toys", params={"limit": limit}, headers=await house.key(Scope.TASKS_READ)
    )

    assert is_problem(answer, 422, "invalid")["errors"][0]["pointer"] == "/limit"


async def test_a_repeated_parameter_is_400(house, client):
    key = await house.key(Scope.TASKS_READ)

    is_problem(await client.get("/v1/toys?limit=1&limit=2", headers=key), 400, "unreadable")
    is_problem(await client.get("/v1/sources?a=1&a=1", headers=await house.key(*Scope)), 400,
               "unreadable")  # fmt: skip


@pytest.mark.parametrize("cursor", ["x", "AAAA", "=" * 40, "é", "x" * 5_000])
async def test_a_made_up_cursor_is_422(house, client, cursor):
    answer = await client.get(
        "/v1/toys", params={"cursor": cursor}, headers=await house.key(Scope.TASKS_READ)
    )

    is_problem(answer, 422, "invalid")


def test_a_cursor_belongs_to_one_list_and_one_secret():
    keyring = Keyring("s" * 32)
    cursor = encode_cursor(keyring, ["2026-03-02", 7, None], of="tasks?state=open")

    assert decode_cursor(keyring, cursor, of="tasks?state=open") == ["2026-03-02", 7, None]
    replaced = Keyring("n" * 32, previous="s" * 32)
    assert decode_cursor(replaced, cursor, of="tasks?state=open") == ["2026-03-02", 7, None]
    with pytest.raises(Invalid):
        decode_cursor(keyring, cursor, of="tasks")
    with pytest.raises(Invalid):
        decode_cursor(Keyring("o" * 32), cursor, of="tasks?state=open")


# ------------------------------------------------------------------ bodies


async def test_a_body_may_have_so_many_bytes_and_no_more(house, client):
    key = await house.key(Scope.RESPONSES_WRITE)
    full = await client.post("/v1/raw", content=b"x" * BODY_LIMIT, headers=key)
    over = await client.post("/v1/raw", content=b"x" * (BODY_LIMIT + 1), headers=key)

    assert full.json() == {"bytes": BODY_LIMIT}
    is_problem(over, 413, "too-large")


async def test_bytes_that_come_in_pieces_are_counted_too(house, client):
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(BODY_LIMIT // 1_000 + 1):
            yield b"x" * 1_000

    key = await house.key(Scope.RESPONSES_WRITE)

    for path in ("/v1/raw", "/v1/toys"):
        headers = {**key, "content-type": "application/json"}
        answer = await client.post(path, content=pieces(), headers=headers)
        is_problem(answer, 413, "too-large")


async def test_a_batch_may_be_larger(house, client):
    key = await house.key(Scope.RESPONSES_WRITE)

    answer = await client.post("/v1/responses/batch", content=b"x" * 1_000_000, headers=key)

    assert answer.json() == {"bytes": 1_000_000}
    announced = {**key, "content-length": "16000001"}
    too_large = await client.post("/v1/responses/batch", content=b"", headers=announced)
    is_problem(too_large, 413, "too-large")


@pytest.mark.parametrize("encoding", ["gzip", "br", "identity, gzip"])
async def test_a_compressed_body_is_415(house, client, encoding):
    headers = {**await house.key(Scope.RESPONSES_WRITE), "content-encoding": encoding}

    answer = await client.post("/v1/raw", content=b"x", headers=headers)

    is_problem(answer, 415, "unsupported-type")


async def test_an_unreadable_length_is_400(client):
    answer = await client.post("/v1/raw", content=b"", headers={"content-length": "ten"})

    is_problem(answer, 400, "unreadable")


# ------------------------------------------------------------------ another site


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"sec-fetch-site": "same-origin"}, 200),
        ({"sec-fetch-site": "none"}, 200),
        ({"sec-fetch-site": "same-site"}, 403),
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"sec-fetch-site": "cross-site", "origin": "http://127.0.0.1:8000"}, 403),
        ({"origin": "http://127.0.0.1:8000"}, 200),
        ({"origin": "http://127.0.0.1:9000"}, 403),
        ({"origin": "https://127.0.0.1:8000"}, 403),
        ({"origin": "http://evil.test"}, 403),
        ({"origin": "null"}, 403),
        ({}, 403),
    ],
)
@pytest.mark.parametrize("path", ["/v1/acts", "/queue"])
async def test_a_session_changes_things_only_from_our_own_pages(
    house, client, path, headers, status
):
    session = await house.session()

    answer = await client.post(path, headers={**session, **headers})

    assert answer.status_code == status
    if status == 403:
        is_problem(answer, 403, "cross-origin")


async def test_reading_needs_no_proof_of_origin(house, client):
    session = await house.session()

    answer = await client.get("/queue", headers={**session, "sec-fetch-site": "cross-site"})

    assert answer.status_code == 200


async def test_a_key_is_exempt_and_then_no_cookie_counts(house, client):
    session = await house.session(Role.ADMIN)
    key = await house.key(Scope.RESPONSES_WRITE)
    foreign = {"origin": "http://evil.test"}

    both = await client.post(
        "/v1/toys", json={"size": 1}, headers={**session, **key, **foreign}
    )
    wrong = await client.post(
        "/v1/acts", headers={**session, **foreign, "authorization": "Bearer x"}
    )

    assert both.json()["by"].startswith("key_")
    is_problem(wrong, 401, "unauthenticated")


@pytest.mark.parametrize(
    "kind",
    ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"],
)
async def test_a_session_posts_no_forms_to_json_routes(house, client, kind):
    headers = {**await house.session(), "sec-fetch-site": "same-origin", "content-type": kind}

    answer = await client.post("/v1/acts", content=b"a=b", headers=headers)

    is_problem(answer, 415, "unsupported-type")


async def test_another_site_cannot_sign_somebody_in(client):
    answer = await client.post(
        "/sign-in", data={"email": "a"}, headers={"sec-fetch-site": "cross-site"}
    )

    is_problem(answer, 403, "cross-origin")


# ------------------------------------------------------------------ signing in


async def test_signing_in_and_out_with_plain_forms(house, client):
    await house.person()

    away = await client.get("/queue?tab=all", headers=HTML)
    assert (away.status_code, away.headers["location"]) == (
        303,
        "/sign-in?next=%2Fqueue%3Ftab%3Dall",
    )
    form = await client.get(away.headers["location"])
    assert 'value="/queue?tab=all"' in form.text

    data = {"email": "ann@example.test", "password": PASSWORD, "next": "/queue?tab=all"}
    entered = await client.post("/sign-in", data=data, headers={"origin": str(client.base_url)})
    assert (entered.status_code, entered.headers["location"]) == (303, "/queue?tab=all")
    assert (await client.get("/queue")).json() == {"name": "Ann"}
    copied = client.cookies["session"]

    origin = {"origin": "http://127.0.0.1:8000"}
    left = await client.post("/sign-out", headers=origin)
    assert left.headers["location"] == "/sign-in"
    assert "session" not in client.cookies
    again = await client.get("/queue", headers={"cookie": f"session={copied}"})
    assert again.status_code == 303


async def test_a_wrong_password_shows_the_form_again_and_says_so_in_the_readers_language(
    house, client
):
    await house.person()

    answer = await client.post(
        "/sign-in", data={"email": "ann@example.test", "password": CANARY, "next": "/queue"}
    )

    assert answer.status_code == 401
    assert 'role="alert"' in answer.text
    assert 'value="/queue"' in answer.text
    assert CANARY not in answer.text
    assert "set-cookie" not in answer.headers


async def test_too_many_failures_say_when_to_come_back(house, client):
    data = {"email": "ann@example.test", "password": "x"}
    for _ in range(10):
        assert (await client.post("/sign-in", data=data)).status_code == 401

    answer = await client.post("/sign-in", data=data)

    assert answer.status_code == 429
    assert int(answer.headers["retry-after"]) > 0


@pytest.mark.parametrize(
    ("house", "expected"),
    [
        ({"public_url": "http://127.0.0.1:8000"}, "session"),
        ({"public_url": "https://loop.example.test"}, "__Host-session"),
    ],
    indirect=["house"],
)
async def test_the_cookie_is_as_strict_as_the_address_allows(house, client, expected):
    await house.person()

    answer = await client.post(
        "/sign-in", data={"email": "ann@example.test", "password": PASSWORD}
    )

    name, *flags = answer.headers["set-cookie"].split("; ")
    assert name.split("=")[0] == expected
    assert len(name.split("=")[1]) >= 43
    assert {"HttpOnly", "Path=/", "SameSite=lax"} <= set(flags)
    assert ("Secure" in flags) == expected.startswith("__Host-")
    assert not any(flag.startswith("Domain") for flag in flags)


async def test_a_new_sign_in_is_a_new_session_and_ends_the_former_one(house, client):
    await house.person()
    data = {"email": "ann@example.test", "password": PASSWORD}
    await client.post("/sign-in", data=data)
    first = client.cookies["session"]
    await client.post("/sign-in", data=data, headers={"sec-fetch-site": "same-origin"})

    assert client.cookies["session"] != first
    former = await client.get("/queue", headers={"cookie": f"session={first}"})
    assert former.status_code == 303


async def test_a_session_ends_by_the_clock(house, client):
    session = await house.session()
    assert (await client.get("/queue", headers=session)).status_code == 200

    house.clock.advance(timedelta(hours=1))

    assert (await client.get("/queue", headers=session)).status_code == 303
    is_problem(await client.get("/v1/toys", headers=session), 401, "unauthenticated")


async def test_a_role_without_the_right_is_told_so(house, client):
    session = await house.session(Role.BOARD)

    is_problem(await client.get("/v1/toys", headers=session), 403, "forbidden")
    page = await client.get("/queue", headers={**session, **HTML})
    assert page.status_code == 403
    key = await client.get("/queue", headers=await house.key(*Scope))
    is_problem(key, 403, "forbidden")


@pytest.mark.parametrize(
    "given",
    [None, "", "http://evil.test", "//evil.test", "/\\evil.test", "/a\\b", "javascript:x",
     "/ok\n", "evil", "/sign-in?next=/", "/sign-out", "/" + "x" * 3_000],
)  # fmt: skip
def test_where_to_go_next_is_never_another_site(given):
    assert local_path(given) == "/"


def test_where_to_go_next_is_a_path_with_its_query():
    assert local_path("/tasks/tsk_1?tab=all#notes") == "/tasks/tsk_1?tab=all#notes"


# ------------------------------------------------------------------ the first visit


async def test_the_first_visit_at_the_machine_makes_the_administrator(house, client):
    shown = await client.get("/sign-in")
    assert 'action="/sign-in/first"' in shown.text

    data = {"name": "Bo", "email": "bo@example.test", "password": PASSWORD}
    made = await client.post("/sign-in/first", data=data)

    assert made.status_code == 303
    assert (await client.get("/queue")).json() == {"name": "Bo"}
    async with house.database.reading() as view:
        team = await people.team(view, people.DEFAULT_TEAM)
    assert team is not None
    assert team.email == "bo@example.test"
    client.cookies.clear()
    assert 'action="/sign-in"' in (await client.get("/sign-in")).text
    is_problem(await client.post("/sign-in/first", data=data), 409, "conflict")


@pytest.mark.parametrize(
    ("address", "base", "headers"),
    [
        ("10.0.0.5", "http://127.0.0.1:8000", {}),
        ("127.0.0.1", "http://rebound.evil.test", {}),
        ("127.0.0.1", "http://127.0.0.1:8000", {"x-forwarded-for": "203.0.113.9"}),
    ],
)
async def test_nobody_from_elsewhere_makes_the_administrator(house, address, base, headers):
    data = {"name": "Bo", "email": "bo@example.test", "password": PASSWORD}
    async with house.client(address=address, base=base, headers=headers) as far:
        shown = await far.get("/sign-in")
        made = await far.post("/sign-in/first", data=data)

    assert "<form" not in shown.text.partition("<main")[2]
    assert made.status_code == 403
    async with house.database.reading() as view:
        assert await people.first_administrator(view) is None


async def test_a_first_administrator_needs_a_password_worth_the_name(house, client):
    data = {"name": "Bo", "email": "bo@example.test", "password": "short"}

    answer = await client.post("/sign-in/first", data=data)

    assert answer.status_code == 422
    assert 'role="alert"' in answer.text
    assert 'value="bo@example.test"' in answer.text
    async with house.database.reading() as view:
        assert await people.first_administrator(view) is None


# ------------------------------------------------------------------ headers, ids, logs


async def test_every_answer_tells_browsers_to_be_careful(client):
    for path in (
        "/healthz",
        "/v1/toys",
        "/nothing",
        "/v1/errors/internal",
        "/sign-in",
        "/docs",
    ):
        headers = (await client.get(path)).headers
        policy = headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; ")
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert "base-uri 'none'" in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["cross-origin-opener-policy"] == "same-origin"
        assert headers["cache-control"] == "no-store"
        assert "strict-transport-security" not in headers
        assert len(headers.get_list("x-request-id")) == 1


@with_settings(public_url="https://loop.example.test")
async def test_under_https_browsers_are_told_to_stay_there(client):
    headers = (await client.get("/healthz")).headers

    assert "max-age=31536000" in headers["strict-transport-security"]


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("req-42/abc.DEF", True),
        ("x" * 100, True),
        ("x" * 101, False),
        ("", False),
        ("a b", False),
        ("<script>", False),
        ("é", False),
    ],
)
async def test_a_decent_request_id_is_kept_and_another_replaced(client, given, kept):
    answer = await client.get("/healthz", headers={"x-request-id": given.encode()})

    shown = answer.headers["x-request-id"]
    assert (shown == given) is kept
    assert shown.isascii()
    assert kept or shown.startswith("req_")


async def test_a_request_is_one_line_without_query_ids_and_people(house, client):
    key = await house.key(Scope.TASKS_READ)
    with capture_logs() as logged:
        await client.get(f"/v1/toys?cursor={CANARY}", headers=key)
        await client.get(f"/errors/{CANARY}")
        await client.get("/healthz")

    lines = [entry for entry in logged if entry["event"] == "request"]
    assert [(line["route"], line["status"]) for line in lines] == [
        ("/v1/toys", 422),
        ("/errors/{slug}", 404),
    ]
    assert CANARY not in str(logged)
    assert key["authorization"].split()[1] not in str(logged)


# ------------------------------------------------------------------ health and description


@pytest.mark.parametrize("house", [{"checks": {}}], indirect=True)
async def test_a_process_that_answers_is_alive(client):
    assert (await client.get("/healthz")).json() == {"status": "ok"}
    assert (await client.get("/readyz")).json() == {"status": "ok", "checks": {}}


async def _fine() -> None:
    return None


async def _away() -> None:
    raise TryLater("the bus does not answer")


async def _slow() -> Report:
    return Report(state="degraded", text="backlog 12000")


@with_settings(checks={"database": _fine, "bus": tolerated(_away), "relay": _slow})
async def test_what_is_degraded_is_said_and_does_not_make_unready(client):
    answer = await client.get("/readyz")

    assert answer.status_code == 200
    assert answer.json() == {
        "status": "degraded",
        "checks": {
            "database": {"status": "ok"},
            "bus": {"status": "degraded", "detail": "the bus does not answer"},
            "relay": {"status": "degraded", "detail": "backlog 12000"},
        },
    }


@with_settings(checks={"database": _away, "bus": _fine})
async def test_what_failed_makes_unready(client):
    answer = await client.get("/readyz")

    assert answer.status_code == 503
    assert answer.headers["retry-after"]
    assert answer.json()["checks"]["database"]["status"] == "failed"


async def test_metrics_count_by_route_and_status_only(house, client):
    await client.get(f"/v1/toys?limit={CANARY}", headers=await house.key(Scope.TASKS_READ))
    await client.get(f"/{CANARY}")
    await client.request(CANARY, "/v1/toys")

    text = (await client.get("/metrics")).text

    assert 'route="/v1/toys",status="422"' in text
    assert 'route="unmatched",status="404"' in text
    assert 'method="other"' in text
    assert CANARY not in text
    assert health.registry is not None


async def test_the_description_is_whole_and_needs_no_other_host(client):
    described = (await client.get("/openapi.json")).json()

    toys_get = described["paths"]["/v1/toys"]["get"]
    assert {"key": []} in toys_get["security"]
    assert "application/problem+json" in toys_get["responses"]["401"]["content"]
    assert "HTTPValidationError" not in json.dumps(described)
    page = (await client.get("/docs")).text
    assert "://" not in page
    for part in ("swagger-ui.css", "swagger-ui-bundle.js", "start.js"):
        assert f"/docs/{part}" in page
        assert (await client.get(f"/docs/{part}")).status_code == 200
    assert (await client.get("/docs/other.js")).status_code == 404


async def test_the_frames_own_routes_are_public_for_a_reason(client):
    for path in ("/healthz", "/readyz", "/metrics", "/openapi.json", "/docs", "/sign-in"):
        assert (await client.get(path)).status_code == 200
        assert PUBLIC_ROUTES[path]


async def test_static_files_are_kept_by_their_version(client):
    with_version = await client.get("/static/app.css?v=1")
    without = await client.get("/static/app.css")

    assert "immutable" in with_version.headers["cache-control"]
    assert without.headers["cache-control"] == "no-cache"
    assert (await client.get("/static/../app.py")).status_code == 404
