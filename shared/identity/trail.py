"""Reading the audit trail: by who, what, about what and when, the latest first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import func, select

from shared.db.base import among
from shared.identity.audit import SYSTEM
from shared.identity.owners import owners
from shared.identity.tables import api_keys, audit, staff

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from sqlalchemy import Row, Select

    from shared.db.transaction import Reading

ANY: Final = ".*"
"""Ends a filter that takes every deed on one kind of thing, such as ``webhook.*``."""


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One line of the trail."""

    n: int
    at: datetime
    actor_kind: str
    actor_id: str
    action: str
    subject: str
    detail: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Sought:
    """Which lines somebody wants; what is None is not asked for."""

    actor: str | None = None
    action: str | None = None
    """A name such as ``key.revoked``, or ``key.*``."""
    subject: str | None = None
    since: datetime | None = None
    until: datetime | None = None

    def names(self) -> list[str]:
        """Return which filters are in use, without what they say."""
        return [name for name, value in vars(self).items() if value is not None]


async def entries(
    view: Reading, sought: Sought, *, before: int | None, limit: int
) -> Sequence[Entry]:
    """Return up to ``limit`` lines, the latest first; ``before`` is the last one seen."""
    query = _narrowed(select(audit), sought).order_by(audit.c.n.desc()).limit(limit)
    if before is not None:
        query = query.where(audit.c.n < before)
    return [_entry(row) for row in await view.all(query)]


async def count(view: Reading, sought: Sought) -> int:
    """Return how many lines there are."""
    found = await view.scalar(_narrowed(select(func.count()).select_from(audit), sought))
    return int(found)


async def latest(view: Reading) -> int:
    """Return the number of the last line; 0 while there is none."""
    return int(await view.scalar(select(func.max(audit.c.n))) or 0)


async def names_of(view: Reading, ids: Iterable[str]) -> Mapping[str, str]:
    """Return what people, teams and keys are called; other ids are absent."""
    wanted = sorted(set(ids))
    found = {one.id: one.name for one in (await owners(view, wanted)).values()}
    keys = select(api_keys.c.id, api_keys.c.name).where(
        among(api_keys.c.id, wanted, view.dialect)
    )
    return {
        **found,
        **{row.id: row.name for row in await view.all(keys)},
        SYSTEM.id: SYSTEM.name,
    }


async def actors(view: Reading) -> Sequence[tuple[str, str]]:
    """Return everybody who may stand in the trail, by name: ids and names."""
    people = await view.all(select(staff.c.id, staff.c.name))
    keys = await view.all(select(api_keys.c.id, api_keys.c.name))
    named = [(row.id, row.name) for row in (*people, *keys)]
    return [(SYSTEM.id, SYSTEM.name), *sorted(named, key=lambda one: one[1].casefold())]


def _narrowed(query: Select[Any], sought: Sought) -> Select[Any]:
    if sought.actor is not None:
        query = query.where(audit.c.actor_id == sought.actor)
    if sought.action is not None and sought.action.endswith(ANY):
        kind = sought.action.removesuffix("*")
        query = query.where(audit.c.action.startswith(kind, autoescape=True))
    elif sought.action is not None:
        query = query.where(audit.c.action == sought.action)
    if sought.subject is not None:
        query = query.where(audit.c.subject == sought.subject)
    if sought.since is not None:
        query = query.where(audit.c.at >= sought.since)
    if sought.until is not None:
        query = query.where(audit.c.at < sought.until)
    return query


def _entry(row: Row[Any]) -> Entry:
    return Entry(
        n=row.n,
        at=row.at,
        actor_kind=row.actor_kind,
        actor_id=row.actor_id,
        action=row.action,
        subject=row.subject,
        detail=row.detail,
    )
