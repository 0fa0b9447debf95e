"""Counting a day's mentions again: what earlier versions counted by fewer members."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from typing import Final

from services.loop.responses.store import commented_between
from services.loop.themes import store
from services.loop.themes.domain.counts import moves
from shared.db.transaction import Database, Transaction
from shared.faults import fault_point

_AT_ONCE: Final = 1_000


async def recount_earlier(database: Database) -> bool:
    """Count one day of before again; return whether there was one."""
    async with database.reading() as view:
        day = await store.day_of_before(view)
    if day is None:
        return False
    async with database.transaction() as tx:
        await store.clear_day(tx, day)
        first = datetime.combine(day, time(), UTC)
        await _count(tx, first, first + timedelta(days=1))
        fault_point("themes.recounted")
    return True


async def _count(tx: Transaction, first: datetime, before: datetime) -> None:
    after = ""
    while some := await commented_between(tx, first, before, after=after, most=_AT_ONCE):
        after = some[-1].id
        found = await store.themes_of(tx, [response.id for response in some])
        counted = [(r, [row.theme_id for row in found[r.id]]) for r in some if not r.is_sample]
        await store.move_rollups(tx, moves(counted))
