"""Who answers for which touchpoint from when until when, in and out of the database."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Row, and_, case, delete, false, func, or_, select, true

from services.loop.journey.domain import OwnerRef, Ownership
from services.loop.journey.tables import touchpoint_owners, touchpoints
from shared.db.base import among
from shared.db.transaction import Reading, Transaction
from shared.identity.people import disabled

_periods = touchpoint_owners.c


def in_force_at(at: datetime) -> ColumnElement[bool]:
    """Return the condition that a period covers this moment."""
    return and_(
        _periods.valid_from <= at,
        or_(_periods.valid_until.is_(None), _periods.valid_until > at),
    )


def able() -> ColumnElement[bool]:
    """Return the condition that a period names somebody who can be given work."""
    return case(
        (_periods.owner_id.is_(None), false()),
        (_periods.owner_kind == "team", true()),
        else_=_periods.owner_id.not_in(disabled()),
    )


async def periods_of(view: Reading, code: str) -> Sequence[Ownership]:
    """Return every period of one touchpoint, the earliest first."""
    rows = await view.all(
        select(touchpoint_owners)
        .where(_periods.code == code)
        .order_by(_periods.valid_from, _periods.id)
    )
    return [_period(row) for row in rows]


async def codes_owned_by(view: Reading, owner_id: str, *, at: datetime) -> Sequence[str]:
    """Return the touchpoints that somebody owns at this moment or will own later."""
    rows = await view.all(
        select(_periods.code)
        .where(
            _periods.owner_id == owner_id,
            or_(_periods.valid_until.is_(None), _periods.valid_until > at),
        )
        .distinct()
        .order_by(_periods.code)
    )
    return [row.code for row in rows]


async def replace_periods(
    tx: Transaction, code: str, before: Sequence[Ownership], after: Sequence[Ownership]
) -> None:
    """Write what changed between the two; the touchpoint's version guards against others."""
    gone = [period for period in before if period not in after]
    new = [period for period in after if period not in before]
    # Those that go make room first: of one touchpoint no two begin at the same moment.
    if gone:
        await tx.execute(
            delete(touchpoint_owners).where(
                among(_periods.id, [period.id for period in gone], tx.dialect)
            )
        )
    if new:
        await tx.execute(touchpoint_owners.insert(), [_row(code, period) for period in new])


async def owners_at(
    view: Reading, wanted: Mapping[str, tuple[str, datetime]]
) -> Mapping[str, OwnerRef]:
    """Return who owned each of these touchpoints at its moment; both by the caller's keys.

    Missing are those that nobody owned, or somebody whose account was disabled since.
    """
    if not wanted:
        return {}
    moments = [moment for _, moment in wanted.values()]
    codes = sorted({code for code, _ in wanted.values()})
    rows = await view.all(
        select(touchpoint_owners, touchpoints.c.code.label("sent"))
        .join(
            touchpoints,
            _periods.code == func.coalesce(touchpoints.c.alias_of, touchpoints.c.code),
        )
        .where(
            among(touchpoints.c.code, codes, view.dialect),
            _periods.valid_from <= max(moments),
            or_(_periods.valid_until.is_(None), _periods.valid_until > min(moments)),
            able(),
        )
    )
    periods: dict[str, list[Ownership]] = {}
    for row in rows:
        periods.setdefault(row.sent, []).append(_period(row))
    return {
        key: period.owner
        for key, (code, moment) in wanted.items()
        for period in periods.get(code, ())
        if period.holds(moment) and period.owner is not None
    }


async def responsible_at(
    view: Reading, at: datetime
) -> Mapping[str, tuple[OwnerRef | None, str | None]]:
    """Return owner and department of every touchpoint that has one at this moment.

    An owner who can be given no work is none.
    """
    rows = await view.all(
        select(touchpoint_owners, able().label("able")).where(in_force_at(at))
    )
    return {
        row.code: (_period(row).owner if row.able else None, row.department_id) for row in rows
    }


def _period(row: Row[Any]) -> Ownership:
    return Ownership(
        id=row.id,
        owner=(
            None if row.owner_id is None else OwnerRef(id=row.owner_id, kind=row.owner_kind)
        ),
        department_id=row.department_id,
        valid_from=row.valid_from,
        valid_until=row.valid_until,
    )


def _row(code: str, period: Ownership) -> dict[str, Any]:
    return {
        "id": period.id,
        "code": code,
        "owner_id": period.owner.id if period.owner else None,
        "owner_kind": period.owner.kind if period.owner else None,
        "department_id": period.department_id,
        "valid_from": period.valid_from,
        "valid_until": period.valid_until,
    }
