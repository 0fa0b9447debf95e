"""Who keeps a promise, a person or a team, and where a message reaches them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from sqlalchemy import Table, func, or_, select

from shared.db.base import among
from shared.identity.groups import team
from shared.identity.people import (
    Staff,
    find_staff,
    first_administrator,
    list_staff,
    members,
    staff_member,
    team_ids_of,
)
from shared.identity.tables import staff, teams

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from shared.db.transaction import Reading
    from shared.identity.principal import Role

OwnerKind = Literal["person", "team"]


@dataclass(frozen=True, kw_only=True)
class Owner:
    """Who keeps a promise: a person or a team."""

    id: str
    name: str
    kind: OwnerKind
    email: str | None


@dataclass(frozen=True, kw_only=True)
class Recipient:
    """One mailbox, and how to write to it; a team's own mailbox has no ``staff_id``."""

    email: str
    language: str
    time_zone: str
    staff_id: str | None


async def find_owner(view: Reading, owner_id: str, kind: OwnerKind) -> Owner | None:
    """Return the owner, also one who was disabled meanwhile; None when there never was one."""
    found = (await owners(view, [owner_id])).get(owner_id)
    return found if found is not None and found.kind == kind else None


async def owners(view: Reading, ids: Iterable[str]) -> Mapping[str, Owner]:
    """Return the persons and teams behind these ids; unknown ids are absent."""
    wanted = list(dict.fromkeys(ids))
    if not wanted:
        return {}
    found: dict[str, Owner] = {}
    kinds: tuple[tuple[OwnerKind, Table], ...] = (("person", staff), ("team", teams))
    for kind, table in kinds:
        columns = table.c
        for row in await view.all(
            select(columns.id, columns.name, columns.email).where(
                among(columns.id, wanted, view.dialect)
            )
        ):
            found[row.id] = Owner(id=row.id, name=row.name, kind=kind, email=row.email)
    return found


async def able(view: Reading, ids: Iterable[str]) -> frozenset[str]:
    """Return those of these persons and teams who can be given work."""
    wanted = list(dict.fromkeys(ids))
    if not wanted:
        return frozenset()
    persons = select(staff.c.id).where(
        among(staff.c.id, wanted, view.dialect), staff.c.disabled_at.is_(None)
    )
    groups = select(teams.c.id).where(among(teams.c.id, wanted, view.dialect))
    rows = [*await view.all(persons), *await view.all(groups)]
    return frozenset(row.id for row in rows)


async def owners_named(view: Reading, texts: Iterable[str]) -> Mapping[str, str]:
    """Return the ids of the persons and teams that other systems mean by these texts.

    A text is an id, an address, or a name that only one person or team has, in any case.
    Texts that mean nobody, or more than one, are absent.
    """
    wanted = {text: text.strip().casefold() for text in texts}
    if not wanted:
        return {}
    # As it was written too: SQLite knows small letters of the Latin alphabet only.
    plain = sorted({*wanted.values(), *(text.strip() for text in wanted)})
    found: dict[str, set[str]] = {}
    for table in (staff, teams):
        columns = table.c
        for column in (columns.id, columns.email, columns.name):
            rows = await view.all(
                select(columns.id, column.label("said")).where(
                    or_(
                        among(column, plain, view.dialect),
                        among(func.lower(column), plain, view.dialect),
                    )
                )
            )
            for row in rows:
                found.setdefault(row.said.casefold(), set()).add(row.id)
    return {
        text: next(iter(ids))
        for text, said in wanted.items()
        if len(ids := found.get(said, set())) == 1
    }


async def addresses_of(view: Reading, owner_id: str, kind: OwnerKind) -> Sequence[Recipient]:
    """Return where a message to this owner goes; empty only without any administrator.

    A person: their address. A team: its own address, else its members'. When nobody is left
    (disabled, empty, unknown) the first administrator, so that no promise is nobody's.
    """
    if kind == "person":
        person = await staff_member(view, owner_id)
        if person is not None and person.active:
            return [_mailbox(person)]
    else:
        group = await team(view, owner_id)
        if group is not None and group.email:
            keeper = await find_staff(view, group.email)
            return [
                Recipient(
                    email=group.email,
                    language=keeper.language if keeper else "en",
                    time_zone=keeper.time_zone if keeper else "UTC",
                    staff_id=None,
                )
            ]
        if crew := [m for m in await members(view, owner_id) if m.active]:
            return [_mailbox(member) for member in crew]
    first = await first_administrator(view)
    return [_mailbox(first)] if first else []


async def colleagues_of(view: Reading, owner_id: str, kind: OwnerKind) -> Sequence[Recipient]:
    """Return who stands in for this owner: a team's members, a person's fellow members."""
    crews = [owner_id] if kind == "team" else await team_ids_of(view, owner_id)
    found = {m.id: m for crew in crews for m in await members(view, crew) if m.active}
    return [_mailbox(person) for person in found.values() if person.id != owner_id]


async def recipients_with(view: Reading, roles: Iterable[Role]) -> Sequence[Recipient]:
    """Return everybody active who has one of these roles."""
    wanted = frozenset(roles)
    found: list[Staff] = []
    while page := await list_staff(view, after=found[-1].id if found else None):
        found += page
    return [_mailbox(person) for person in found if person.role in wanted]


def _mailbox(person: Staff) -> Recipient:
    return Recipient(
        email=person.email,
        language=person.language,
        time_zone=person.time_zone,
        staff_id=person.id,
    )
