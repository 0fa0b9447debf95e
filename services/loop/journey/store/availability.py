"""Who is absent or has as much as they can do, in and out of the database."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from sqlalchemy import delete, or_, select, update

from services.loop.journey.domain import Absence, Workload
from services.loop.journey.tables import absences, workloads
from shared.db.transaction import Reading, Transaction


async def absences_between(
    view: Reading, first: datetime, last: datetime | None
) -> Sequence[Absence]:
    """Return who is absent at some moment from ``first`` to ``last``, the earliest first."""
    query = select(absences).where(
        or_(absences.c.ends_at.is_(None), absences.c.ends_at > first)
    )
    if last is not None:
        query = query.where(absences.c.begins_at <= last)
    rows = await view.all(query.order_by(absences.c.begins_at, absences.c.id))
    return [Absence(**row._mapping) for row in rows]  # noqa: SLF001 - its documented mapping


async def find_absence(view: Reading, absence_id: str) -> Absence | None:
    """Return one absence, or None."""
    row = await view.first(select(absences).where(absences.c.id == absence_id))
    return None if row is None else Absence(**row._mapping)  # noqa: SLF001 - as above


async def add_absence(tx: Transaction, new: Absence) -> None:
    """Add an absence."""
    await tx.execute(
        absences.insert().values(
            id=new.id,
            staff_id=new.staff_id,
            deputy_id=new.deputy_id,
            begins_at=new.begins_at,
            ends_at=new.ends_at,
        )
    )


async def end_absence(tx: Transaction, absence_id: str, *, at: datetime) -> None:
    """Let an absence end now, or never have been when it has not begun."""
    await tx.execute(
        delete(absences).where(absences.c.id == absence_id, absences.c.begins_at >= at)
    )
    await tx.execute(
        update(absences)
        .where(absences.c.id == absence_id, absences.c.begins_at < at)
        .values(ends_at=at)
    )


async def workloads_of(view: Reading) -> Mapping[str, Workload]:
    """Return the limits of everybody who has one, by person."""
    rows = await view.all(select(workloads))
    return {row.staff_id: Workload(**row._mapping) for row in rows}  # noqa: SLF001 - as above


async def save_workload(tx: Transaction, new: Workload) -> bool:
    """Write somebody's limit; False when it was changed since the version before this one."""
    values = {
        "most_open": new.most_open,
        "deputy_id": new.deputy_id,
        "version": new.version,
    }
    if new.version == 1:
        made = await tx.execute(
            tx.insert(workloads)
            .values(staff_id=new.staff_id, **values)
            .on_conflict_do_nothing(index_elements=["staff_id"])
        )
    else:
        made = await tx.execute(
            update(workloads)
            .where(workloads.c.staff_id == new.staff_id, workloads.c.version == new.version - 1)
            .values(**values)
        )
    return made.rowcount == 1
