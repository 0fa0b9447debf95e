"""Filters of the queue that people keep under a name, for themselves or for everybody."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import delete, func, or_, select

from services.loop.tasks.tables import saved_views
from shared.db.transaction import Reading, Transaction


@dataclass(frozen=True, kw_only=True)
class SavedView:
    """One filter under its name."""

    id: str
    staff_id: str
    name: str
    query: str
    shared: bool
    created_at: datetime


async def saved_views_of(view: Reading, staff_id: str) -> Sequence[SavedView]:
    """Return the shared views and this person's own, by name."""
    rows = await view.all(
        select(saved_views)
        .where(or_(saved_views.c.shared.is_(True), saved_views.c.staff_id == staff_id))
        .order_by(saved_views.c.name, saved_views.c.id)
    )
    return [SavedView(**row._mapping) for row in rows]  # noqa: SLF001 - the row's documented mapping


async def number_of_saved_views(view: Reading, *, staff_id: str | None) -> int:
    """Count one person's private views, or all shared ones."""
    columns = saved_views.c
    own: list[Any] = [columns.shared.is_(False), columns.staff_id == staff_id]
    wanted = [columns.shared.is_(True)] if staff_id is None else own
    found = select(func.count()).select_from(saved_views).where(*wanted)
    return int(await view.scalar(found))


async def add_saved_view(tx: Transaction, saved: SavedView) -> None:
    """Keep one more."""
    await tx.execute(saved_views.insert().values(**asdict(saved)))


async def find_saved_view(view: Reading, view_id: str) -> SavedView | None:
    """Return one."""
    row = await view.first(select(saved_views).where(saved_views.c.id == view_id))
    return None if row is None else SavedView(**row._mapping)  # noqa: SLF001 - as above


async def drop_saved_view(tx: Transaction, view_id: str) -> None:
    """Forget one."""
    await tx.execute(delete(saved_views).where(saved_views.c.id == view_id))
