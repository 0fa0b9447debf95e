"""The frame around every route: problems, lists, bodies, headers, health, description."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

import pytest
from structlog.testing import capture_logs

from shared.errors import (
    Invalid,
    TryLater,
)
from shared.identity.principal import Scope
from shared.sealing import Keyring
from shared.tasks import spawn
from shared.web import health
from shared.web.auth import PUBLIC_ROUTES
from shared.web.health import Report, tolerated
from shared.web.limits import BODY_LIMIT
from shared.web.paging import decode_cursor, encode_cursor
from tests.adapters.web_house import (
    CANARY,
    ERRORS,
    HTML,
    is_problem,
    with_settings,
)

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
    answer = await client.get(f"/v1/errors/{name}?note={CANARY}")

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
    assert "web_house.py" in crash["at"][0]
    assert CANARY not in str(logged)


async def test_who_is_cut_off_when_the_process_ends_is_told_to_come_again(house):
    said = []

    async def send(message):
        said.append(message)

    async def receive():
        return {"type": "http.request", "body": b"", "more_body": False}

    scope = {
        "type": "http",
        "http_version": "1.1",
        "scheme": "http",
        "server": ("127.0.0.1", 8000),
        "method": "POST",
        "path": "/v1/endless",
        "raw_path": b"/v1/endless",
        "query_string": b"",
        "headers": [(b"host", b"127.0.0.1")],
        "client": ("127.0.0.1", 5000),
    }
    serving = spawn(house.app(scope, receive, send), name="serving")
    await asyncio.sleep(0.1)
    serving.cancel()  # as uvicorn does with what is still under way
    with pytest.raises(asyncio.CancelledError):
        await serving

    start, body, *_ = said
    assert start["status"] == 503
    assert (b"retry-after", b"2") in start["headers"]
    assert json.loads(body["body"])["type"].endswith("/errors/unconfirmed")


async def test_what_is_not_there_is_a_problem_too(client):
    is_problem(await client.get(f"/v1/{CANARY}".lower()), 404, "not-found")
    is_problem(await client.get("/nothing"), 404, "not-found")
    is_problem(await client.get("/v1/toys/"), 404, "not-found")
    page = await client.get("/nothing", headers=HTML)
    assert (page.status_code, page.headers["content-type"]) == (404, "text/html; charset=utf-8")


@pytest.mark.parametrize(
    ("method", "path", "headers", "instance"),
    [
        ("GET", "/v1/errors/anna.berg@example.org", {}, "/v1/errors/…"),
        ("DELETE", "/v1/errors/anna", {}, "/v1/errors/…"),
        ("POST", "/v1/errors/anna", {"content-encoding": "gzip"}, "/v1/errors/…"),
        ("GET", "/v1/customer/anna.berg@example.org", {}, "/…"),
        ("GET", "/v1/errors/tsk_" + "0" * 26, {}, "/v1/errors/tsk_" + "0" * 26),
    ],
)
async def test_a_problem_names_its_place_and_nobody(client, method, path, headers, instance):
    answer = await client.request(method, path, headers=headers)

    assert answer.status_code >= 400
    assert answer.json()["instance"] == instance
    assert "anna" not in answer.text


async def test_a_method_that_is_not_there_names_all_that_are(client):
    answer = await client.delete("/v1/toys")
    is_problem(answer, 405, "method-not-allowed")
    assert answer.headers["allow"] == "GET, HEAD, POST"

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
