"""A request about a customer, through all three services: to the certificate, to the copy."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any

import httpx
import pytest_asyncio
from sqlalchemy import select

from shared.db.base import metadata
from shared.db.engine import Engines
from shared.identity.erasure import FORGOTTEN
from shared.sealing import Keyring
from tests.fakes import ManualClock
from tests.whole_house import WholeHouse, open_house

ANNA: Mapping[str, Any] = {
    "external_id": "order-Anna-4711",
    "score": 1,
    "touchpoint": "support-call",
    "comment": "Waited forty minutes with my daughter.",
    "customer": {
        "id": "C-anna",
        "name": "Anna Berg",
        "email": "anna.berg@customers.example",
        "phone": "+46 70 000 00 00",
        "consent": {"follow_up": True},
    },
    "attributes": {"parcel": "PX-55-1234"},
}
OTTO: Mapping[str, Any] = {
    "external_id": "order-2",
    "score": 2,
    "touchpoint": "support-call",
    "comment": "Late again.",
    "customer": {"id": "C-otto", "name": "Otto Other"},
}
NOTE = "She mentioned her illness."
OF_ANNA = (
    "order-Anna-4711",
    "daughter",
    "C-anna",
    "Anna Berg",
    "anna.berg@customers.example",
    "+46 70 000 00 00",
    "PX-55-1234",
    "illness",
)


@pytest_asyncio.fixture
async def house(
    engines: Engines, clock: ManualClock, keyring: Keyring
) -> AsyncIterator[WholeHouse]:
    async with open_house(engines, clock, keyring) as opened:
        yield opened


async def open_case(house: WholeHouse, client: httpx.AsyncClient) -> dict[str, Any]:
    """Have Anna and Otto complain and somebody write about Anna; return her task."""
    for one in (ANNA, OTTO):
        assert (await client.post("/v1/responses", json=one)).status_code == 202
    await house.settle()
    tasks = (await client.get("/v1/tasks")).json()["data"]
    (task,) = [one for one in tasks if (one["customer"] or {}).get("name") == "Anna Berg"]
    noted = await client.post(f"/v1/tasks/{task['id']}/notes", json={"text": NOTE})
    assert noted.status_code == 200
    await house.settle()
    return dict(noted.json())


async def asked(house: WholeHouse, client: httpx.AsyncClient, kind: str) -> dict[str, Any]:
    """Ask for something about Anna; return the request once it is done."""
    wish = {"kind": kind, "person": {"source": "crm", "customer_id": "C-anna"}}
    answer = await client.post("/v1/person-requests", json=wish)
    assert answer.status_code == 202, answer.text
    await house.settle()
    shown = (await client.get(f"/v1/person-requests/{answer.json()['id']}")).json()
    assert shown["state"] == "done", shown
    return dict(shown)


async def stored(house: WholeHouse) -> Mapping[str, str]:
    """Return everything that stands in the tables, as text, by table."""
    async with house.database.reading() as view:
        return {
            table.name: repr([tuple(row) for row in await view.all(select(table))])
            for table in metadata.sorted_tables
        }


async def figures(client: httpx.AsyncClient) -> list[Any]:
    paths = ("/v1/scores?group_by=touchpoint", "/v1/themes", "/v1/closure-rates")
    answers = [await client.get(path) for path in paths]
    return [answer.json() for answer in answers]


async def test_all_three_forget_and_say_what_they_did(house: WholeHouse) -> None:
    async with house.client() as client:
        task = await open_case(house, client)
        before = await figures(client)

        shown = await asked(house, client, "erasure")

        assert await figures(client) == before
        after = (await client.get(f"/v1/tasks/{task['id']}")).json()
        others = (await client.get("/v1/tasks")).json()["data"]

    done = shown["certificate"]["services"]
    assert sorted(done) == ["ingest", "loop", "notify"]
    assert done["ingest"]["responses"] == 1
    assert (done["loop"]["tasks"], done["loop"]["notes"]) == (1, 1)
    assert done["notify"]["deliveries"] >= 1
    assert "erased" in after["flags"]
    assert [line["act"] for line in after["history"]][-1] == "erase"
    assert sorted((one["customer"] or {}).get("name", "") for one in others) == [
        "",
        "Otto Other",
    ]
    held = await stored(house)
    assert [(t, w) for t, text in held.items() for w in OF_ANNA if w in text] == []
    assert FORGOTTEN in held["loop_tasks"]


async def test_a_copy_holds_what_all_three_know(house: WholeHouse) -> None:
    async with house.client() as client:
        await open_case(house, client)
        shown = await asked(house, client, "export")
        archive = (await client.get(f"/v1/person-requests/{shown['id']}/archive")).text

    assert [word for word in OF_ANNA if word not in archive] == []
    assert "Otto" not in archive
    assert all(f'"{name}"' in archive for name in ("ingest", "loop", "notify"))
