"""How much is open with whom, and for how long customers have waited."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from sqlalchemy import ColumnElement, and_, case, func, select

from services.loop.tasks.tables import tasks
from shared.db.transaction import Reading


@dataclass(frozen=True, kw_only=True)
class Load:
    """What one person or team has to do."""

    owner_id: str
    kind: Literal["person", "team"]
    open: int
    late: int
    waiting: int


async def loads(view: Reading, *, now: datetime) -> Sequence[Load]:
    """Return the open tasks of everybody who has some."""
    columns = tasks.c
    rows = await view.all(
        select(
            columns.owner_id,
            columns.owner_kind,
            func.count().label("open"),
            _number(columns.next_due_at < now).label("late"),
            _number(columns.state.in_(["waiting_customer", "waiting_internal"])).label(
                "waiting"
            ),
        )
        .where(columns.ended_at.is_(None))
        .group_by(columns.owner_id, columns.owner_kind)
    )
    return [
        Load(
            owner_id=row.owner_id,
            kind=row.owner_kind,
            open=row.open,
            late=row.late,
            waiting=row.waiting,
        )
        for row in rows
    ]


async def ages(view: Reading, borders: Mapping[str, datetime]) -> Mapping[str, int]:
    """Count the open tasks whose customers have waited since before each of these moments."""
    columns = [
        _number(tasks.c.waiting_since <= border).label(name) for name, border in borders.items()
    ]
    row = await view.first(select(*columns).where(tasks.c.ended_at.is_(None)))
    assert row is not None  # noqa: S101 - an aggregate without GROUP BY has one row
    return {name: int(getattr(row, name)) for name in borders}


def _number(*conditions: ColumnElement[bool]) -> ColumnElement[int]:
    return func.coalesce(func.sum(case((and_(*conditions), 1), else_=0)), 0)
