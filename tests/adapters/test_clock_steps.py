"""The clock is put forward and back in mid-run: nothing is told twice, nothing stays wrong."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from shared.db.engine import Engines
from shared.identity.groups import DEFAULT_TEAM
from shared.identity.principal import Scope
from shared.identity.teams import update_team
from shared.sealing import Keyring
from tests.fakes import ManualClock
from tests.whole_house import WholeHouse, open_house

HOUR = timedelta(hours=1)
SOON = {"task.opened": 1, "task.due-soon": 1}
LATE = {**SOON, "task.overdue": 1}


class SteppedClock(ManualClock):
    """A clock that somebody sets; durations are measured by another one."""

    def step(self, by: timedelta) -> None:
        self._now += by


@pytest.fixture
def clock() -> SteppedClock:
    # What happens in these hours happens by day, when people are reminded.
    return SteppedClock(datetime(2026, 3, 2, 16, tzinfo=UTC))


async def post(house: WholeHouse, client: httpx.AsyncClient, name: str) -> None:
    headers = await house.key(*Scope, source="crm")
    body = {"external_id": name, "score": 1, "customer": {"id": name}}
    taken = await client.post("/v1/responses", json=body, headers=headers)
    assert taken.status_code == 202, taken.text
    await house.settle()


async def told(client: httpx.AsyncClient) -> Counter[str]:
    """Count the mails that were delivered, by what they are about."""
    found = (await client.get("/v1/deliveries", params={"limit": 200})).json()["data"]
    assert {one["state"] for one in found} == {"delivered"}
    assert {one["attempt_count"] for one in found} == {1}
    return Counter(one["event_type"] for one in found)


async def task_of(client: httpx.AsyncClient) -> dict[str, Any]:
    (task,) = (await client.get("/v1/tasks")).json()["data"]
    return dict(task)


async def test_two_hours_ahead_and_back_remind_once(
    engines: Engines, clock: SteppedClock, keyring: Keyring
) -> None:
    async with open_house(engines, clock, keyring) as house, house.client() as client:
        async with house.database.transaction() as tx:
            await update_team(tx, DEFAULT_TEAM, email="care@example.org", now=clock.now())
        await post(house, client, "A-1")
        clock.advance(17 * HOUR)
        await house.settle()

        for by in (2 * HOUR, -2 * HOUR, -2 * HOUR, 2 * HOUR):
            clock.step(by)
            await house.settle()
        clock.advance(2 * HOUR)
        await house.settle()

        assert await told(client) == SOON
        assert (await task_of(client))["overdue"] is False


async def test_a_day_ahead_and_back_leaves_no_task_overdue_that_is_not(
    engines: Engines, clock: SteppedClock, keyring: Keyring
) -> None:
    """The alarm that the wrong clock raised cannot be taken back; it is raised once."""
    async with open_house(engines, clock, keyring) as house, house.client() as client:
        async with house.database.transaction() as tx:
            await update_team(tx, DEFAULT_TEAM, email="care@example.org", now=clock.now())
        await post(house, client, "A-1")
        clock.advance(19 * HOUR)
        await house.settle()

        clock.step(24 * HOUR)
        await house.settle()
        wrong = await task_of(client)
        clock.step(-24 * HOUR)
        await house.settle()
        healed = await task_of(client)
        clock.advance(6 * HOUR)
        await house.settle()

        assert (wrong["overdue"], healed["overdue"]) == (True, False)
        assert "overdue" not in healed["flags"]
        assert (await task_of(client))["overdue"] is True
        assert await told(client) == LATE


async def test_what_comes_while_the_clock_is_behind_is_taken_and_told_of(
    engines: Engines, clock: SteppedClock, keyring: Keyring
) -> None:
    async with open_house(engines, clock, keyring) as house, house.client() as client:
        async with house.database.transaction() as tx:
            await update_team(tx, DEFAULT_TEAM, email="care@example.org", now=clock.now())
        await post(house, client, "A-1")
        clock.step(-2 * HOUR)
        await post(house, client, "A-2")
        clock.step(2 * HOUR)
        await house.settle()

        assert await told(client) == {"task.opened": 2}
        assert len((await client.get("/v1/tasks")).json()["data"]) == 2
