"""Facts about the installation: a name and a text each, for what is no setting and no list."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import delete, select

from shared.identity.tables import installation

if TYPE_CHECKING:
    from datetime import datetime

    from shared.db.transaction import Reading, Transaction


async def facts(view: Reading, *names: str) -> dict[str, str]:
    """Return those of these facts that are known."""
    rows = await view.all(
        select(installation.c.name, installation.c.value).where(installation.c.name.in_(names))
    )
    return {row.name: row.value for row in rows}


async def fact(view: Reading, name: str, *, locked: bool = False) -> str | None:
    """Return one fact, or None; locked until the commit if asked for."""
    query = select(installation.c.value).where(installation.c.name == name)
    value: str | None = await view.scalar(query.with_for_update() if locked else query)
    return value


async def keep(tx: Transaction, name: str, value: str, now: datetime) -> None:
    """Write a fact, in the place of what was known."""
    values = {"value": value, "changed_at": now}
    await tx.execute(
        tx.insert(installation)
        .values(name=name, **values)
        .on_conflict_do_update(index_elements=["name"], set_=values)
    )


async def begin(tx: Transaction, name: str, value: str, now: datetime) -> None:
    """Write a fact that is not there yet; one that is stays."""
    await tx.execute(
        tx.insert(installation)
        .values(name=name, value=value, changed_at=now)
        .on_conflict_do_nothing()
    )


async def drop(tx: Transaction, name: str) -> None:
    """Forget a fact."""
    await tx.execute(delete(installation).where(installation.c.name == name))
