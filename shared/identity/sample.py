"""Sample data: what it is, and who and what came with it besides responses.

The demo posts as a system would, with a key of its own that is revoked when all is posted. What
that key made stands in the audit trail, so nothing else has to remember it; whatever somebody
has changed since is theirs and stays.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import delete, exists, select

from shared.db.base import among, metadata
from shared.identity.facts import fact, keep
from shared.identity.tables import (
    audit,
    departments,
    staff,
    team_members,
    teams,
)

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime

    from sqlalchemy import Column

    from shared.db.transaction import Reading, Transaction

_FACT: Final = "sample"
_REMOVED: Final = "sample-removed"


@dataclass(frozen=True, kw_only=True)
class Sample:
    """Which responses are the demo's, and the key that made what they need."""

    source: str
    last_response: str
    """Ids sort by time: what the source sends later is somebody's own."""
    key: str


async def sample(view: Reading) -> Sample | None:
    """Return what is known of the demo's sample, also once it is removed."""
    text = await fact(view, _FACT)
    return None if text is None else Sample(**json.loads(text))


async def note_sample(tx: Transaction, brought: Sample, *, now: datetime) -> None:
    """Remember which responses are the demo's."""
    await keep(tx, _FACT, json.dumps(asdict(brought)), now)


async def note_removal(tx: Transaction, *, now: datetime) -> None:
    """Remember that sample data was removed: somebody has seen it."""
    await keep(tx, _REMOVED, now.isoformat(), now)


async def was_removed(view: Reading) -> bool:
    """Tell whether sample data was removed once."""
    return await fact(view, _REMOVED) is not None


async def made_by(view: Reading, key_id: str) -> frozenset[tuple[str, str]]:
    """Return what a key made or changed and nobody else did since: its kind and its id."""
    rows = await view.all(
        select(audit.c.action, audit.c.subject).where(audit.c.actor_id == key_id)
    )
    made = {(_kind(row.action), row.subject) for row in rows}
    others = await view.all(
        select(audit.c.action, audit.c.subject).where(
            among(audit.c.subject, sorted({subject for _, subject in made}), view.dialect),
            audit.c.actor_id != key_id,
        )
    )
    return frozenset(made - {(_kind(row.action), row.subject) for row in others})


def _kind(action: str) -> str:
    return action.partition(".")[0]


async def remove_departments(tx: Transaction, ids: Collection[str]) -> frozenset[str]:
    """Remove these departments, except those that somebody belongs to; return their names."""
    if not ids:
        return frozenset()
    used = exists().where(staff.c.department_id == departments.c.id)
    held = exists().where(teams.c.department_id == departments.c.id)
    wanted = among(departments.c.id, sorted(ids), tx.dialect)
    gone = await tx.all(
        delete(departments).where(wanted, ~used, ~held).returning(departments.c.name)
    )
    return frozenset(row.name for row in gone)


async def remove_people(tx: Transaction, ids: Collection[str]) -> None:
    """Remove these members of staff, except who heads a department or has signed in."""
    if not ids:
        return
    heads = exists().where(departments.c.head_id == staff.c.id)
    acted = exists().where(audit.c.actor_id == staff.c.id)
    known = [exists().where(column == staff.c.id) for column in _accounts()]
    wanted = among(staff.c.id, sorted(ids), tx.dialect)
    rows = await tx.all(
        select(staff.c.id).where(wanted, ~heads, ~acted, *(~each for each in known))
    )
    if gone := sorted(row.id for row in rows):
        await tx.execute(
            delete(team_members).where(among(team_members.c.staff_id, gone, tx.dialect))
        )
        await tx.execute(delete(staff).where(among(staff.c.id, gone, tx.dialect)))


def _accounts() -> list[Column[Any]]:
    """Return the columns of shared tables, but for teams, that name a member of staff."""
    return [
        key.parent
        for table in metadata.sorted_tables
        if table.name.startswith("shared_") and table is not team_members
        for key in table.foreign_keys
        if key.column is staff.c.id
    ]
