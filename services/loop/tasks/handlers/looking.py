"""Who looks at tasks: told to whoever else has one open, and written down for the customer."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Final

from services.loop.tasks import store
from services.loop.tasks.handlers.reading import TaskView
from shared.db.transaction import Database, Transaction
from shared.identity.owners import owners
from shared.identity.principal import Principal
from shared.identity.views import note_views, note_views_in

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


async def note_looks(
    database: Database,
    seen: Iterable[TaskView],
    *,
    by: Principal,
    via: str,
    now: datetime,
) -> None:
    """Write down whose personal data these views show; those that show none are left out."""
    await note_views(database, _shown(seen), by=by, via=via, now=now)


async def note_looks_in(
    tx: Transaction, seen: Iterable[TaskView], *, by: Principal, via: str, now: datetime
) -> None:
    """Write it down in the transaction that the views come from."""
    await note_views_in(tx, _shown(seen), by=by, via=via, now=now)


def _shown(seen: Iterable[TaskView]) -> dict[str, str | None]:
    return {
        each.task.person_ref: each.task.id
        for each in seen
        if each.personal is not None and not each.restricted
    }
