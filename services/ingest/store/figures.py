"""What ingest promises, as numbers: how many responses wait for the loop, and since when."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import func, select

from services.ingest.tables import responses
from shared.db.transaction import Reading
from shared.figures import Figure, seconds_since


async def figures(view: Reading, now: datetime) -> Sequence[Figure]:
    """Look up what was announced and not answered yet; an index holds just these."""
    row = await view.first(
        select(
            func.count().label("waiting"), func.min(responses.c.announced_at).label("oldest")
        ).where(responses.c.announce_again_at.is_not(None))
    )
    return [
        Figure(name="responses_unhandled", value=row.waiting if row else 0),
        Figure(
            name="responses_unhandled_oldest_seconds",
            value=seconds_since(row.oldest if row else None, now),
        ),
    ]
