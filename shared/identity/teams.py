"""Teams and departments: making and changing them. The look-ups are in ``groups``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import select, update

from shared.errors import Conflict, Finding, Invalid, NotFound, Stale
from shared.identity import audit
from shared.identity.audit import SYSTEM
from shared.identity.groups import Department, Team, department, team
from shared.identity.people import checked_email, checked_name, staff_member, wanted
from shared.identity.principal import Principal
from shared.identity.tables import departments, team_members, teams
from shared.ids import new_id

if TYPE_CHECKING:
    from datetime import datetime

    from shared.db.transaction import Reading, Transaction


async def create_team(
    tx: Transaction,
    *,
    name: str,
    now: datetime,
    email: str | None = None,
    department_id: str | None = None,
    by: Principal = SYSTEM,
) -> Team:
    """Add a team; raise ``Conflict`` when the name is taken."""
    group = Team(
        id=new_id("team"),
        name=checked_name(name),
        email=None if email is None else checked_email(email),
        department_id=department_id,
        created_at=now,
    )
    made = await tx.execute(
        tx.insert(teams)
        .values(
            id=group.id,
            name=group.name,
            email=group.email,
            department_id=department_id,
            created_at=now,
        )
        .on_conflict_do_nothing()
    )
    if made.rowcount == 0:
        raise Conflict("A team with this name exists already.", slug="name-taken")
    await audit.record(tx, by, "team.created", group.id, now=now)
    return group


async def update_team(
    tx: Transaction,
    team_id: str,
    *,
    now: datetime,
    by: Principal = SYSTEM,
    name: str | None = None,
    email: str | None = None,
    department_id: str | None = None,
) -> Team:
    """Change what is given; an empty ``email`` takes the team's own address away."""
    group = await team(tx, team_id)
    if group is None:
        raise NotFound("There is no such team.")
    values: dict[str, Any] = {}
    if name is not None and name != group.name:
        values["name"] = checked_name(name)
        if await tx.scalar(select(teams.c.id).where(teams.c.name == values["name"])):
            raise Conflict("A team with this name exists already.", slug="name-taken")
    if email is not None:
        values["email"] = checked_email(email) if email else None
    if department_id is not None:
        values["department_id"] = department_id
    if not values:
        return group
    await tx.execute(update(teams).where(teams.c.id == team_id).values(**values))
    await audit.record(tx, by, "team.changed", team_id, {"changed": sorted(values)}, now=now)
    changed = await team(tx, team_id)
    return changed or group


async def add_member(
    tx: Transaction, team_id: str, staff_id: str, *, now: datetime, by: Principal = SYSTEM
) -> None:
    """Put a person into a team. Again is no change."""
    await wanted(tx, staff_id)
    if await team(tx, team_id) is None:
        raise NotFound("There is no such team.")
    made = await tx.execute(
        tx.insert(team_members)
        .values(team_id=team_id, staff_id=staff_id)
        .on_conflict_do_nothing()
    )
    if made.rowcount:
        await audit.record(tx, by, "team.joined", team_id, {"staff": staff_id}, now=now)


async def create_department(
    tx: Transaction,
    *,
    name: str,
    now: datetime,
    head_id: str | None = None,
    by: Principal = SYSTEM,
) -> Department:
    """Add a department; raise ``Conflict`` when the name is taken."""
    if head_id is not None:
        await _check_head(tx, head_id)
    part = Department(
        id=new_id("dep"), name=checked_name(name), head_id=head_id, created_at=now
    )
    made = await tx.execute(
        tx.insert(departments)
        .values(id=part.id, name=part.name, head_id=head_id, created_at=now)
        .on_conflict_do_nothing()
    )
    if made.rowcount == 0:
        raise Conflict("A department with this name exists already.", slug="name-taken")
    await audit.record(tx, by, "department.created", part.id, now=now)
    return part


async def update_department(
    tx: Transaction,
    department_id: str,
    *,
    now: datetime,
    by: Principal = SYSTEM,
    name: str | None = None,
    head_id: str | None = None,
    expected: int | None = None,
) -> Department:
    """Change what is given; an empty ``head_id`` takes the head away.

    ``expected`` is the version the caller knows; None takes the risk of overwriting.
    """
    part = await department(tx, department_id)
    if part is None:
        raise NotFound("There is no such department. List them at /v1/departments.")
    if expected is not None and expected != part.version:
        raise _stale(part.version)
    values: dict[str, Any] = {}
    if name is not None and name != part.name:
        values["name"] = checked_name(name)
        if await tx.scalar(
            select(departments.c.id).where(departments.c.name == values["name"])
        ):
            raise Conflict("A department with this name exists already.", slug="name-taken")
    if head_id is not None and head_id != (part.head_id or ""):
        if head_id:
            await _check_head(tx, head_id)
        values["head_id"] = head_id or None
    if not values:
        return part
    changing = await tx.execute(
        update(departments)
        .where(departments.c.id == department_id, departments.c.version == part.version)
        .values(**values, version=part.version + 1)
    )
    if changing.rowcount != 1:
        raise _stale(part.version + 1)
    await audit.record(
        tx, by, "department.changed", department_id, {"changed": sorted(values)}, now=now
    )
    changed = await department(tx, department_id)
    return changed or part


async def _check_head(view: Reading, staff_id: str) -> None:
    person = await staff_member(view, staff_id)
    if person is None or not person.active:
        raise Invalid(
            "This head is nobody who works here.",
            [
                Finding(
                    pointer="/head_id",
                    code="unknown_staff",
                    detail="no active member of staff has this id",
                    fix="send an id of /v1/staff, or null for nobody",
                )
            ],
        )


def _stale(current: int) -> Stale:
    return Stale(
        "Somebody changed this department meanwhile. Read it again and repeat the change.",
        extra={"version": current},
    )
