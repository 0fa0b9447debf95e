"""Keys over HTTP: made, replaced, revoked; who may hand out what. On both databases."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import httpx
import pytest
import pytest_asyncio

from services.ingest.domain.sources import TEST
from shared.db.engine import Engines
from shared.identity import sessions
from shared.identity.keys import TWIN
from shared.identity.person_keys import PersonKeys
from shared.identity.principal import Role, Scope
from shared.sealing import Keyring
from tests.fakes import ManualClock
from tests.ingest_door import URL, Door, open_door
from tests.staff import audited, staff

DETRACTOR = {"external_id": "A-1", "score": 2}
KEY = {"source": "shop", "name": "Web shop", "scopes": ["responses:write"]}


@pytest_asyncio.fixture
async def door(
    engines: Engines, clock: ManualClock, keyring: Keyring, person_keys: PersonKeys
) -> AsyncIterator[Door]:
    async with open_door(engines, clock, keyring, person_keys) as opened:
        opened.rights = await opened.key("ops", *Scope)
        yield opened


async def make(door: Door, **other: Any) -> httpx.Response:
    return await door.client.post("/v1/keys", json=KEY | other, headers=door.rights)


async def post_with(door: Door, plain: str) -> int:
    answer = await door.client.post(
        URL, json=DETRACTOR, headers={"Authorization": f"Bearer {plain}"}
    )
    return answer.status_code


async def test_a_key_is_shown_once_and_lets_in(door: Door) -> None:
    made = await make(door)

    assert made.status_code == 201
    shown = made.json()
    plain = shown.pop("key")
    assert shown["prefix"] == plain[:12]
    assert shown["state"] == "active"
    assert await post_with(door, plain) == 202
    await door.client._transport.app.state.gate.keys.settle()  # type: ignore[attr-defined] # our own transport
    listed = (await door.get("/v1/keys", source="shop")).json()
    assert listed["data"] == [shown | {"last_used_on": "2026-03-02"}]
    assert plain not in (await door.get("/v1/keys")).text


async def test_keys_are_listed_in_parts(door: Door) -> None:
    for n in range(5):
        await make(door, name=f"k{n}")

    seen: list[str] = []
    query: dict[str, Any] = {"limit": 2, "source": "shop"}
    while True:
        page = (await door.get("/v1/keys", **query)).json()
        seen += [one["name"] for one in page["data"]]
        if not page["has_more"]:
            break
        query["cursor"] = page["next_cursor"]
    assert seen == ["k0", "k1", "k2", "k3", "k4"]


async def test_a_replaced_key_goes_on_for_a_while(door: Door) -> None:
    first = (await make(door)).json()
    second = await door.client.post(f"/v1/keys/{first['id']}/rotate", headers=door.rights)

    assert second.status_code == 201
    body = second.json()
    assert body["former"]["expires_at"] == "2026-03-03T09:00:00Z"
    assert body["former"]["replaced_by"] == body["id"]
    assert (body["source"], body["scopes"]) == ("shop", ["responses:write"])
    assert [await post_with(door, first["key"]), await post_with(door, body["key"])] == [
        202
    ] * 2
    door.clock.advance(timedelta(hours=24))
    assert [await post_with(door, first["key"]), await post_with(door, body["key"])] == [
        401,
        202,
    ]


async def test_a_key_is_replaced_once_and_only_while_it_counts(door: Door) -> None:
    first = (await make(door)).json()
    path = f"/v1/keys/{first['id']}/rotate"
    second = await door.client.post(path, json={"overlap_hours": 0}, headers=door.rights)
    door.clock.advance(timedelta(seconds=1))

    assert await post_with(door, first["key"]) == 401
    again = await door.client.post(path, headers=door.rights)
    assert again.status_code == 409
    assert again.json()["replaced_by"] == second.json()["id"]
    await door.client.delete(f"/v1/keys/{second.json()['id']}", headers=door.rights)
    ended = await door.client.post(
        f"/v1/keys/{second.json()['id']}/rotate", headers=door.rights
    )
    assert (ended.status_code, ended.json()["state"]) == (409, "ended")
    nobody = await door.client.post("/v1/keys/key_x/rotate", headers=door.rights)
    assert nobody.status_code == 404


async def test_a_key_with_a_time_to_live_gets_the_same_time_again(door: Door) -> None:
    first = (await make(door, expires_at="2026-03-12T09:00:00Z")).json()
    door.clock.advance(timedelta(days=9, hours=23))

    second = await door.client.post(
        f"/v1/keys/{first['id']}/rotate", json={"overlap_hours": 48}, headers=door.rights
    )

    assert second.json()["expires_at"] == "2026-03-22T08:00:00Z"
    assert second.json()["former"]["expires_at"] == "2026-03-12T09:00:00Z"


async def test_a_revoked_key_is_refused_within_a_second(door: Door) -> None:
    made = (await make(door)).json()
    assert await post_with(door, made["key"]) == 202

    for _ in range(2):
        ended = await door.client.delete(f"/v1/keys/{made['id']}", headers=door.rights)
        assert ended.status_code == 204
    door.clock.advance(timedelta(seconds=1))

    assert await post_with(door, made["key"]) == 401
    assert await audited(door.database) == ["key.created"] * 3 + ["key.revoked"]


@pytest.mark.parametrize(
    ("wrong", "pointer"),
    [
        ({"source": "crm:test"}, "/source"),
        ({"source": "a/b"}, "/source"),
        ({"source": ".."}, "/source"),
        ({"source": " "}, "/source"),
        ({"source": "x" * 96, "test": True}, "/source"),
        ({"name": "\u202e"}, "/name"),
        ({"scopes": []}, "/scopes"),
        ({"scopes": ["everything"]}, "/scopes/0"),
        ({"scopes": ["tasks:write"], "test": True}, "/scopes"),
        ({"expires_at": "2026-03-02T08:59:59Z"}, "/expires_at"),
        ({"expires_at": "2026-03-02T10:00:00"}, "/expires_at"),
        ({"scope": "responses:write"}, "/scope"),
    ],
)
async def test_what_is_no_key_is_refused_with_where_and_why(
    door: Door, wrong: dict[str, Any], pointer: str
) -> None:
    refused = await make(door, **wrong)

    assert refused.status_code == 422, refused.text
    assert [one["pointer"] for one in refused.json()["errors"]] == [pointer]


async def test_nobody_gives_a_right_that_they_do_not_hold(door: Door) -> None:
    door.rights = await door.key("ops", Scope.SETTINGS_WRITE, Scope.TASKS_READ)

    given = await make(door, scopes=["tasks:read"])
    refused = await make(door, scopes=["tasks:read", "tasks:write"])
    weak = (await make(door, scopes=["tasks:read"])).json()

    assert (given.status_code, refused.status_code) == (201, 403)
    door.rights = await door.key("ops", *Scope)
    strong = (await make(door)).json()
    door.rights = await door.key("ops", Scope.SETTINGS_WRITE, Scope.TASKS_READ)
    answers = [
        await door.client.post(f"/v1/keys/{one['id']}/rotate", headers=door.rights)
        for one in (weak, strong)
    ]
    assert [one.status_code for one in answers] == [201, 403]


async def test_an_administrator_gives_rights_of_machines(door: Door) -> None:
    ada = await staff(door.database, door.clock.now(), role=Role.ADMIN)
    async with door.database.transaction() as tx:
        token = await sessions.start(tx, ada.id, now=door.clock.now())
    session = {"Cookie": f"session={token}", "Sec-Fetch-Site": "same-origin"}

    made = await door.client.post("/v1/keys", json=KEY, headers=session)

    assert made.status_code == 201
    assert await post_with(door, made.json()["key"]) == 202


async def test_a_key_for_trials_says_so(door: Door) -> None:
    made = (await make(door, test=True)).json()

    assert made["key"].startswith("cft_")
    assert (made["test"], made["source"]) == (True, "shop")
    replaced = await door.client.post(f"/v1/keys/{made['id']}/rotate", headers=door.rights)
    assert replaced.json()["key"].startswith("cft_")
    assert TWIN == TEST
