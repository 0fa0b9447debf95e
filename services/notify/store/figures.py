"""What notify promises, as numbers: how much waits to be sent, and how long overdue it is."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import func, select

from services.notify.domain.deliveries import State
from services.notify.tables import deliveries
from shared.db.transaction import Reading
from shared.figures import Figure, seconds_since


async def figures(view: Reading, now: datetime) -> Sequence[Figure]:
    """Look up what is due; an index holds just these."""
    row = await view.first(
        select(
            func.count().label("waiting"),
            func.min(deliveries.c.next_attempt_at).label("first"),
        ).where(deliveries.c.state == State.DUE)
    )
    return [
        Figure(name="deliveries_due", value=row.waiting if row else 0),
        Figure(
            name="deliveries_overdue_seconds",
            value=seconds_since(row.first if row else None, now),
        ),
    ]
