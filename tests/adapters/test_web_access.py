"""Who is let in: keys, sessions, other sites, the first visit."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, event

from shared.identity import groups, key_texts, keys, people
from shared.identity.principal import Role, Scope
from shared.web.sign_in import local_path
from tests.adapters.web_house import (
    CANARY,
    HTML,
    PASSWORD,
    is_problem,
    with_settings,
)

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


@with_settings(rate_per_key=2)
async def test_every_answer_to_a_limited_key_says_what_is_left(house, client):
    key = await house.key(Scope.TASKS_READ)

    first = await client.get("/v1/toys", headers=key)
    house.clock.advance(timedelta(seconds=20))
    second = await client.get("/v1/toys?limit=0", headers=key)
    over = await client.get("/v1/toys", headers=key)

    assert first.headers["ratelimit-policy"] == '"key";q=2;w=60'
    assert first.headers["ratelimit"] == '"key";r=1;t=60'
    assert (second.status_code, second.headers["ratelimit"]) == (422, '"key";r=0;t=40')
    is_problem(over, 429, "too-many")
    assert (over.headers["ratelimit"], over.headers["retry-after"]) == ('"key";r=0;t=40', "40")


async def test_nothing_is_said_of_a_limit_that_is_none(house, client):
    answer = await client.get("/v1/toys", headers=await house.key(Scope.TASKS_READ))

    assert "ratelimit" not in answer.headers


@contextmanager
def statements() -> Iterator[list[str]]:
    """Collect what any database is asked."""
    seen: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
        seen.append(statement)

    event.listen(Engine, "before_cursor_execute", note)
    yield seen
    event.remove(Engine, "before_cursor_execute", note)


async def test_a_wrong_key_is_answered_alike_whatever_is_wrong_with_it(house, client):
    """One body, and the same questions to the database: neither tells whether it was a key."""
    day = timedelta(days=1)
    revoked, ended = await house.key(Scope.TASKS_READ), {}
    now = house.clock.now()
    async with house.database.transaction() as tx:
        (key,) = await keys.list_keys(tx)
        await keys.revoke_key(tx, key.id, now=now)
        _, plain = await keys.create_key(
            tx,
            source="crm",
            name="old",
            scopes=[Scope.TASKS_READ],
            now=now,
            expires_at=now + day,
        )
        ended["authorization"] = f"Bearer {plain}"
    house.clock.advance(2 * day)
    unknown = {"authorization": f"Bearer {key_texts.new_text()}"}
    malformed = {"authorization": f"Bearer {CANARY}"}

    answers, asked = [], []
    for shown in (revoked, ended, unknown, malformed):
        with statements() as seen:
            answers.append(await client.get("/v1/toys", headers=shown))
        asked.append(seen)

    bodies = [{**answer.json(), "request_id": ""} for answer in answers]
    assert [answer.status_code for answer in answers] == [401] * 4
    assert bodies == [bodies[0]] * 4
    assert asked[0] == asked[1] == asked[2] != []


@pytest.mark.parametrize(
    "query",
    ["API_KEY=x", "api-key=x", "x_api_key=x", "Access_Token=x", "Authorization=x", "token=x",
     "password=x", "secret=x", "a=1&apikey=", "note=cfl_0000", "a=%63fl_0"],
)  # fmt: skip
async def test_a_key_is_found_in_the_address_however_it_is_called(house, client, query):
    answer = await client.get(f"/v1/toys?{query}", headers=await house.key(Scope.TASKS_READ))

    is_problem(answer, 400, "key-in-query")


async def test_a_user_and_a_password_have_no_place_in_an_address(client):
    basic = await client.get("/v1/toys", headers={"authorization": "Basic bWU6c2VjcmV0"})
    host = await client.get("/v1/toys", headers={"host": f"me:{CANARY}@127.0.0.1"})

    assert "Bearer" in is_problem(basic, 401, "unauthenticated")["detail"]
    is_problem(host, 400, "unreadable")


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
    session = await house.session(Role.BOARD_MEMBER)

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
        team = await groups.team(view, groups.DEFAULT_TEAM)
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
