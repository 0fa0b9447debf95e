"""What was done to many tasks at once, kept for as long as it can be taken back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Literal

from pydantic import TypeAdapter
from sqlalchemy import delete, select

from services.loop.tasks.tables import bulk_acts
from shared.db.transaction import Reading, Transaction

BulkName = Literal["assign", "snooze", "wait", "close"]


@dataclass(frozen=True, kw_only=True)
class BulkItem:
    """One task that was changed: as which version it stands there, and whose it was."""

    task_id: str
    version: int
    owner_id: str
    owner_kind: Literal["person", "team"]


@dataclass(frozen=True, kw_only=True)
class BulkAct:
    """The same act on many tasks."""

    id: str
    staff_id: str
    act: BulkName
    done: Sequence[BulkItem]
    at: datetime


_items: TypeAdapter[list[BulkItem]] = TypeAdapter(list[BulkItem])


async def add_bulk(tx: Transaction, bulk: BulkAct, *, forget_before: datetime) -> None:
    """Keep one, and forget what can no longer be taken back."""
    await tx.execute(delete(bulk_acts).where(bulk_acts.c.at < forget_before))
    await tx.execute(
        bulk_acts.insert().values(
            id=bulk.id,
            staff_id=bulk.staff_id,
            act=bulk.act,
            done=[asdict(item) for item in bulk.done],
            at=bulk.at,
        )
    )


async def find_bulk(
    view: Reading, bulk_id: str, *, staff_id: str, since: datetime
) -> BulkAct | None:
    """Return one that this person did since then."""
    row = await view.first(
        select(bulk_acts).where(
            bulk_acts.c.id == bulk_id,
            bulk_acts.c.staff_id == staff_id,
            bulk_acts.c.at >= since,
        )
    )
    if row is None:
        return None
    return BulkAct(
        id=row.id,
        staff_id=row.staff_id,
        act=row.act,
        done=_items.validate_python(row.done),
        at=row.at,
    )


async def drop_bulk(tx: Transaction, bulk_id: str) -> bool:
    """Forget one; return whether it was still there, so that it is taken back once."""
    result = await tx.execute(delete(bulk_acts).where(bulk_acts.c.id == bulk_id))
    return result.rowcount == 1
