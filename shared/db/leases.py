"""Work that only one worker at a time may do, held by a token and the database's clock."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import and_, delete, or_, select, update

from shared.db.base import epoch_now, metadata
from shared.db.plumbing import leases

if TYPE_CHECKING:
    from datetime import timedelta

    from shared.db.transaction import Transaction


async def take(tx: Transaction, name: str, *, token: str, lasting: timedelta) -> bool:
    """Take or prolong the lease ``name``; False while another token holds it."""
    until = epoch_now() + lasting.total_seconds()
    statement = tx.insert(leases).values(name=name, token=token, lease_until=until)
    statement = statement.on_conflict_do_update(
        index_elements=[leases.c.name],
        set_={"token": token, "lease_until": until},
        where=or_(leases.c.token == token, leases.c.lease_until < epoch_now()),
    )
    await tx.execute(statement)
    holder: str | None = await tx.scalar(select(leases.c.token).where(leases.c.name == name))
    return holder == token


async def forget_all(tx: Transaction) -> None:
    """Free everything that a former process had claimed.

    Only for SQLite, where this process alone holds the file: whoever claimed is dead, and
    nobody need wait until the leases run out.
    """
    await tx.execute(delete(leases))
    for table in metadata.tables.values():
        if table is not leases and "lease_until" in table.c:
            await tx.execute(
                update(table).where(table.c.lease_until.is_not(None)).values(lease_until=0)
            )


async def give_back(tx: Transaction, name: str, *, token: str) -> None:
    """Let go of the lease so that the next worker need not wait for it to run out."""
    await tx.execute(delete(leases).where(and_(leases.c.name == name, leases.c.token == token)))
