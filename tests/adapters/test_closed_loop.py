"""The whole way round: an unhappy answer, a call, a mail to the customer, their yes or no."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from email import message_from_bytes, policy
from typing import Any

import httpx
import pytest
import pytest_asyncio
from sqlalchemy import select

from services.notify.channels.capture import opened
from services.notify.store import list_captured
from shared.db.base import metadata
from shared.db.engine import Engines
from shared.identity.person_keys import PersonKeys
from shared.sealing import Keyring
from tests.fakes import ManualClock
from tests.whole_house import WholeHouse, open_house

CUSTOMER = "maya@customers.example"
ANSWER = {
    "external_id": "a-1",
    "score": 1,
    "comment": "Waited four hours and nobody came.",
    "language": "en",
    "touchpoint": "door",
    "customer": {
        "id": "c-1",
        "name": "Maya",
        "email": CUSTOMER,
        "consent": {"follow_up": True},
    },
}
WORK = (
    ("contacts", {"mode": "phone", "result": "reached", "note": "said sorry"}),
    ("agreement", {"agreed": "a new courier"}),
    ("steps", {"step": "eliminate"}),
    (
        "resolve",
        {
            "outcome": "solved",
            "root_cause": {"area": "process", "text": "no slots"},
            "content": "yes",
            "avoidable": "yes",
        },
    ),
)


@pytest_asyncio.fixture
async def house(
    engines: Engines, clock: ManualClock, keyring: Keyring
) -> AsyncIterator[WholeHouse]:
    async with open_house(engines, clock, keyring) as opened_house:
        yield opened_house


async def resolved(house: WholeHouse, client: httpx.AsyncClient) -> str:
    (task,) = (await client.get("/v1/tasks")).json()["data"]
    for name, body in WORK:
        answer = await client.post(f"/v1/tasks/{task['id']}/{name}", json=body)
        assert answer.status_code == 200, answer.text
    await house.settle()
    return str(task["id"])


async def to_customer(house: WholeHouse) -> list[str]:
    """Return the links in the mails to the customer, the latest first."""
    keys = PersonKeys(house.keyring)
    links = []
    async with house.database.reading() as view:
        for mail in await list_captured(view, limit=50):
            found = await opened(view, mail.id, keyring=house.keyring, person_keys=keys)
            assert found is not None
            message: Any = message_from_bytes(found[1] or b"", policy=policy.default)
            if message["To"] == CUSTOMER:
                text = message.get_body(("plain",)).get_content()
                links += re.findall(r"https?://[^/]+(/settled/\S+)", text)
    return links


@pytest.mark.parametrize("given", ["yes", "no"])
async def test_the_loop_is_closed_by_the_customer(house: WholeHouse, given: str) -> None:
    async with house.client() as client:
        assert (await client.post("/v1/responses", json=ANSWER)).status_code == 202
        await house.settle()
        task_id = await resolved(house, client)
        (link,) = await to_customer(house)
        form = {"answer": given, "words": "The parcel is not here"}

        async with house.client(headers={}) as customer:
            shown = await customer.get(link)
            answered = await customer.post(link, data=form)
        await house.settle()

        task = (await client.get(f"/v1/tasks/{task_id}")).json()
        if given == "no":
            await resolved_again(house, client, task_id)
        mails = await to_customer(house)

    assert (shown.status_code, answered.status_code) == (200, 303)
    if given == "yes":
        assert task["state"] == "confirmed"
        assert task["outcome"]["confirmed"]["by_customer"] is True
        assert mails == [link]
    else:
        assert task["state"] == "in_progress"
        assert task["history"][-1]["words"] == {"reason": "The parcel is not here"}
        assert len(mails) == 2
        assert mails[0] != link


async def resolved_again(house: WholeHouse, client: httpx.AsyncClient, task_id: str) -> None:
    for name, body in WORK[1:]:
        answer = await client.post(f"/v1/tasks/{task_id}/{name}", json=body)
        assert answer.status_code == 200, answer.text
    await house.settle()


async def test_the_link_is_written_down_nowhere(house: WholeHouse) -> None:
    """Neither the token nor the customer's address stands in any row of any table."""
    async with house.client() as client:
        await client.post("/v1/responses", json=ANSWER)
        await house.settle()
        await resolved(house, client)
        (link,) = await to_customer(house)
        async with house.client(headers={}) as customer:
            await customer.post(link, data={"answer": "yes"})
        await house.settle()

    digest = link.rpartition("~")[2]
    async with house.database.reading() as view:
        for table in metadata.sorted_tables:
            rows = repr([tuple(row) for row in await view.all(select(table))])
            assert digest not in rows, table.name
            assert CUSTOMER not in rows, table.name
