"""What is not sent before somebody has mended a setting."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import delete, select

from services.notify.tables import pauses
from shared.db.transaction import Reading, Transaction


@dataclass(frozen=True, kw_only=True)
class Pause:
    """A lane that rests until its settings change or somebody says so."""

    lane: str
    reason: str
    code: int | None
    reply: str = field(repr=False)
    settings: str = field(repr=False)
    since: datetime


async def pause(tx: Transaction, begun: Pause) -> bool:
    """Let a lane rest; return whether it did not already."""
    made = await tx.execute(
        tx.insert(pauses)
        .values(
            lane=begun.lane,
            reason=begun.reason,
            code=begun.code,
            reply=begun.reply,
            settings=begun.settings,
            since=begun.since,
        )
        .on_conflict_do_nothing()
    )
    return made.rowcount == 1


async def pause_of(view: Reading, lane: str) -> Pause | None:
    """Return why a lane rests, if it does."""
    row = await view.first(select(pauses).where(pauses.c.lane == lane))
    if row is None:
        return None
    return Pause(
        lane=row.lane,
        reason=row.reason,
        code=row.code,
        reply=row.reply,
        settings=row.settings,
        since=row.since,
    )


async def end_pause(tx: Transaction, lane: str) -> bool:
    """Let a lane go on; return whether it rested."""
    result = await tx.execute(delete(pauses).where(pauses.c.lane == lane))
    return result.rowcount == 1
