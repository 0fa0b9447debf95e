"""Mailboxes that nothing is sent to, because they are dead."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Row, delete, select

from services.notify.tables import suppressions
from shared.db.transaction import Reading, Transaction
from shared.ids import new_id


@dataclass(frozen=True, kw_only=True)
class Suppression:
    """A mailbox that nothing is sent to, and the delivery that found it dead."""

    id: str
    address: str = field(repr=False)
    reason: str
    code: int | None
    delivery_id: str
    created_at: datetime


async def suppress(
    tx: Transaction,
    address: str,
    *,
    reason: str,
    code: int | None,
    delivery_id: str,
    now: datetime,
) -> str | None:
    """Send nothing there from now on; return the id, None where it was so already."""
    suppression_id = new_id("sup")
    made = await tx.execute(
        tx.insert(suppressions)
        .values(
            id=suppression_id,
            address=address.lower(),
            reason=reason,
            code=code,
            delivery_id=delivery_id,
            created_at=now,
        )
        .on_conflict_do_nothing()
    )
    return suppression_id if made.rowcount else None


async def suppressed_among(view: Reading, addresses: Sequence[str]) -> frozenset[str]:
    """Return those of these addresses, in lower case, that nothing is sent to."""
    wanted = sorted({address.lower() for address in addresses})
    if not wanted:
        return frozenset()
    rows = await view.all(
        select(suppressions.c.address).where(suppressions.c.address.in_(wanted))
    )
    return frozenset(row.address for row in rows)


async def list_suppressions(
    view: Reading, *, limit: int, before: str | None = None
) -> Sequence[Suppression]:
    """Return suppressed mailboxes, newest first, behind the id ``before``."""
    query = select(suppressions).order_by(suppressions.c.id.desc()).limit(limit)
    if before is not None:
        query = query.where(suppressions.c.id < before)
    return [_suppression(row) for row in await view.all(query)]


async def drop_suppression(tx: Transaction, suppression_id: str) -> Suppression | None:
    """Let mail be sent there again; return what was so far, if anything was."""
    rows = await tx.all(
        delete(suppressions)
        .where(suppressions.c.id == suppression_id)
        .returning(*suppressions.c)
    )
    return _suppression(rows[0]) if rows else None


def _suppression(row: Row[Any]) -> Suppression:
    return Suppression(
        id=row.id,
        address=row.address,
        reason=row.reason,
        code=row.code,
        delivery_id=row.delivery_id,
        created_at=row.created_at,
    )
