"""Teams and departments, looked up. Making and changing them stands in ``teams``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import Row, select

from shared.identity.tables import departments, staff, team_members, teams

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from shared.db.transaction import Reading

DEFAULT_TEAM = "team_customer_care"


@dataclass(frozen=True, kw_only=True)
class Team:
    """A group of staff that can hold unclaimed work."""

    id: str
    name: str
    email: str | None
    department_id: str | None
    created_at: datetime


@dataclass(frozen=True, kw_only=True)
class Department:
    """A part of the organisation that answers digests."""

    id: str
    name: str
    head_id: str | None
    created_at: datetime
    version: int = 1


async def team(view: Reading, team_id: str) -> Team | None:
    """Return one team."""
    row = await view.first(select(teams).where(teams.c.id == team_id))
    return _team(row) if row else None


async def list_teams(
    view: Reading, *, limit: int = 200, after: str | None = None
) -> Sequence[Team]:
    """Return teams in the order of their ids, beginning behind the id ``after``."""
    query = select(teams).order_by(teams.c.id).limit(limit)
    if after is not None:
        query = query.where(teams.c.id > after)
    return [_team(row) for row in await view.all(query)]


async def teams_without_members(view: Reading) -> frozenset[str]:
    """Return the teams that nobody active belongs to."""
    crew = (
        select(team_members.c.staff_id)
        .join(staff, staff.c.id == team_members.c.staff_id)
        .where(team_members.c.team_id == teams.c.id, staff.c.disabled_at.is_(None))
    )
    rows = await view.all(select(teams.c.id).where(~crew.exists()))
    return frozenset(row.id for row in rows)


async def department(view: Reading, department_id: str) -> Department | None:
    """Return one department."""
    row = await view.first(select(departments).where(departments.c.id == department_id))
    return _department(row) if row else None


async def list_departments(
    view: Reading, *, limit: int = 200, after: str | None = None
) -> Sequence[Department]:
    """Return departments in the order of their ids, beginning behind the id ``after``."""
    query = select(departments).order_by(departments.c.id).limit(limit)
    if after is not None:
        query = query.where(departments.c.id > after)
    return [_department(row) for row in await view.all(query)]


def _team(row: Row[Any]) -> Team:
    return Team(
        id=row.id,
        name=row.name,
        email=row.email,
        department_id=row.department_id,
        created_at=row.created_at,
    )


def _department(row: Row[Any]) -> Department:
    return Department(
        id=row.id,
        name=row.name,
        head_id=row.head_id,
        created_at=row.created_at,
        version=row.version,
    )
