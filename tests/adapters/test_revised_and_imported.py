"""A revised answer and an import's answers, from the post to the mail, through all services."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import httpx
import pytest
import pytest_asyncio

from shared.db.engine import Engines
from shared.identity.principal import Scope
from shared.identity.teams import update_team
from shared.sealing import Keyring
from tests.fakes import ManualClock
from tests.whole_house import WholeHouse, open_house

IMPORT = "imp_01jqzv8m3x7f5k2n9r4t6w8y0a"
BATCH = "/v1/responses/batch"


@pytest_asyncio.fixture
async def house(
    engines: Engines, clock: ManualClock, keyring: Keyring
) -> AsyncIterator[WholeHouse]:
    async with open_house(engines, clock, keyring) as opened:
        async with opened.database.transaction() as tx:
            await update_team(
                tx, "team_customer_care", email="care@example.org", now=clock.now()
            )
        yield opened


class Caller:
    """Somebody with every right, who waits until all is handled."""

    def __init__(self, house: WholeHouse, client: httpx.AsyncClient) -> None:
        self._house = house
        self._client = client

    async def posts(self, score: int, **members: Any) -> dict[str, Any]:
        """Post an answer under one natural key; return where the response stands then."""
        answered_at = self._house.clock.now().isoformat()
        body = {"external_id": "A-1", "score": score, "answered_at": answered_at, **members}
        sent = await self._client.post("/v1/responses", json=body)
        assert sent.status_code == 202, sent.text
        await self._house.settle()
        stands: dict[str, Any] = (await self.gets(f"/v1/responses/{sent.json()['id']}")).json()
        self._house.clock.advance(timedelta(minutes=1))
        return stands

    async def gets(self, path: str, **query: str) -> httpx.Response:
        """Read."""
        return await self._client.get(path, params=query)

    async def told(self) -> list[tuple[str, str, str | None]]:
        """Return what was told: how, about what, and how it stands."""
        found = (await self.gets("/v1/deliveries", limit="200")).json()["data"]
        return [(one["channel"], one["event_type"], one["state"]) for one in reversed(found)]


async def test_an_answer_that_changes_back_and_forth_is_one_task_and_one_mail(
    house: WholeHouse,
) -> None:
    async with house.client() as client:
        caller = Caller(house, client)
        first = await caller.posts(3, customer={"id": "C-1"})
        better = await caller.posts(9, customer={"id": "C-2"})
        again = await caller.posts(9, customer={"id": "C-2"})
        worse = await caller.posts(1, customer={"id": "C-1"})
        task = (await caller.gets(f"/v1/tasks/{first['task_id']}")).json()
        tasks = (await caller.gets("/v1/tasks")).json()["data"]
        told = await caller.told()

    assert [one["state"] for one in (first, better, again, worse)] == [
        "task_open",
        "closed",
        "closed",
        "task_open",
    ]
    assert {one["task_id"] for one in (first, better, again, worse)} == {task["id"]}
    assert len(tasks) == 1
    assert [line["act"] for line in task["history"]] == [
        "open",
        *["revise", "close"],
        *["revise"] * (again["revision"] - better["revision"]),
        *["revise", "reopen"],
    ]
    assert (task["state"], task["score"], task["outcome"]) == ("in_progress", 1, None)
    assert told == [("email", "task.opened", "delivered")]


async def test_an_answer_given_earlier_and_sent_later_changes_nothing(
    house: WholeHouse,
) -> None:
    async with house.client() as client:
        caller = Caller(house, client)
        first = await caller.posts(3)
        before = (house.clock.now() - timedelta(days=1)).isoformat()
        late = await caller.posts(10, answered_at=before)
        task = (await caller.gets(f"/v1/tasks/{first['task_id']}")).json()

    assert (late["state"], late["score"], late["revision"]) == ("task_open", 3, 2)
    assert [line["act"] for line in task["history"]] == ["open"]


async def test_an_imports_tasks_are_one_mail_a_minute_later(house: WholeHouse) -> None:
    rows = [{"external_id": f"I-{n}", "score": n % 7} for n in range(25)]
    async with house.client() as client:
        caller = Caller(house, client)
        for start in (0, 10, 20):
            sent = await client.post(
                BATCH, params={"import_id": IMPORT}, json=rows[start : start + 10]
            )
            assert sent.status_code == 202, sent.text
            await house.settle()
        assert await caller.told() == [("email", "task.opened", "due")]
        house.clock.advance(timedelta(minutes=1))
        await house.settle()
        (told,) = (await caller.gets("/v1/deliveries", import_id=IMPORT)).json()["data"]

    assert (told["state"], told["purpose"], told["task_id"]) == (
        "delivered",
        "tasks_opened",
        None,
    )


@pytest.mark.parametrize(
    ("import_id", "status"),
    [(IMPORT, 403), ("imp_1", 422), ("IMP_01jqzv8m3x7f5k2n9r4t6w8y0a", 422)],
)
async def test_only_who_may_change_settings_names_an_import(
    house: WholeHouse, import_id: str, status: int
) -> None:
    rights = await house.key(Scope.RESPONSES_WRITE)
    async with house.client(headers=rights) as client:
        answer = await client.post(BATCH, params={"import_id": import_id}, json=[])

    assert answer.status_code == status
    assert import_id not in answer.text
