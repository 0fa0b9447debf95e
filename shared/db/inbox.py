"""An event's effect happens once: its id is written in the same transaction as the effect."""

from __future__ import annotations

from typing import TYPE_CHECKING

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
    statement = (
        tx.insert(table)
        .values(
            [
                {"consumer": consumer, "event_id": event_id, "handled_at": now}
                for event_id in dict.fromkeys(event_ids)
            ]
        )
        .on_conflict_do_nothing()
        .returning(table.c.event_id)
    )
    return {row.event_id for row in await tx.all(statement)}
