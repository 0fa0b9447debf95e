"""What became of an import: how many of its responses there are and where they led."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import distinct, func, select

from services.ingest.tables import responses

if TYPE_CHECKING:
    from shared.db.transaction import Reading


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportStands:
    """An import in numbers; ``waiting`` are those that the loop has not taken in yet."""

    source: str
    responses: int
    waiting: int
    tasks: int
    themes: int


async def import_stands(
    view: Reading, import_id: str, *, source: str | None
) -> ImportStands | None:
    """Return how an import stands; None if no response came with it, or of another source."""
    wanted = [responses.c.import_id == import_id]
    if source is not None:
        wanted.append(responses.c.source == source)
    row = await view.first(
        select(
            func.max(responses.c.source).label("source"),
            func.count().label("responses"),
            func.count(responses.c.announce_again_at).label("waiting"),
            func.count(distinct(responses.c.task_id)).label("tasks"),
        ).where(*wanted)
    )
    if row is None or row.source is None:
        return None
    # Few combinations of themes, however many responses.
    combined = await view.all(select(responses.c.themes).where(*wanted).distinct())
    return ImportStands(
        source=row.source,
        responses=row.responses,
        waiting=row.waiting,
        tasks=row.tasks,
        themes=len({theme for one in combined for theme in one.themes or ()}),
    )
