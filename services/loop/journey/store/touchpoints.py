"""Touchpoints in and out of the database, a poll's codes or a page of a list at a time."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import ColumnElement, Row, Select, and_, case, func, or_, select, update

from services.loop.journey.domain import Aliases, OwnerRef, Touchpoint
from services.loop.journey.store.periods import able, in_force_at
from services.loop.journey.tables import touchpoint_owners, touchpoints
from shared.db.base import among
from shared.db.transaction import Reading, Transaction

Order = Literal["code", "todo"]
"""``todo`` begins with what nobody has described, then what nobody owns."""


@dataclass(frozen=True, kw_only=True)
class TouchpointFilter:
    """Which touchpoints are wanted; a member that is None does not narrow."""

    mapped: bool | None = None
    owned: bool | None = None
    """With or without somebody who gets the tasks; what stands for another is neither."""
    text: str = ""
    """A part of the code or the name."""


async def note_unmapped(tx: Transaction, codes: Collection[str], *, now: datetime) -> None:
    """Note the codes that are new; somebody else may note them at the same moment."""
    if not codes:
        return
    rows = await tx.all(
        select(touchpoints.c.code).where(among(touchpoints.c.code, sorted(codes), tx.dialect))
    )
    # In one order everywhere, so that two workers never wait for each other.
    if fresh := sorted(set(codes) - {row.code for row in rows}):
        await tx.execute(
            tx.insert(touchpoints).on_conflict_do_nothing(index_elements=["code"]),
            [
                {"code": code, "mapped": False, "first_seen_at": now, "version": 1}
                for code in fresh
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


async def lock(tx: Transaction, codes: Collection[str]) -> None:
    """Let nobody else change these touchpoints until the end of the transaction."""
    await tx.all(
        select(touchpoints.c.code)
        .where(among(touchpoints.c.code, sorted(codes), tx.dialect))
        .order_by(touchpoints.c.code)
        .with_for_update()
    )


async def exists(view: Reading, code: str) -> bool:
    """Tell whether this code is a touchpoint."""
    return (
        await view.first(select(touchpoints.c.code).where(touchpoints.c.code == code))
        is not None
    )


async def find(view: Reading, code: str, *, at: datetime) -> Touchpoint | None:
    """Return one touchpoint with who answers for it at this moment, or None."""
    row = await view.first(_present(at).where(touchpoints.c.code == code))
    return None if row is None else _touchpoint(row)


async def page_of(
    view: Reading,
    wanted: TouchpointFilter,
    *,
    at: datetime,
    after: Sequence[Any] | None,
    most: int,
    order: Order = "code",
) -> Sequence[Touchpoint]:
    """Return up to ``most`` touchpoints behind ``after``: a code, or a rank and a code."""
    statement = _present(at).where(*_conditions(wanted)).limit(most)
    rank = _rank()
    if order == "code":
        statement = statement.order_by(touchpoints.c.code)
        if after is not None:
            statement = statement.where(touchpoints.c.code > after[0])
    else:
        statement = statement.order_by(rank, touchpoints.c.code)
        if after is not None:
            statement = statement.where(
                or_(rank > after[0], and_(rank == after[0], touchpoints.c.code > after[1]))
            )
    return [_touchpoint(row) for row in await view.all(statement)]


async def every(view: Reading, *, at: datetime) -> Sequence[Touchpoint]:
    """Return all touchpoints, for figures about the whole."""
    return [_touchpoint(row) for row in await view.all(_present(at))]


async def aliases(view: Reading) -> Aliases:
    """Return which codes stand for which others."""
    rows = await view.all(
        select(touchpoints.c.code, touchpoints.c.alias_of).where(
            touchpoints.c.alias_of.is_not(None)
        )
    )
    return Aliases(targets={row.code: row.alias_of for row in rows})


async def named(view: Reading) -> Mapping[str, str]:
    """Return what touchpoints are called, by code; a code that stands for another as that."""
    rows = await view.all(
        select(touchpoints.c.code, touchpoints.c.name, touchpoints.c.alias_of).where(
            or_(touchpoints.c.name.is_not(None), touchpoints.c.alias_of.is_not(None))
        )
    )
    names = {row.code: row.name for row in rows if row.alias_of is None}
    return names | {
        row.code: names.get(row.alias_of, row.alias_of) for row in rows if row.alias_of
    }


async def offered(view: Reading, *, mapped: bool = False, most: int = 500) -> Mapping[str, str]:
    """Return the touchpoints to choose from, by code: the described ones before the others.

    With ``mapped`` there are no others.
    """
    statement = select(touchpoints.c.code, touchpoints.c.name).where(
        touchpoints.c.alias_of.is_(None)
    )
    if mapped:
        statement = statement.where(touchpoints.c.mapped.is_(True))
    rows = await view.all(
        statement.order_by(touchpoints.c.mapped.desc(), touchpoints.c.code).limit(most)
    )
    return {row.code: row.name or row.code for row in rows}


def rank_of(touchpoint: Touchpoint) -> int:
    """Return where a touchpoint stands in the order ``todo``."""
    if not touchpoint.is_mapped:
        return 0
    return 2 if touchpoint.alias_of is not None or touchpoint.is_owned else 1


def _present(at: datetime) -> Select[Any]:
    """Return the query of touchpoints beside the period that is in force at a moment."""
    meant = func.coalesce(touchpoints.c.alias_of, touchpoints.c.code)
    return select(
        touchpoints,
        touchpoint_owners.c.owner_id,
        touchpoint_owners.c.owner_kind,
        touchpoint_owners.c.department_id,
        able().label("able"),
    ).select_from(
        touchpoints.outerjoin(
            touchpoint_owners, and_(touchpoint_owners.c.code == meant, in_force_at(at))
        )
    )


def _rank() -> ColumnElement[int]:
    return case(
        (and_(touchpoints.c.mapped.is_(False), touchpoints.c.alias_of.is_(None)), 0),
        (and_(touchpoints.c.alias_of.is_(None), ~able()), 1),
        else_=2,
    )


def _conditions(wanted: TouchpointFilter) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = []
    if wanted.mapped is not None:
        mapped = or_(touchpoints.c.mapped.is_(True), touchpoints.c.alias_of.is_not(None))
        found.append(mapped if wanted.mapped else ~mapped)
    if wanted.owned is not None:
        found.append(touchpoints.c.alias_of.is_(None))
        found.append(able() if wanted.owned else ~able())
    if wanted.text:
        found.append(
            or_(
                touchpoints.c.code.icontains(wanted.text, autoescape=True),
                touchpoints.c.name.icontains(wanted.text, autoescape=True),
            )
        )
    return found


def _touchpoint(row: Row[Any]) -> Touchpoint:
    return Touchpoint(
        code=row.code,
        name=row.name,
        macro=row.macro,
        owner=(
            None if row.owner_id is None else OwnerRef(id=row.owner_id, kind=row.owner_kind)
        ),
        owner_able=bool(row.able),
        department_id=row.department_id,
        key=row.key,
        alias_of=row.alias_of,
        mapped=row.mapped,
        first_seen_at=row.first_seen_at,
        version=row.version,
    )


def _row(touchpoint: Touchpoint) -> dict[str, Any]:
    return {
        "code": touchpoint.code,
        "name": touchpoint.name,
        "macro": touchpoint.macro,
        "key": touchpoint.key,
        "alias_of": touchpoint.alias_of,
        "mapped": touchpoint.mapped,
        "first_seen_at": touchpoint.first_seen_at,
        "version": touchpoint.version,
    }
