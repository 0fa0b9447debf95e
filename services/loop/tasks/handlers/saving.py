"""Keeping a filter of the queue under a name: one's own, or everybody's."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from services.loop.tasks import store
from services.loop.tasks.handlers.sight import LEADING
from services.loop.tasks.store import SavedView
from shared.db.transaction import Transaction
from shared.errors import Conflict, Forbidden, NotFound
from shared.identity.principal import Principal
from shared.ids import new_id

MOST_SHARED: Final = 12
"""More nobody looks through; each further one would hide the others."""
MOST_PRIVATE: Final = 30


async def save_view(
    tx: Transaction, name: str, query: str, *, shared: bool, by: Principal, now: datetime
) -> SavedView:
    """Keep a filter; only who leads does it for everybody.

    Raises ``Conflict`` where there are as many as anybody can look through.
    """
    if shared and by.role not in LEADING:
        raise Forbidden("Views for everybody are made by leads. Save it for yourself.")
    most = MOST_SHARED if shared else MOST_PRIVATE
    if await store.number_of_saved_views(tx, staff_id=None if shared else by.id) >= most:
        raise Conflict(f"There are {most} saved views already. Delete one first.")
    saved = SavedView(
        id=new_id("viw"),
        staff_id=by.id,
        name=name,
        query=query,
        shared=shared,
        created_at=now,
    )
    await store.add_saved_view(tx, saved)
    return saved


async def forget_view(tx: Transaction, view_id: str, *, by: Principal) -> None:
    """Delete a view: one's own, or as a lead one of everybody's."""
    saved = await store.find_saved_view(tx, view_id)
    if saved is None or not may_forget(saved, by):
        raise NotFound("There is no such saved view of yours.")
    await store.drop_saved_view(tx, view_id)


def may_forget(saved: SavedView, by: Principal) -> bool:
    """Tell whether this person may delete a view."""
    return saved.staff_id == by.id or (saved.shared and by.role in LEADING)
