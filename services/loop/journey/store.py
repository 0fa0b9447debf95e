"""Touchpoints in and out of the database, a poll's codes at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Row, select, update

from services.loop.journey.domain import OwnerRef, Touchpoint
from services.loop.journey.tables import touchpoints
from shared.db.base import among
from shared.db.transaction import Reading, Transaction


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What is known of some codes: which there are, and who owns some of them."""

    codes: frozenset[str]
    owners: Mapping[str, OwnerRef] = field(default_factory=dict)


async def look_up(view: Reading, codes: Sequence[str]) -> Seen:
    """Return which of ``codes`` are known, and the owners of those that have one."""
    if not codes:
        return Seen(codes=frozenset())
    rows = await view.all(
        select(touchpoints.c.code, touchpoints.c.owner_id, touchpoints.c.owner_kind).where(
            among(touchpoints.c.code, codes, view.dialect)
        )
    )
    return Seen(
        codes=frozenset(row.code for row in rows),
        owners={
            row.code: OwnerRef(id=row.owner_id, kind=row.owner_kind)
            for row in rows
            if row.owner_id is not None
        },
    )


async def add_unmapped(tx: Transaction, codes: Sequence[str], *, now: datetime) -> None:
    """Note codes that nobody has described; somebody else may note them at the same moment."""
    if codes:
        await tx.execute(
            tx.insert(touchpoints).on_conflict_do_nothing(index_elements=["code"]),
            [
                # In one order everywhere, so that two workers never wait for each other.
                {"code": code, "mapped": False, "first_seen_at": now, "version": 1}
                for code in sorted(codes)
            ],
        )


async def add(tx: Transaction, touchpoint: Touchpoint) -> bool:
    """Add a described touchpoint; False when its code is taken."""
    result = await tx.execute(
        tx.insert(touchpoints)
        .values(**_row(touchpoint))
        .on_conflict_do_nothing(index_elements=["code"])
    )
    return result.rowcount == 1


async def save(tx: Transaction, touchpoint: Touchpoint) -> bool:
    """Write a changed touchpoint; False when somebody changed it meanwhile."""
    result = await tx.execute(
        update(touchpoints)
        .where(
            touchpoints.c.code == touchpoint.code,
            touchpoints.c.version == touchpoint.version - 1,
        )
        .values(**_row(touchpoint))
    )
    return result.rowcount == 1


async def find(view: Reading, code: str) -> Touchpoint | None:
    """Return one touchpoint, or None."""
    row = await view.first(select(touchpoints).where(touchpoints.c.code == code))
    return None if row is None else _touchpoint(row)


async def page_of(
    view: Reading, *, after: str | None, most: int, mapped: bool | None = None
) -> Sequence[Touchpoint]:
    """Return up to ``most`` touchpoints in the order of their codes."""
    statement = select(touchpoints).order_by(touchpoints.c.code).limit(most)
    if after is not None:
        statement = statement.where(touchpoints.c.code > after)
    if mapped is not None:
        statement = statement.where(touchpoints.c.mapped.is_(mapped))
    return [_touchpoint(row) for row in await view.all(statement)]


async def named(view: Reading) -> Mapping[str, str]:
    """Return the names of all touchpoints that have one, by code."""
    rows = await view.all(
        select(touchpoints.c.code, touchpoints.c.name).where(touchpoints.c.name.is_not(None))
    )
    return {row.code: row.name for row in rows}


def _touchpoint(row: Row[Any]) -> Touchpoint:
    return Touchpoint(
        code=row.code,
        name=row.name,
        macro=row.macro,
        owner=(
            None if row.owner_id is None else OwnerRef(id=row.owner_id, kind=row.owner_kind)
        ),
        department_id=row.department_id,
        mapped=row.mapped,
        first_seen_at=row.first_seen_at,
        version=row.version,
    )


def _row(touchpoint: Touchpoint) -> dict[str, Any]:
    owner = touchpoint.owner
    return {
        "code": touchpoint.code,
        "name": touchpoint.name,
        "macro": touchpoint.macro,
        "owner_id": owner.id if owner else None,
        "owner_kind": owner.kind if owner else None,
        "department_id": touchpoint.department_id,
        "mapped": touchpoint.mapped,
        "first_seen_at": touchpoint.first_seen_at,
        "version": touchpoint.version,
    }
