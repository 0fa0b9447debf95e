"""Whose a theme is: the department that the taxonomy names, and who answers for it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from services.loop.journey import store as journey
from services.loop.journey.domain import OwnerRef, absent_at
from shared.db.transaction import Reading
from shared.identity.groups import Department, list_departments
from shared.identity.owners import able, owners, recipients_with
from shared.identity.people import first_administrator, staff_member
from shared.identity.principal import Principal, Role, Scope


class Departments:
    """Every department, found by what a taxonomy calls it: its id, or its name."""

    def __init__(self, every: Iterable[Department]) -> None:
        self.every = tuple(every)
        self._meant = {one.name.casefold(): one for one in self.every}
        self._meant |= {one.id.casefold(): one for one in self.every}

    def meant(self, name: str | None) -> Department | None:
        """Return the department of this id or name, if there is one."""
        return self._meant.get(name.strip().casefold()) if name else None

    def key(self, name: str | None) -> str:
        """Return one text for whatever means the same department; empty for nobody's."""
        part = self.meant(name)
        return part.id if part else (name or "").strip()


async def departments(view: Reading) -> Departments:
    """Return every department."""
    found: list[Department] = []
    while page := await list_departments(view, after=found[-1].id if found else None):
        found += page
    return Departments(found)


async def department_named(view: Reading, name: str) -> Department | None:
    """Return the department that a taxonomy means by this text: its id, or its name."""
    return (await departments(view)).meant(name)


async def head_of(view: Reading, name: str) -> OwnerRef | None:
    """Return who heads the department that a taxonomy names, if somebody does."""
    part = await department_named(view, name) if name else None
    head = await staff_member(view, part.head_id) if part and part.head_id else None
    return OwnerRef(id=head.id, kind="person") if head is not None and head.active else None


async def answering_for(view: Reading, name: str, *, now: datetime) -> Sequence[OwnerRef]:
    """Return who is told of a department's themes: its head, and who stands in for them.

    Where nobody heads it, or the theme is nobody's, those who look after all of it are told:
    the managers of customer experience, else the first administrator.
    """
    head = await head_of(view, name)
    if head is not None:
        return [head, *await _deputies(view, head, now)]
    managers = [one.staff_id for one in await recipients_with(view, [Role.CX_MANAGER])]
    first = await first_administrator(view)
    return _persons(managers or [first.id if first else None])


async def may_decide(view: Reading, caller: Principal, name: str, *, now: datetime) -> bool:
    """Tell whether somebody answers for a department, or for all of them."""
    if not caller.may(Scope.TASKS_WRITE):
        return False
    if caller.may(Scope.TAXONOMY_WRITE):
        return True
    part = await department_named(view, name) if name else None
    if part is None:
        return False
    if caller.role is Role.DEPARTMENT_HEAD and caller.department == part.id:
        return True
    return caller.id in {one.id for one in await answering_for(view, name, now=now)}


async def _deputies(view: Reading, head: OwnerRef, now: datetime) -> Sequence[OwnerRef]:
    """Return the head's standing deputy, and whoever stands in while they are away."""
    limit = (await journey.workloads_of(view)).get(head.id)
    away = absent_at(await journey.absences_between(view, now, now), now).get(head.id)
    ids = [one.deputy_id for one in (limit, away) if one is not None and one.deputy_id]
    can = await able(view, ids)
    known = await owners(view, [one for one in ids if one in can and one != head.id])
    return [OwnerRef(id=one.id, kind=one.kind) for one in known.values()]


def _persons(ids: Iterable[str | None]) -> Sequence[OwnerRef]:
    return [OwnerRef(id=one, kind="person") for one in dict.fromkeys(ids) if one is not None]
