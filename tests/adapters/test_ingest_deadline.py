"""A database that takes too long: an answer in time, and a retry that learns the truth."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest
import pytest_asyncio
from typing_extensions import override

from services.ingest.api import batch, single
from services.ingest.tables import PLUMBING
from shared.db.engine import Engines
from shared.db.transaction import Database, Transaction
from shared.identity.person_keys import PersonKeys
from shared.sealing import Keyring
from tests.fakes import ManualClock
from tests.ingest_door import BATCH, Door, open_door

FIRST = {"external_id": "A-1", "score": 2}
SECOND = {"external_id": "A-2", "score": 9}


class Slow(Database):
    """Commits when it is allowed to."""

    gate: asyncio.Event | None = None

    @override
    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        async with super().transaction() as tx:
            yield tx
            if self.gate is not None:
                await self.gate.wait()


@pytest.fixture
def slow(engines: Engines, monkeypatch: pytest.MonkeyPatch) -> Slow:
    for door in (single, batch):
        monkeypatch.setattr(door, "DEADLINE", 0.2)
    return Slow(engines, PLUMBING)


@pytest_asyncio.fixture
async def door(
    engines: Engines, clock: ManualClock, keyring: Keyring, person_keys: PersonKeys, slow: Slow
) -> AsyncIterator[Door]:
    async with open_door(engines, clock, keyring, person_keys, database=slow) as opened:
        yield opened


def told_to_come_back(answer: httpx.Response) -> None:
    assert answer.status_code == 503, answer.text
    assert answer.headers["retry-after"] == "2"
    assert "send the same request again" in answer.json()["detail"]


async def test_what_was_being_committed_stands_and_the_retry_finds_it(
    door: Door, slow: Slow
) -> None:
    slow.gate = asyncio.Event()
    told_to_come_back(await door.post(FIRST))
    slow.gate.set()
    slow.gate = None

    again = await door.post(FIRST)

    assert (again.status_code, again.json()["duplicate"]) == (202, True)
    assert (await door.get(again.json()["status_url"])).json()["external_id"] == "A-1"


async def test_what_had_not_begun_leaves_nothing(door: Door, slow: Slow) -> None:
    """Whoever waited behind a slow commit and was sent away is not taken in unasked."""
    slow.gate = asyncio.Event()
    told_to_come_back(await door.post(FIRST))
    told_to_come_back(await door.post(SECOND))
    slow.gate.set()
    slow.gate = None
    assert (await door.post(FIRST)).json()["duplicate"] is True

    late = await door.post(SECOND)

    assert (late.status_code, late.json()["duplicate"]) == (202, False)


async def test_a_batch_goes_on_by_itself_and_its_retry_finds_duplicates(
    door: Door, slow: Slow
) -> None:
    slow.gate = asyncio.Event()
    body = b'[{"external_id": "A-1", "score": 2}, {"external_id": "A-2", "score": 9}]'
    told_to_come_back(await door.send(body, BATCH))
    slow.gate.set()
    slow.gate = None

    async def told() -> tuple[int, int]:
        found = (await door.send(body, BATCH)).json()
        return found["accepted"], found["duplicates"]

    assert await told() == (0, 2)
