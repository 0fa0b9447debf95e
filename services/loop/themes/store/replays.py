"""How far a replay of the taxonomy is, in and out of the database."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, Final, Literal

from sqlalchemy import Row, and_, or_, select, update

from services.loop.themes.tables import replays
from shared.db.transaction import Reading, Transaction

ReplayState = Literal["running", "paused", "done", "stopped"]

UNDER_WAY: Final[frozenset[ReplayState]] = frozenset({"running", "paused"})
"""The states in which a replay is not over."""


@dataclass(frozen=True, kw_only=True)
class Replay:
    """Every stored comment, read again by the taxonomy in use.

    ``unread`` counts comments whose words are gone; what was found in them before stays.
    ``themes`` says how many responses each theme gained and lost. Two replays of one version
    over the same responses have one ``fingerprint``.
    """

    id: str
    state: ReplayState
    taxonomy_version: int
    after_id: str
    last_id: str
    total: int
    done: int
    changed: int
    unread: int
    restarts: int
    themes: Mapping[str, tuple[int, int]]
    fingerprint: str
    started_at: datetime
    started_by: str
    moved_at: datetime
    ended_at: datetime | None


_MEMBERS = tuple(member.name for member in fields(Replay))


async def add_replay(tx: Transaction, replay: Replay) -> bool:
    """Add a replay; False while another one is under way."""
    added = await tx.execute(
        tx.insert(replays)
        .values(**_row(replay))
        .on_conflict_do_nothing(index_elements=["slot"])
    )
    return added.rowcount == 1


async def save_replay(tx: Transaction, replay: Replay) -> None:
    """Write down how far it is."""
    await tx.execute(update(replays).where(replays.c.id == replay.id).values(**_row(replay)))


async def find_replay(
    view: Reading, replay_id: str, *, to_change: bool = False
) -> Replay | None:
    """Return one replay, or None; ``to_change`` lets nobody else change it meanwhile."""
    statement = select(replays).where(replays.c.id == replay_id)
    row = await view.first(statement.with_for_update() if to_change else statement)
    return None if row is None else _replay(row)


async def replay_under_way(view: Reading) -> Replay | None:
    """Return the replay that is running or paused, or None."""
    row = await view.first(select(replays).where(replays.c.slot == 1))
    return None if row is None else _replay(row)


async def list_replays(
    view: Reading, *, before: tuple[datetime, str] | None = None, most: int
) -> Sequence[Replay]:
    """Return replays, the latest first."""
    columns = replays.c
    statement = (
        select(replays).order_by(columns.started_at.desc(), columns.id.desc()).limit(most)
    )
    if before is not None:
        moment, replay_id = before
        statement = statement.where(
            or_(
                columns.started_at < moment,
                and_(columns.started_at == moment, columns.id < replay_id),
            )
        )
    return [_replay(row) for row in await view.all(statement)]


def _row(replay: Replay) -> dict[str, Any]:
    members = {name: getattr(replay, name) for name in _MEMBERS}
    return {**members, "slot": 1 if replay.state in UNDER_WAY else None}


def _replay(row: Row[Any]) -> Replay:
    members = {name: getattr(row, name) for name in _MEMBERS}
    members["themes"] = {
        theme_id: (gained, lost) for theme_id, (gained, lost) in row.themes.items()
    }
    return Replay(**members)
