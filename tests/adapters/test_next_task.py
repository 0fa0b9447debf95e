"""The queue hands out the next task: what breaches first, once, to whoever may take it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import httpx
import pytest_asyncio

from shared.identity.groups import DEFAULT_TEAM
from shared.identity.person_keys import PersonKeys
from shared.sealing import Keyring
from tests.desk import Desk, desk_on
from tests.fakes import ManualClock


@pytest_asyncio.fixture
async def desk(
    tmp_path: Path, clock: ManualClock, keyring: Keyring, person_keys: PersonKeys
) -> AsyncIterator[Desk]:
    async with desk_on(
        f"{tmp_path}/desk.db", clock=clock, keyring=keyring, person_keys=person_keys
    ) as opened:
        yield opened


async def _next(browser: httpx.AsyncClient) -> httpx.Response:
    return await browser.post("/v1/tasks/next")


async def test_what_breaches_first_is_handed_out_first_and_each_task_once(desk: Desk) -> None:
    later = await desk.hears(customer="c-1")
    desk.clock.advance(timedelta(hours=1))
    last = await desk.hears(customer="c-2")
    async with desk.browsing("ana") as ana, desk.browsing("ole") as ole:
        first, second = await _next(ana), await _next(ole)
        nothing = await _next(ana)

    assert (first.json()["id"], first.json()["owner"]["id"]) == (later.id, desk.staff["ana"])
    assert (second.json()["id"], second.json()["owner"]["id"]) == (last.id, desk.staff["ole"])
    assert (nothing.status_code, nothing.content) == (204, b"")
    assert first.headers["etag"] == '"2"'


async def test_two_who_ask_at_once_get_two_tasks(desk: Desk) -> None:
    await desk.hears(customer="c-1")
    await desk.hears(customer="c-2")
    async with desk.browsing("ana") as ana, desk.browsing("ole") as ole:
        both = await asyncio.gather(_next(ana), _next(ole))

    assert len({one.json()["id"] for one in both}) == 2


async def test_nobody_is_handed_what_another_team_holds_or_what_waits(desk: Desk) -> None:
    task = await desk.hears(customer="c-1")
    async with desk.browsing("max") as stranger:
        assert (await _next(stranger)).status_code == 204
    async with desk.browsing("ana") as ana:
        waits = await ana.post(f"/v1/tasks/{task.id}/wait", json={"for": "internal"})
        assert waits.status_code == 200, waits.text
        assert (await _next(ana)).status_code == 204
    assert task.owner.id == DEFAULT_TEAM


async def test_the_button_leads_to_the_task_and_says_when_there_is_none(desk: Desk) -> None:
    task = await desk.hears(customer="c-1")
    async with desk.browsing("ana") as ana:
        assert "Take the next task" in (await ana.get("/")).text
        got = await ana.post("/next", data={"x": "y"})
        none = await ana.post("/next", data={"x": "y"})
        said = await ana.get(none.headers["location"])

    assert (got.status_code, got.headers["location"]) == (303, f"/tasks/{task.id}")
    assert "No task waits for somebody now." in said.text
