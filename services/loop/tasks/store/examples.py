"""Tasks that colleagues may learn from, the latest first."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import select, tuple_

from services.loop.tasks.domain.task import FollowUpTask
from services.loop.tasks.store.rows import task_of
from services.loop.tasks.tables import tasks
from services.loop.themes.store import responses_touching
from shared.db.transaction import Reading


async def examples_of(
    view: Reading,
    *,
    theme: str | None,
    touchpoints: frozenset[str] | None,
    after: Sequence[Any] | None,
    most: int,
) -> Sequence[FollowUpTask]:
    """Return up to ``most`` examples behind ``after`` = (moment, id)."""
    moment = tasks.c.example_at
    statement = select(tasks).where(moment.is_not(None))
    if theme is not None:
        statement = statement.where(tasks.c.response_id.in_(responses_touching(theme)))
    if touchpoints is not None:
        statement = statement.where(tasks.c.touchpoint.in_(sorted(touchpoints)))
    if after is not None:
        place = tuple_(
            datetime.fromisoformat(after[0]), after[1], types=[moment.type, tasks.c.id.type]
        )
        statement = statement.where(tuple_(moment, tasks.c.id) < place)
    order = (moment.desc(), tasks.c.id.desc())
    return [task_of(row) for row in await view.all(statement.order_by(*order).limit(most))]
