"""Who else has a task open: told to whoever opens it, so that nobody calls a customer twice."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from services.loop.tasks import store
from shared.db.transaction import Transaction
from shared.identity.owners import owners
from shared.identity.principal import Principal

SEEN_FOR: Final = timedelta(seconds=60)
"""How long after the last look somebody counts as having the task open."""


async def look_at(
    tx: Transaction, task_id: str, *, by: Principal, now: datetime
) -> Sequence[str]:
    """Note that somebody has the task open; return the names of the others who have."""
    since = now - SEEN_FOR
    ids = await store.viewers_of(tx, task_id, since=since)
    await store.note_viewer(tx, task_id, by.id, at=now, forgotten=since)
    others = [who for who in ids if who != by.id]
    known = await owners(tx, others)
    return sorted((known[who].name for who in others if who in known), key=str.casefold)
