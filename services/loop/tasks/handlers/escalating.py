"""Whom an escalation goes to, looked up when it rings: a task may have been handed on.

A lead is one of the owner's own team, a head that of the owner's department, else of the
touchpoint's. Where nobody is, everybody of that role is told, and at last an administrator: a
broken promise is never nobody's. The owner knows already.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from services.loop.journey.domain import OwnerRef
from services.loop.journey.store import find as find_touchpoint
from services.loop.tasks.domain.schemes import Level
from services.loop.tasks.domain.task import FollowUpTask
from shared.db.transaction import Reading
from shared.identity.groups import department, team
from shared.identity.owners import recipients_with
from shared.identity.people import first_administrator, members, staff_member, team_ids_of
from shared.identity.principal import Role


async def told_of(
    view: Reading, task: FollowUpTask, to: Level, *, now: datetime
) -> Sequence[OwnerRef]:
    """Return who is told of this task at a level; empty where nobody but its owner is there."""
    near = await (_leads(view, task) if to == "lead" else _heads(view, task, now))
    role = Role.LEAD if to == "lead" else Role.DEPARTMENT_HEAD
    for found in (near, [one.staff_id for one in await recipients_with(view, [role])]):
        if others := _others(found, task):
            return others
    first = await first_administrator(view)
    return _others([first.id if first else None], task)


async def _leads(view: Reading, task: FollowUpTask) -> Sequence[str]:
    is_team = task.owner.kind == "team"
    crews = [task.owner.id] if is_team else await team_ids_of(view, task.owner.id)
    return [
        person.id
        for crew in crews
        for person in await members(view, crew)
        if person.role is Role.LEAD
    ]


async def _heads(view: Reading, task: FollowUpTask, now: datetime) -> Sequence[str]:
    for department_id in await _departments(view, task, now):
        part = await department(view, department_id) if department_id else None
        head = await staff_member(view, part.head_id) if part and part.head_id else None
        if head is not None and head.active:
            return [head.id]
    return []


async def _departments(
    view: Reading, task: FollowUpTask, now: datetime
) -> Sequence[str | None]:
    """Return the departments that a task may belong to, the nearest one first."""
    if task.owner.kind == "team":
        crew = await team(view, task.owner.id)
        own = crew.department_id if crew else None
    else:
        person = await staff_member(view, task.owner.id)
        own = person.department_id if person else None
    place = await find_touchpoint(view, task.touchpoint, at=now) if task.touchpoint else None
    return [own, place.department_id if place else None]


def _others(ids: Iterable[str | None], task: FollowUpTask) -> Sequence[OwnerRef]:
    return [
        OwnerRef(id=one, kind="person")
        for one in dict.fromkeys(ids)
        if one is not None and one != task.owner.id
    ]
