"""What goes with sample data: codes that nothing names any more, and who answered for them."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from sqlalchemy import delete, exists, select, update

from services.loop.journey.domain import ListKind
from services.loop.journey.tables import absences, codes, touchpoint_owners, touchpoints
from shared.db.base import among
from shared.db.transaction import Reading, Transaction


async def remove_seen(tx: Transaction, unnamed: Mapping[str, Collection[str]]) -> None:
    """Forget codes, by kind, that were merely seen: nobody has said anything of them."""
    others = touchpoints.alias("others")
    if places := sorted(unnamed.get("touchpoint", ())):
        await tx.execute(
            delete(touchpoints).where(
                among(touchpoints.c.code, places, tx.dialect),
                touchpoints.c.mapped.is_(False),
                touchpoints.c.alias_of.is_(None),
                ~exists().where(others.c.alias_of == touchpoints.c.code),
            )
        )
    for kind in sorted(unnamed.keys() - {"touchpoint"}):
        await tx.execute(
            delete(codes).where(
                codes.c.kind == kind,
                among(codes.c.code, sorted(unnamed[kind]), tx.dialect),
                codes.c.described.is_(False),
                codes.c.alias_of.is_(None),
            )
        )


async def remove_touchpoints(tx: Transaction, unnamed: Collection[str]) -> None:
    """Remove these touchpoints with their owners; what another one stands for stays."""
    if not unnamed:
        return
    wanted = sorted(unnamed)
    others = touchpoints.alias("others")
    await tx.execute(
        update(touchpoints)
        .where(among(touchpoints.c.code, wanted, tx.dialect))
        .values(alias_of=None)
    )
    rows = await tx.all(
        select(touchpoints.c.code).where(
            among(touchpoints.c.code, wanted, tx.dialect),
            ~exists().where(others.c.alias_of == touchpoints.c.code),
        )
    )
    gone = sorted(row.code for row in rows)
    await tx.execute(
        delete(touchpoint_owners).where(among(touchpoint_owners.c.code, gone, tx.dialect))
    )
    await tx.execute(delete(touchpoints).where(among(touchpoints.c.code, gone, tx.dialect)))


async def remove_codes(tx: Transaction, kind: ListKind, unnamed: Collection[str]) -> None:
    """Remove these codes from a list."""
    if unnamed:
        await tx.execute(
            delete(codes).where(
                codes.c.kind == kind, among(codes.c.code, sorted(unnamed), tx.dialect)
            )
        )


async def departments_in_use(view: Reading) -> frozenset[str]:
    """Return the departments that answer, answered or will answer for a touchpoint."""
    rows = await view.all(select(touchpoint_owners.c.department_id).distinct())
    return frozenset(row.department_id for row in rows if row.department_id)


async def people_in_use(view: Reading) -> frozenset[str]:
    """Return the people who answer for a touchpoint, or stand in for somebody."""
    columns = (touchpoint_owners.c.owner_id, absences.c.staff_id, absences.c.deputy_id)
    found: set[str] = set()
    for column in columns:
        rows = await view.all(select(column.label("id")).distinct())
        found |= {row.id for row in rows if row.id}
    return frozenset(found)
