"""How much may wait, and how much disk stays free: looked at before anything is written."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import update

from shared.db.engine import is_full, translated
from shared.db.group import GroupCommit
from shared.db.room import MEGABYTE, Room
from shared.db.transaction import Database, Transaction
from shared.errors import TryLater
from shared.events.loop import ResponseHandled
from shared.tasks import spawn
from shared.web.health import Checks, Report, tolerated
from tests.fakes import ManualClock


@pytest.fixture
def database(database_of: Callable[[str], Database]) -> Database:
    return database_of("ingest")


async def _announce(database: Database, room: Room, clock: ManualClock, count: int = 1) -> None:
    async with database.transaction() as tx:
        await room.require(tx, count)
        for n in range(count):
            event = ResponseHandled(response_id=f"rsp_{n}", revision=1, state="no_action")
            tx.announce(event, key=str(n), at=clock.now())


async def test_no_more_may_wait_than_the_cap_and_what_is_published_makes_room(
    database: Database, clock: ManualClock
) -> None:
    room = Room(clock, rows=5)
    await _announce(database, room, clock, 3)
    with pytest.raises(TryLater) as refused:
        await _announce(database, room, clock, 3)
    assert (refused.value.slug, refused.value.retry_after) == ("storage-full", 30)
    await _announce(database, room, clock, 2)
    with pytest.raises(TryLater):
        await _announce(database, room, clock)

    outbox = database.plumbing.outbox
    async with database.transaction() as tx:
        await tx.execute(update(outbox).values(published_at=clock.now()))
    clock.advance(timedelta(seconds=2))
    await _announce(database, room, clock, 5)


async def test_what_another_process_left_waiting_counts(
    database: Database, clock: ManualClock
) -> None:
    await _announce(database, Room(clock), clock, 5)
    with pytest.raises(TryLater):
        await _announce(database, Room(clock, rows=5), clock)


async def test_a_floor_of_free_disk(
    database: Database, clock: ManualClock, tmp_path: Path
) -> None:
    await _announce(database, Room(clock, folder=tmp_path, floor=MEGABYTE), clock)
    with pytest.raises(TryLater) as refused:
        await _announce(database, Room(clock, folder=tmp_path, floor=1 << 62), clock)
    assert refused.value.slug == "storage-full"


async def test_a_full_disk_has_a_name_of_its_own() -> None:
    full = OSError(28, "No space left on device")
    assert is_full(full)
    with pytest.raises(TryLater) as raised:
        async with translated():
            raise full
    assert raised.value.slug == "storage-full"
    assert not is_full(OSError(5, "Input/output error"))


async def test_whoever_was_told_to_come_back_leaves_nothing(database: Database) -> None:
    """A request that ran out of time while it waited for its turn is not recorded after all."""
    recorded: list[str] = []
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def work(_tx: Transaction, commands: Sequence[str]) -> Sequence[str]:
        begun.set()
        await go_on.wait()
        recorded.extend(commands)
        return commands

    group = GroupCommit(database, work)
    first = spawn(group.submit("first"), name="first")
    await begun.wait()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await group.submit("too slow")
    last = spawn(group.submit("last"), name="last")
    await asyncio.sleep(0)
    go_on.set()
    await asyncio.gather(first, last)
    assert recorded == ["first", "last"]


async def test_what_hangs_is_said_in_time_and_asked_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("shared.web.health._PATIENCE", 0.05)
    asked: list[int] = []
    go_on = asyncio.Event()

    async def hung() -> Report | None:
        asked.append(1)
        await go_on.wait()
        return None

    checks = Checks({"database": hung, "bus": tolerated(hung)})
    for _ in range(3):
        reports = await checks.reports()
        assert (reports["database"].state, reports["bus"].state) == ("failed", "degraded")
    assert len(asked) == 2
    go_on.set()
    await asyncio.sleep(0)
    assert {one.state for one in (await checks.reports()).values()} == {"ok"}
