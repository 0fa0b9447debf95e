"""What people said of themes in responses, in and out of the database."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Row, delete, select

from services.loop.themes.domain import Mention
from services.loop.themes.domain.corrections import Correction
from services.loop.themes.tables import theme_checks, theme_corrections
from shared.db.base import among
from shared.db.transaction import Reading, Transaction


async def corrections_of(
    view: Reading, response_ids: Sequence[str]
) -> Mapping[str, Sequence[Correction]]:
    """Return the corrections of these responses, by response; of most there is none."""
    found: dict[str, list[Correction]] = {}
    if response_ids:
        columns = theme_corrections.c
        for row in await view.all(
            select(theme_corrections)
            .where(among(columns.response_id, response_ids, view.dialect))
            .order_by(columns.response_id, columns.theme_id)
        ):
            found.setdefault(row.response_id, []).append(_correction(row))
    return found


async def replace_corrections(
    tx: Transaction, response_ids: Sequence[str], corrections: Iterable[Correction]
) -> None:
    """Let these responses have these corrections and no others."""
    if response_ids:
        columns = theme_corrections.c
        await tx.execute(
            delete(theme_corrections).where(
                among(columns.response_id, response_ids, tx.dialect)
            )
        )
    if rows := [_row(correction) for correction in corrections]:
        await tx.execute(theme_corrections.insert(), rows)


async def forget_corrections(tx: Transaction, response_ids: Sequence[str]) -> None:
    """Forget everything that was said of responses that are no more."""
    if response_ids:
        for table in (theme_corrections, theme_checks):
            await tx.execute(
                delete(table).where(among(table.c.response_id, response_ids, tx.dialect))
            )


def _row(correction: Correction) -> dict[str, Any]:
    found = correction.found
    evidence = found.evidence if found and found.evidence else (None, None)
    return {
        "response_id": correction.response_id,
        "theme_id": correction.theme_id,
        "verdict": correction.verdict,
        "language": correction.language,
        "drawn": correction.drawn,
        "judged_at": correction.judged_at,
        "judged_by": correction.judged_by,
        "score": None if found is None else found.score,
        "evidence_start": evidence[0],
        "evidence_end": evidence[1],
        "by": None if found is None else found.by,
        "taxonomy_version": correction.taxonomy_version,
    }


def _correction(row: Row[Any]) -> Correction:
    evidence = None if row.evidence_start is None else (row.evidence_start, row.evidence_end)
    return Correction(
        response_id=row.response_id,
        theme_id=row.theme_id,
        verdict=row.verdict,
        language=row.language,
        drawn=row.drawn,
        judged_at=row.judged_at,
        judged_by=row.judged_by,
        found=None if row.score is None else Mention(row.theme_id, row.score, evidence, row.by),
        taxonomy_version=row.taxonomy_version,
    )
