"""Taxonomies, mentions and their roll-ups in and out of the database, set by set."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import date, datetime
from typing import Any, Literal

from sqlalchemy import Row, Select, and_, delete, func, or_, select, update

from services.loop.themes.domain import Mention
from services.loop.themes.domain.counts import Counts, ThemeCell
from services.loop.themes.tables import mentions, taxonomies, theme_rollups
from shared.db.base import among
from shared.db.rollups import add_to_rollups
from shared.db.transaction import Reading, Transaction

Dimension = Literal["touchpoint", "segment", "product"]

_COUNTS = tuple(member.name for member in fields(Counts))


@dataclass(frozen=True, kw_only=True)
class TaxonomyRow:
    """One version of the taxonomy, as its JSON document."""

    version: int
    document: Mapping[str, Any]
    created_at: datetime
    created_by: str | None


@dataclass(frozen=True, kw_only=True)
class MentionRow:
    """A response touching a theme; ``evidence`` counts code points of its comment."""

    response_id: str
    theme_id: str
    score: float
    evidence: tuple[int, int] | None
    taxonomy_version: int
    answered_at: datetime


async def current_version(view: Reading) -> int | None:
    """Return the number of the taxonomy in use, or None before the first one."""
    version: int | None = await view.scalar(
        select(taxonomies.c.version).where(taxonomies.c.current.is_(True))
    )
    return version


async def current_taxonomy(view: Reading) -> TaxonomyRow | None:
    """Return the taxonomy in use, or None before the first one."""
    row = await view.first(select(taxonomies).where(taxonomies.c.current.is_(True)))
    if row is None:
        return None
    return TaxonomyRow(
        version=row.version,
        document=row.document,
        created_at=row.created_at,
        created_by=row.created_by,
    )


async def add_taxonomy(tx: Transaction, taxonomy: TaxonomyRow) -> bool:
    """Put a version into use instead of the one before; False when its number is taken."""
    added = await tx.execute(
        tx.insert(taxonomies)
        .values(
            version=taxonomy.version,
            document=taxonomy.document,
            created_at=taxonomy.created_at,
            created_by=taxonomy.created_by,
            current=True,
        )
        .on_conflict_do_nothing(index_elements=["version"])
    )
    if added.rowcount != 1:
        return False
    await tx.execute(
        update(taxonomies)
        .where(taxonomies.c.version < taxonomy.version, taxonomies.c.current.is_(True))
        .values(current=False)
    )
    return True


async def add_mentions(
    tx: Transaction,
    found: Mapping[str, Sequence[Mention]],
    *,
    answered_at: Mapping[str, datetime],
    version: int,
) -> None:
    """Add what was found in these responses, by response id."""
    rows = [
        {
            "response_id": response_id,
            "theme_id": mention.theme_id,
            "score": mention.score,
            "evidence_start": mention.evidence[0] if mention.evidence else None,
            "evidence_end": mention.evidence[1] if mention.evidence else None,
            "taxonomy_version": version,
            "answered_at": answered_at[response_id],
        }
        for response_id, all_of_it in found.items()
        for mention in all_of_it
    ]
    if rows:
        await tx.execute(mentions.insert(), rows)


async def remove_mentions(tx: Transaction, response_ids: Sequence[str]) -> None:
    """Forget what was found in these responses."""
    if response_ids:
        await tx.execute(
            delete(mentions).where(among(mentions.c.response_id, response_ids, tx.dialect))
        )


async def themes_of(
    view: Reading, response_ids: Sequence[str]
) -> Mapping[str, Sequence[MentionRow]]:
    """Return the mentions of these responses, the surest first; none is an empty list."""
    found: dict[str, list[MentionRow]] = {response_id: [] for response_id in response_ids}
    if found:
        rows = await view.all(
            select(mentions)
            .where(among(mentions.c.response_id, list(found), view.dialect))
            .order_by(mentions.c.score.desc(), mentions.c.theme_id)
        )
        for row in rows:
            found[row.response_id].append(_mention(row))
    return found


def responses_touching(theme_id: str) -> Select[tuple[str]]:
    """Return the query of the responses that touch a theme, as a condition for other rooms."""
    return select(mentions.c.response_id).where(mentions.c.theme_id == theme_id)


async def latest_mentions(
    view: Reading, theme_id: str, *, before: tuple[datetime, str] | None, most: int
) -> Sequence[MentionRow]:
    """Return mentions of one theme, the latest answers first."""
    columns = mentions.c
    statement = (
        select(mentions)
        .where(columns.theme_id == theme_id)
        .order_by(columns.answered_at.desc(), columns.response_id.desc())
        .limit(most)
    )
    if before is not None:
        moment, response_id = before
        statement = statement.where(
            or_(
                columns.answered_at < moment,
                and_(columns.answered_at == moment, columns.response_id < response_id),
            )
        )
    return [_mention(row) for row in await view.all(statement)]


async def move_rollups(tx: Transaction, changes: Mapping[ThemeCell, Counts]) -> None:
    """Add these changes to the roll-ups, whichever of them exist."""
    await add_to_rollups(tx, theme_rollups, changes, sums=_COUNTS)


async def counts_by_theme(
    view: Reading, *, first: date, last: date, of: Mapping[Dimension, Collection[str]]
) -> Mapping[str, Counts]:
    """Add up the mentions of every theme in these days, both included.

    ``of`` narrows to the codes, as they were sent, that it names.
    Under ``EVERY_COMMENT`` stand the comments with and without a theme.
    """
    columns = theme_rollups.c
    rows = await view.all(
        select(columns.theme_id, *(func.sum(columns[name]).label(name) for name in _COUNTS))
        .where(
            columns.day.between(first, last),
            *(among(columns[name], sorted(of[name]), view.dialect) for name in of),
        )
        .group_by(columns.theme_id)
    )
    return {
        row.theme_id: Counts(**{name: int(getattr(row, name)) for name in _COUNTS})
        for row in rows
    }


async def mentions_by_day(
    view: Reading, *, first: date, last: date, of: Mapping[Dimension, Collection[str]]
) -> Mapping[str, Mapping[date, int]]:
    """Return the mentions of every theme per day, days without any left out."""
    columns = theme_rollups.c
    found: dict[str, dict[date, int]] = {}
    for row in await view.all(
        select(columns.theme_id, columns.day, func.sum(columns.mentions).label("mentions"))
        .where(
            columns.day.between(first, last),
            *(among(columns[name], sorted(of[name]), view.dialect) for name in of),
        )
        .group_by(columns.theme_id, columns.day)
    ):
        found.setdefault(row.theme_id, {})[row.day] = int(row.mentions)
    return found


def _mention(row: Row[Any]) -> MentionRow:
    return MentionRow(
        response_id=row.response_id,
        theme_id=row.theme_id,
        score=row.score,
        evidence=(
            None if row.evidence_start is None else (row.evidence_start, row.evidence_end)
        ),
        taxonomy_version=row.taxonomy_version,
        answered_at=row.answered_at,
    )
