"""Bad requests at every route of the interface, on both databases: refused, no row, no echo.

The list of routes comes from the application, so that a new one is tried too. Every case
carries a canary wherever something can be put.
"""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import AsyncIterator, Mapping
from typing import Any

import httpx
import pytest
import pytest_asyncio
from structlog.testing import capture_logs

from shared.db.engine import Engines
from shared.identity.principal import Scope
from shared.sealing import Keyring
from shared.web.auth import PROVEN_ROUTES
from shared.web.limits import BODY_LIMIT, BODY_LIMITS
from shared.web.paging import encode_cursor
from tests.fakes import ManualClock
from tests.whole_house import ApiRoute, WholeHouse, api_routes, open_house

CANARY = "canary7f3a"
JSON = {"content-type": "application/json"}
LISTS = ("/v1/responses", "/v1/tasks", "/v1/themes", "/v1/touchpoints", "/v1/webhooks",
         "/v1/deliveries")  # fmt: skip
FREE = {"/v1/responses/batch", *PROVEN_ROUTES}
"""Routes that take more than JSON objects; their own tests have their own tables."""

# Bodies that no route takes.
UNREADABLE: Mapping[str, bytes] = {
    "nothing": b"",
    "blank": b" \n",
    "broken": f'{{"a":"{CANARY}"'.encode(),
    "a trailing comma": f'{{"a":"{CANARY}",}}'.encode(),
    "trailing text": f'{{"a":1}} {CANARY}'.encode(),
    "two documents": f'{{"a":1}}{{"a":"{CANARY}"}}'.encode(),
    "a comment": f'{{"a":1}}// {CANARY}'.encode(),
    "single quotes": f"{{'{CANARY}':1}}".encode(),
    "members twice": f'{{"{CANARY}":1,"{CANARY}":2}}'.encode(),
    "members twice, escaped": b'{"name":1,"\\u006eame":2}',
    "members twice deep down": f'{{"a":[{{"{CANARY}":1,"{CANARY}":2}}]}}'.encode(),
    "NaN": b'{"a":NaN}',
    "infinity": b'{"a":-Infinity}',
    "1e400": b'{"a":1e400}',
    "nineteen digits": b'{"a":1234567890123456789}',
    "a million digits": b'{"a":' + b"9" * 200_000 + b"}",
    "33 levels": b'{"a":' + b"[" * 33 + b"]" * 33 + b"}",
    "very deep": b"[" * 100_000,
    "1,001 members": json.dumps({f"{CANARY}{n}": n for n in range(1_001)}).encode(),
    "a byte order mark": b'\xef\xbb\xbf{"a":1}',
    "UTF-16": f'{{"a":"{CANARY}"}}'.encode("utf-16"),
    "UTF-32": f'{{"a":"{CANARY}"}}'.encode("utf-32-le"),
    "Latin-1": '{"a":"é"}'.encode("latin-1"),
    "an overlong encoding": b'{"a":"\xc0\xaf"}',
    "an encoded surrogate": b'{"a":"\xed\xa0\x80"}',
    "a raw NUL": b'{"a":"\x00"}',
    "a raw line break": b'{"a":"\n"}',
    "1_0": b'{"a":1_0}',
    "arabic digits": '{"a":٣}'.encode(),
    "a leading zero": b'{"a":010}',
    "hexadecimals": b'{"a":0x10}',
}
UNFIT: Mapping[str, bytes] = {
    "null": b"null",
    "true": b"true",
    "a number": b"7",
    "a text": json.dumps(CANARY).encode(),
    "a list": json.dumps([CANARY]).encode(),
    "an escaped NUL": f'{{"{CANARY}":"\\u0000"}}'.encode(),
    "a lone surrogate": f'{{"{CANARY}":"\\ud800"}}'.encode(),
    "a lone surrogate as a name": b'{"\\udc00":1}',
}
TYPES = (
    "",
    "text/plain",
    "text/json",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=x",
    "application/xml",
    "application/json; charset=utf-16",
    "application/json, text/plain",
    CANARY,
)
ADDRESSES: Mapping[str, int] = {
    "?limit=1&limit=2": 400,
    f"?api_key={CANARY}": 400,
    f"?X-API-Key={CANARY}": 400,
    f"?password={CANARY}": 400,
    f"?a=cfl_{CANARY}": 400,
    "?a=%00": 400,
    "?a=%ff": 400,
    f"?{CANARY * 900}": 414,
}
IDS = (
    *(
        "..%2f..%2fmetrics",
        "%2e%2e%2f",
        "%00",
        "%ff",
        "9" * 400,
        "-1",
        "0",
        "1e9",
        "null",
    ),
    *(f"{CANARY}%0d%0aX-A:b", f"%E2%80%AE{CANARY}", "e%CC%81" * 300, "'%20OR%201=1--", "*"),
    *("tsk_00000000000000000000000000", "stf_" + "Z" * 40, "%25s%25n", "{{7*7}}"),
)
KEYS = ("Bearer", "Bearer ", f"Bearer {CANARY}", f"Bearer {CANARY * 1_000}", f"Basic {CANARY}",
        f"Bearer cfl_{'A' * 27}AAAAAA", "bearer\t", f"Digest username={CANARY}")  # fmt: skip


@pytest_asyncio.fixture
async def house(
    engines: Engines, clock: ManualClock, keyring: Keyring
) -> AsyncIterator[WholeHouse]:
    async with open_house(engines, clock, keyring) as opened:
        yield opened


@pytest_asyncio.fixture
async def client(house: WholeHouse) -> AsyncIterator[httpx.AsyncClient]:
    async with house.client() as ready:
        await ready.get("/v1/tasks")  # the key's day of use is written
        await house.app.state.gate.keys.settle()
        yield ready


def path_of(route: ApiRoute, identifier: str = "x_00000000000000000000000000") -> str:
    return re.sub(r"{[a-z_]+}", identifier, route.path)


def with_body(house: WholeHouse) -> list[ApiRoute]:
    """Return the routes that take a JSON document."""
    described = house.app.openapi()["paths"]
    return [
        route
        for route in api_routes(house.app)
        if route.path not in FREE
        and "requestBody" in described[route.path][route.method.lower()]
        and described[route.path][route.method.lower()]["requestBody"].get("required")
    ]


async def rows(house: WholeHouse) -> Mapping[str, int]:
    """Return how many rows there are; refusals are counted by source, with sealed samples."""
    counted = await house.rows()
    return {name: n for name, n in counted.items() if name not in _REFUSALS}


_REFUSALS = {"ingest_tallies", "ingest_payloads"}


def refused(
    answer: httpx.Response, expected: set[int], what: object, *, echo: bool = False
) -> dict[str, Any]:
    """Check what every refusal has in common."""
    assert answer.status_code in expected, (what, answer.status_code, answer.text)
    assert answer.headers["content-type"] == "application/problem+json", what
    problem: dict[str, Any] = answer.json()
    for member in ("type", "title", "status", "detail", "instance", "request_id"):
        assert problem[member] not in ("", None), (what, member)
    assert problem["status"] == answer.status_code
    if not echo:
        assert CANARY not in answer.text, what
    assert CANARY not in str(answer.headers), what
    for finding in problem.get("errors", ()):
        assert finding["detail"], what
        assert CANARY not in str(finding), what
    return problem


async def test_a_body_that_cannot_be_read_is_refused_everywhere(
    house: WholeHouse, client: httpx.AsyncClient
) -> None:
    before = await rows(house)
    with capture_logs() as logs:
        for route in with_body(house):
            for name, body in UNREADABLE.items():
                answer = await client.request(
                    route.method, path_of(route), content=body, headers=JSON
                )
                refused(answer, {400, 404}, (route.name, name))
            for name, body in UNFIT.items():
                answer = await client.request(
                    route.method, path_of(route), content=body, headers=JSON
                )
                refused(answer, {400, 404, 422}, (route.name, name))

    assert len(with_body(house)) > 20
    assert await rows(house) == before
    assert CANARY not in repr(logs)


async def test_a_body_of_another_type_or_size_is_refused_everywhere(
    house: WholeHouse, client: httpx.AsyncClient
) -> None:
    before = await rows(house)
    good = json.dumps({"name": CANARY}).encode()
    for route in with_body(house):
        path = path_of(route)
        for kind in TYPES:
            answer = await client.request(
                route.method, path, content=good, headers={"content-type": kind}
            )
            refused(answer, {415, 404}, (route.name, kind))
        bare = await client.request(route.method, path, content=good)
        refused(bare, {415, 404}, (route.name, "no type"))
        twice = [("content-type", "application/json"), ("content-type", "text/plain")]
        answer = await client.request(route.method, path, content=good, headers=twice)
        refused(answer, {400, 415, 404}, (route.name, "two types"))
        packed = {**JSON, "content-encoding": "gzip"}
        answer = await client.request(
            route.method, path, content=gzip.compress(good), headers=packed
        )
        refused(answer, {415}, (route.name, "gzip"))
        large = b'{"a":"' + b"x" * BODY_LIMITS.get(route.path, BODY_LIMIT) + b'"}'
        answer = await client.request(route.method, path, content=large, headers=JSON)
        refused(answer, {413}, (route.name, "too large"))

    assert await rows(house) == before


async def test_a_bad_address_is_refused_everywhere(
    house: WholeHouse, client: httpx.AsyncClient
) -> None:
    before = await rows(house)
    with capture_logs() as logs:
        for route in api_routes(house.app):
            for query, status in ADDRESSES.items():
                if route.path in PROVEN_ROUTES and query in _SENDERS_OWN:
                    continue
                answer = await client.request(
                    route.method, path_of(route) + query, content=b"{}", headers=JSON
                )
                # At a hook a key of another source is refused first.
                both = {status, 401} if route.path in PROVEN_ROUTES else {status}
                refused(answer, both, (route.name, query))
            if "{" not in route.path:
                continue
            for identifier in IDS:
                path = path_of(route, identifier)
                answer = await client.request(route.method, path, headers=JSON)
                if answer.status_code == 200 and route.method == "GET":
                    assert "text/html" not in answer.headers["content-type"]
                    continue  # a list of what belongs to it: nothing does
                refused(answer, {400, 401, 404, 405, 409, 415, 422}, (route.name, identifier),
                        echo=True)  # fmt: skip
        assert await rows(house) == before
    assert CANARY not in repr(logs)


_SENDERS_OWN = {"?limit=1&limit=2", f"?password={CANARY}"}


async def test_a_list_says_which_part_can_be_asked_for(
    house: WholeHouse, client: httpx.AsyncClient
) -> None:
    foreign = encode_cursor(house.keyring, ["x"], of="another list")
    forged = encode_cursor(Keyring("f" * 40), ["x"], of="webhooks")
    for path in LISTS:
        for limit in ("0", "-1", "201", "abc", "1.0", "1e1", "1_0", "٣", " 1", "9" * 40, ""):
            answer = await client.get(path, params={"limit": limit})
            assert refused(answer, {422}, (path, limit))["errors"][0]["pointer"] == "/limit"
        for cursor in (CANARY, foreign, forged, "AAAA", "=", "é", "x" * 5_000):
            answer = await client.get(path, params={"cursor": cursor})
            assert refused(answer, {422}, (path, cursor))["errors"][0]["pointer"] == "/cursor"


async def test_a_method_that_is_not_there_names_those_that_are(
    house: WholeHouse, client: httpx.AsyncClient
) -> None:
    allowed: dict[str, set[str]] = {}
    for route in api_routes(house.app):
        allowed.setdefault(route.path, set()).add(route.method)
    before = await rows(house)
    for path, methods in allowed.items():
        there = re.sub(r"{[a-z_]+}", "x", path)
        if "GET" in methods:
            methods.add("HEAD")
        for method in ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW"):
            if method in methods or any(
                other != path and re.fullmatch(re.sub(r"{[a-z_]+}", ".+", other), there)
                for other in allowed
            ):
                continue
            answer = await client.request(
                method, there, headers={"x-http-method-override": "DELETE"}
            )
            refused(answer, {405}, (method, path))
            assert methods <= set(answer.headers["allow"].split(", ")), path

    assert await rows(house) == before


async def test_head_answers_where_get_does_without_a_body(
    house: WholeHouse, client: httpx.AsyncClient
) -> None:
    for route in api_routes(house.app):
        if route.method != "GET" or route.path in PROVEN_ROUTES:
            continue
        got = await client.get(path_of(route))
        head = await client.head(path_of(route))

        assert head.status_code == got.status_code, route.name
        assert head.content == b""
        assert head.headers["content-type"] == got.headers["content-type"]
    for page in ("/sign-in", "/docs", "/openapi.json", "/metrics", "/static/app.css"):
        assert (await client.head(page)).status_code == 200, page


async def test_a_wrong_key_gets_one_answer_everywhere_whatever_is_wrong_with_it(
    house: WholeHouse,
) -> None:
    before = await rows(house)
    for n, route in enumerate(api_routes(house.app)):
        async with house.client(headers={}, address=f"10.0.0.{n}") as nobody:
            for shown in KEYS:
                answer = await nobody.request(
                    route.method, path_of(route), headers={"authorization": shown}
                )
                status = 431 if len(shown) > 8_192 else 401
                refused(answer, {status}, (route.name, shown[:20]))
            twice = [("authorization", f"Bearer {CANARY}"), ("authorization", "Bearer x")]
            answer = await nobody.request(route.method, path_of(route), headers=twice)
            # Where the key stands in the path, none in a header is looked at.
            status = 401 if "{token}" in route.path else 400
            refused(answer, {status}, (route.name, "twice"))

    assert await rows(house) == before


@pytest.mark.parametrize(
    ("value", "status"),
    [("*", 404), ('"1"', 404), ('W/"1"', 404), ('"1", "2"', 400), ("1;2", 400), (CANARY, 400),
     ('"-1"', 400), ('"' + "9" * 40 + '"', 400), ('"٣"', 400), ("", 400)],
)  # fmt: skip
async def test_a_version_is_one_version(
    client: httpx.AsyncClient, value: str, status: int
) -> None:
    headers = [(b"if-match", value.encode()), (b"content-type", b"application/json")]
    task = await client.post("/v1/tasks/tsk_1/notes", content=b'{"text":"a"}', headers=headers)
    touchpoint = await client.patch("/v1/touchpoints/x", content=b"{}", headers=headers)

    refused(task, {status}, value)
    refused(touchpoint, {status}, value)


_MAIL = {("GET", "/v1/suppressions")}
"""What the right to read mail opens: the one that a key must have in order to have any."""


async def test_a_key_without_the_right_is_told_which_and_nothing_else(
    house: WholeHouse,
) -> None:
    none = await house.key(Scope.MAIL_READ)
    async with house.client(headers=none) as bare:
        for route in api_routes(house.app):
            if route.path in PROVEN_ROUTES or (route.method, route.path) in _MAIL:
                continue
            answer = await bare.request(route.method, path_of(route), headers=JSON)
            assert "scope" in refused(answer, {403}, route.name)["detail"]
