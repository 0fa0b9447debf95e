"""An event's effect happens once: its id is written in the same transaction as the effect."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import literal, select

from shared.db.base import listed

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from shared.db.transaction import Transaction


async def first_time(
    tx: Transaction, *, consumer: str, event_ids: Sequence[str], now: datetime
) -> set[str]:
    """Return those of ``event_ids`` that this consumer has never handled, and mark them."""
    if not event_ids:
        return set()
    table = tx.plumbing.inbox
    # In the order of the ids, so that two readers of the same events never wait for each other
    # in a circle.
    ids = listed(tx.dialect, sorted(set(event_ids)), table.c.event_id.type)
    statement = (
        tx.insert(table)
        .from_select(
            ["consumer", "event_id", "handled_at"],
            select(
                literal(consumer, table.c.consumer.type),
                ids,
                literal(now, table.c.handled_at.type),
                # SQLite takes ON CONFLICT for a join's ON unless a WHERE stands in between.
            ).where(ids.is_not(None)),
        )
        .on_conflict_do_nothing()
        .returning(table.c.event_id)
    )
    return {row.event_id for row in await tx.all(statement)}
