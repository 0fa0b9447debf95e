"""The moments that service levels are counted from, without reading what was done."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from pydantic import TypeAdapter
from sqlalchemy import select

from services.loop.tasks.domain.levels import Timed
from services.loop.tasks.domain.schemes import SchemeRef
from services.loop.tasks.tables import tasks
from shared.db.transaction import Reading

_ref: TypeAdapter[SchemeRef] = TypeAdapter(SchemeRef)
_MOMENTS = (
    "opened_at",
    "waiting_since",
    "first_contact_at",
    "first_contact_due_at",
    "ended_at",
    "due_at",
    "paused_since",
)


async def timed_between(view: Reading, since: datetime, before: datetime) -> Sequence[Timed]:
    """Return the moments of the tasks that opened in ``[since, before)``."""
    reason = tasks.c.record["closure"]["reason"].as_string().label("close_reason")
    rows = await view.all(
        select(tasks.c.scheme, reason, *(tasks.c[name] for name in _MOMENTS)).where(
            tasks.c.opened_at >= since, tasks.c.opened_at < before
        )
    )
    return [
        Timed(
            scheme=_ref.validate_python(row.scheme),
            close_reason=row.close_reason,
            **{name: getattr(row, name) for name in _MOMENTS},
        )
        for row in rows
    ]
