"""A person known to all three services: handed out by all, forgotten by all, still counted."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest_asyncio
from sqlalchemy import select

from shared.db.base import metadata
from shared.db.engine import Engines
from shared.sealing import Keyring
from tests.fakes import ManualClock
from tests.whole_house import WholeHouse, open_house

PATH = "/v1/person-requests"
ADDRESS = "anna.berg@example.org"
COMMENT = "Waited forty minutes at the counter."
NOTE = "She will be on holiday in Lund."
HERS = ("Anna", ADDRESS, "forty minutes", "Lund", "+46 70 123")
ANNA = {"id": "C-1", "name": "Anna Berg", "email": ADDRESS, "phone": "+46 70 123 45 67"}


@pytest_asyncio.fixture
async def house(
    engines: Engines, clock: ManualClock, keyring: Keyring
) -> AsyncIterator[WholeHouse]:
    async with open_house(engines, clock, keyring) as opened:
        yield opened


async def known(house: WholeHouse, client: httpx.AsyncClient) -> str:
    """Have Anna complain and be called; return her response."""
    posted = await client.post(
        "/v1/responses",
        json={
            "external_id": "A-1",
            "score": 2,
            "touchpoint": "counter",
            "comment": COMMENT,
            "customer": ANNA,
        },
    )
    await client.post("/v1/responses", json={"external_id": "A-2", "score": 9})
    await house.settle()
    (task,) = (await client.get("/v1/tasks")).json()["data"]
    contact = {"mode": "phone", "result": "reached", "note": NOTE}
    done = await client.post(f"/v1/tasks/{task['id']}/contacts", json=contact)
    assert done.status_code == 200, done.text
    await house.settle()
    return str(posted.json()["id"])


async def asked(
    house: WholeHouse, client: httpx.AsyncClient, kind: str, **person: str
) -> dict[str, Any]:
    """Ask for something and have everybody do their part."""
    reply = await client.post(PATH, json={"kind": kind, "person": person})
    assert reply.status_code == 202, reply.text
    await house.settle()
    shown: dict[str, Any] = (await client.get(reply.headers["location"])).json()
    assert shown["state"] == "done", shown
    return shown


async def figures(client: httpx.AsyncClient) -> dict[str, Any]:
    paths = (
        "/v1/scores?group_by=touchpoint",
        "/v1/themes",
        "/v1/service-levels",
        "/v1/closure-rates",
    )
    answers = {path: await client.get(path) for path in paths}
    assert {answer.status_code for answer in answers.values()} == {200}
    return {path: answer.json() for path, answer in answers.items()}


async def test_everybody_hands_out_what_they_know(house: WholeHouse) -> None:
    async with house.client() as client:
        response = await known(house, client)
        shown = await asked(house, client, "export", email=ADDRESS)
        archive = await client.get(shown["archive_url"])

    (person,) = archive.json()["persons"]
    assert person["ingest"]["responses"][0]["id"] == response
    assert NOTE in json.dumps(person["loop"])
    assert "notify" in person
    assert set(shown["certificate"]["services"]) == {"ingest", "loop", "notify"}


async def test_everybody_forgets_and_every_figure_stays(house: WholeHouse) -> None:
    async with house.client() as client:
        response = await known(house, client)
        before = await figures(client)
        shown = await asked(house, client, "erasure", response_id=response)
        after = await figures(client)
        task = (await client.get("/v1/tasks", params={"response_id": response})).json()
        again = await asked(house, client, "erasure", response_id=response)

    assert set(shown["certificate"]["services"]) == {"ingest", "loop", "notify"}
    assert shown["certificate"]["services"]["loop"]["tasks"] == 1
    assert again["certificate"]["services"]["loop"]["tasks"] == 0
    assert after == before
    assert [word for word in HERS if word in json.dumps(task)] == []
    async with house.database.reading() as view:
        for table in metadata.sorted_tables:
            if table.name.startswith(("ingest_", "loop_", "notify_", "shared_")):
                rows = str([tuple(row) for row in await view.all(select(table))])
                assert [word for word in HERS if word in rows] == [], table.name
