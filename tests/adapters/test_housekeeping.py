"""The hand-over tables do not grow for ever, and nothing that may repeat is forgotten."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from sqlalchemy import func, select

from shared.bus.embedded import EmbeddedBus
from shared.db import requests
from shared.db.inbox import first_time
from shared.db.transaction import Database
from shared.housekeeping import INBOX_KEPT, Housekeeping
from tests.fakes import ManualClock


async def test_old_inbox_rows_go_and_young_ones_stay(
    database_of: Callable[[str], Database], clock: ManualClock
) -> None:
    """A row is kept longer than any source could repeat its event."""
    database = database_of("loop")
    worker = Housekeeping(
        database=database, bus=EmbeddedBus(database_of("shared"), clock), clock=clock
    )
    async with database.transaction() as tx:
        await first_time(tx, consumer="loop", event_ids=["evt_old"], now=clock.now())
    clock.advance(INBOX_KEPT + timedelta(days=1))
    async with database.transaction() as tx:
        await first_time(tx, consumer="loop", event_ids=["evt_young"], now=clock.now())

    while await worker.step():
        pass

    inbox = database.plumbing.inbox
    async with database.reading() as view:
        left = [row.event_id for row in await view.all(select(inbox.c.event_id))]
    assert left == ["evt_young"]


async def test_old_answers_are_forgotten(
    database_of: Callable[[str], Database], clock: ManualClock
) -> None:
    """An answer is given again for seven days; a key whose time is over is free."""
    database = database_of("loop")
    worker = Housekeeping(
        database=database, bus=EmbeddedBus(database_of("shared"), clock), clock=clock
    )
    async with database.transaction() as tx:
        await requests.claim(tx, {"old": "a", "used again": "b"}, now=clock.now())
    clock.advance(requests.KEPT)
    async with database.transaction() as tx:
        given = await requests.claim(tx, {"young": "c", "used again": "d"}, now=clock.now())
        assert given == {}

    while await worker.step():
        pass

    table = database.plumbing.requests
    async with database.reading() as view:
        left = {row.key_digest: row.fingerprint for row in await view.all(select(table))}
    assert left == {"young": "c", "used again": "d"}


async def test_nothing_is_looked_for_before_the_hour(
    database_of: Callable[[str], Database], clock: ManualClock
) -> None:
    """A start or a busy minute is no time for housekeeping."""
    database = database_of("loop")
    worker = Housekeeping(
        database=database, bus=EmbeddedBus(database_of("shared"), clock), clock=clock
    )
    async with database.transaction() as tx:
        await first_time(
            tx,
            consumer="loop",
            event_ids=["evt_old"],
            now=clock.now() - INBOX_KEPT - timedelta(days=1),
        )

    assert await worker.step() is False

    inbox = database.plumbing.inbox
    async with database.reading() as view:
        assert await view.scalar(select(func.count()).select_from(inbox)) == 1
