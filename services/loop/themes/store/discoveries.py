"""What was discovered, night by night, in and out of the database."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from sqlalchemy import Row, and_, bindparam, delete, func, or_, select, update

from services.loop.themes.domain.discoveries import Discovery, State
from services.loop.themes.tables import discoveries, discovery_members, discovery_nights
from shared.db.base import among
from shared.db.transaction import Reading, Transaction

_MEMBERS = tuple(member.name for member in fields(Discovery))
_AT_ONCE = 1_000


@dataclass(frozen=True, kw_only=True)
class Night:
    """One look through the comments without a theme."""

    night: datetime
    """The quiet hour it was due at."""
    ended_at: datetime
    taxonomy_version: int
    read: int
    found: int


@dataclass(frozen=True, kw_only=True)
class Member:
    """A response of a group; ``typical`` is 1 to 3 for those that show best what it is."""

    response_id: str
    person_ref: str
    typical: int | None


async def last_night(view: Reading) -> Night | None:
    """Return the latest night, or None before the first."""
    row = await view.first(
        select(discovery_nights).order_by(discovery_nights.c.night.desc()).limit(1)
    )
    return None if row is None else Night(**row._asdict())


async def note_night(tx: Transaction, night: Night) -> bool:
    """Write down that a night is done; False where somebody else did it already."""
    added = await tx.execute(
        tx.insert(discovery_nights)
        .values({member.name: getattr(night, member.name) for member in fields(Night)})
        .on_conflict_do_nothing(index_elements=["night"])
    )
    return added.rowcount == 1


async def find_discovery(
    view: Reading, discovery_id: str, *, to_change: bool = False
) -> Discovery | None:
    """Return one group, or None; nobody else may change it meanwhile if asked for."""
    query = select(discoveries).where(discoveries.c.id == discovery_id)
    row = await view.first(query.with_for_update() if to_change else query)
    return None if row is None else _discovery(row)


async def all_to_change(tx: Transaction) -> Sequence[Discovery]:
    """Return every group there is; nobody else may change them meanwhile."""
    rows = await tx.all(select(discoveries).order_by(discoveries.c.id).with_for_update())
    return [_discovery(row) for row in rows]


async def list_discoveries(
    view: Reading, state: State, *, after: tuple[int, str] | None = None, most: int
) -> Sequence[Discovery]:
    """Return the groups in one state, the largest first; ``after`` is a size and an id."""
    column = discoveries.c
    statement = (
        select(discoveries)
        .where(column.state == state)
        .order_by(column.size.desc(), column.id)
        .limit(most)
    )
    if after is not None:
        size, last = after
        statement = statement.where(
            or_(column.size < size, and_(column.size == size, column.id > last))
        )
    return [_discovery(row) for row in await view.all(statement)]


async def count_discoveries(view: Reading) -> Mapping[str, int]:
    """Return how many groups there are in each state that has any."""
    rows = await view.all(
        select(discoveries.c.state, func.count().label("n")).group_by(discoveries.c.state)
    )
    return {row.state: int(row.n) for row in rows}


async def members_of(view: Reading, ids: Collection[str]) -> Mapping[str, Sequence[str]]:
    """Return the responses of each of these groups."""
    found: dict[str, list[str]] = {one: [] for one in ids}
    column = discovery_members.c
    for row in await view.all(
        select(column.discovery_id, column.response_id)
        .where(among(column.discovery_id, sorted(ids), view.dialect))
        .order_by(column.response_id)
    ):
        found[row.discovery_id].append(row.response_id)
    return found


async def typical_of(view: Reading, ids: Collection[str]) -> Mapping[str, Sequence[str]]:
    """Return the responses that show best what each of these groups is about."""
    found: dict[str, list[str]] = {one: [] for one in ids}
    column = discovery_members.c
    for row in await view.all(
        select(column.discovery_id, column.response_id)
        .where(
            among(column.discovery_id, sorted(ids), view.dialect), column.typical.is_not(None)
        )
        .order_by(column.typical)
    ):
        found[row.discovery_id].append(row.response_id)
    return found


async def add_discoveries(tx: Transaction, new: Sequence[Discovery]) -> None:
    """Add groups that were not known."""
    if new:
        await tx.execute(discoveries.insert(), [_row(one) for one in new])


async def save_discoveries(tx: Transaction, changed: Sequence[Discovery]) -> None:
    """Write groups in the place of what they were."""
    if changed:
        await tx.execute(
            update(discoveries)
            .where(discoveries.c.id == bindparam("this_id"))
            .values({name: bindparam(name) for name in _MEMBERS if name != "id"}),
            [{**_row(one), "this_id": one.id} for one in changed],
        )


async def remove_discoveries(tx: Transaction, ids: Collection[str]) -> None:
    """Give groups up, with what they were made of."""
    if ids:
        listed = sorted(ids)
        await tx.execute(
            delete(discovery_members).where(
                among(discovery_members.c.discovery_id, listed, tx.dialect)
            )
        )
        await tx.execute(delete(discoveries).where(among(discoveries.c.id, listed, tx.dialect)))


async def put_members(tx: Transaction, members: Mapping[str, Sequence[Member]]) -> None:
    """Have each of these groups be made of these responses, and of no others."""
    if not members:
        return
    await tx.execute(
        delete(discovery_members).where(
            among(discovery_members.c.discovery_id, sorted(members), tx.dialect)
        )
    )
    rows = [
        {
            "discovery_id": discovery_id,
            "response_id": member.response_id,
            "person_ref": member.person_ref,
            "typical": member.typical,
        }
        for discovery_id, group in members.items()
        for member in group
    ]
    for start in range(0, len(rows), _AT_ONCE):
        await tx.execute(discovery_members.insert(), rows[start : start + _AT_ONCE])


async def forget_members(
    tx: Transaction, *, persons: Sequence[str] = (), responses: Sequence[str] = ()
) -> None:
    """Take these persons, and these responses, out of every group."""
    column = discovery_members.c
    await tx.execute(
        delete(discovery_members).where(
            or_(
                among(column.person_ref, persons, tx.dialect),
                among(column.response_id, responses, tx.dialect),
            )
        )
    )


async def remove_empty(tx: Transaction) -> None:
    """Give up the groups that no response is left of."""
    left = select(discovery_members.c.discovery_id).where(
        discovery_members.c.discovery_id == discoveries.c.id
    )
    await tx.execute(delete(discoveries).where(~left.exists()))


def _row(discovery: Discovery) -> dict[str, Any]:
    row = {name: getattr(discovery, name) for name in _MEMBERS}
    row["keywords"] = _lists(discovery.keywords.items())
    row["weekly"] = list(discovery.weekly)
    return row


def _lists(words: Iterable[tuple[str, Sequence[str]]]) -> dict[str, list[str]]:
    return {language: list(listed) for language, listed in words}


def _discovery(row: Row[Any]) -> Discovery:
    members = {name: getattr(row, name) for name in _MEMBERS}
    members["keywords"] = {
        language: tuple(listed) for language, listed in members["keywords"].items()
    }
    members["weekly"] = tuple(members["weekly"])
    return Discovery(**members)
