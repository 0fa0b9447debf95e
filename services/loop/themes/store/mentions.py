"""Which response touches which theme, in and out of the database."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, and_, delete, or_, select

from services.loop.themes.domain import Mention
from services.loop.themes.tables import mentions
from shared.db.base import among
from shared.db.transaction import Reading, Transaction


@dataclass(frozen=True, kw_only=True)
class MentionRow:
    """A response touching a theme; ``evidence`` counts code points of its comment."""

    response_id: str
    theme_id: str
    score: float
    evidence: tuple[int, int] | None
    by: str | None
    taxonomy_version: int
    answered_at: datetime

    @property
    def mention(self) -> Mention:
        """Return the mention itself."""
        return Mention(self.theme_id, self.score, self.evidence, self.by)

    @classmethod
    def of(
        cls, response_id: str, mention: Mention, *, answered_at: datetime, version: int
    ) -> MentionRow:
        """Return what is kept of a mention that this version of the taxonomy led to."""
        return cls(
            response_id=response_id,
            theme_id=mention.theme_id,
            score=mention.score,
            evidence=mention.evidence,
            by=mention.by,
            taxonomy_version=version,
            answered_at=answered_at,
        )


async def add_mentions(
    tx: Transaction,
    found: Mapping[str, Sequence[Mention]],
    *,
    answered_at: Mapping[str, datetime],
    version: int,
) -> None:
    """Add what was found in these responses, by response id."""
    await add_mention_rows(
        tx,
        [
            MentionRow.of(
                response_id, mention, answered_at=answered_at[response_id], version=version
            )
            for response_id, all_of_it in found.items()
            for mention in all_of_it
        ],
    )


async def add_mention_rows(tx: Transaction, rows: Sequence[MentionRow]) -> None:
    """Add these mentions, each with the version that found it."""
    if rows:
        await tx.execute(mentions.insert(), [_row(row) for row in rows])


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


def touches_nothing(response_id: ColumnElement[str]) -> ColumnElement[bool]:
    """Return the condition that a response touches no theme."""
    return ~select(mentions.c.theme_id).where(mentions.c.response_id == response_id).exists()


async def themes_joined(
    view: Reading, answers: Select[tuple[str, str]]
) -> Sequence[tuple[str, str, str | None]]:
    """Return these answers, a query of ids and categories, each with every theme it touches.

    Those that touch none come once, with None.
    """
    found = answers.subquery()
    joined = found.outerjoin(mentions, mentions.c.response_id == found.c.id)
    rows = await view.all(
        select(found.c.id, found.c.category, mentions.c.theme_id).select_from(joined)
    )
    return [(row.id, row.category, row.theme_id) for row in rows]


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


def _row(mention: MentionRow) -> dict[str, Any]:
    start, end = mention.evidence or (None, None)
    return {
        "response_id": mention.response_id,
        "theme_id": mention.theme_id,
        "score": mention.score,
        "evidence_start": start,
        "evidence_end": end,
        "by": mention.by,
        "taxonomy_version": mention.taxonomy_version,
        "answered_at": mention.answered_at,
    }


def _mention(row: Row[Any]) -> MentionRow:
    return MentionRow(
        response_id=row.response_id,
        theme_id=row.theme_id,
        score=row.score,
        evidence=(
            None if row.evidence_start is None else (row.evidence_start, row.evidence_end)
        ),
        by=row.by,
        taxonomy_version=row.taxonomy_version,
        answered_at=row.answered_at,
    )
