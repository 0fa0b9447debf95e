"""What corrections add up to, and the words they suggest, in and out of the database."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import ColumnElement, Row, and_, case, delete, func, select, update

from services.loop.themes.domain.mining import Kind
from services.loop.themes.tables import keyword_proposals, theme_checks, theme_corrections
from shared.db.transaction import Reading, Transaction
from shared.ids import new_id

ProposalState = Literal["open", "accepted", "rejected"]


@dataclass(frozen=True, kw_only=True)
class Tally:
    """What people judged of one theme in one language, by what the taxonomy finds now.

    ``right`` and ``wrong`` are found; ``missed`` is not, and should be.
    """

    theme_id: str
    language: str
    right: int
    wrong: int
    missed: int


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """One judged theme of a response; ``found`` tells whether the taxonomy finds it."""

    response_id: str
    theme_id: str
    language: str
    belongs: bool
    found: bool
    by: str | None


@dataclass(frozen=True, kw_only=True)
class Proposal:
    """Words to be looked for in a theme, or no longer."""

    id: str
    kind: Kind
    theme_id: str
    language: str
    words: str
    support: int
    against: int
    state: ProposalState
    proposed_at: datetime
    decided_at: datetime | None
    decided_by: str | None
    taxonomy_version: int | None


async def tallies(view: Reading, *, drawn: bool) -> Sequence[Tally]:
    """Count what was judged by theme and language; ``drawn`` leaves out what was chosen."""
    columns = theme_corrections.c
    belongs, found = columns.verdict != "not", columns.score.is_not(None)
    statement = select(
        columns.theme_id,
        columns.language,
        *(
            func.sum(case((condition, 1), else_=0)).label(name)
            for name, condition in (
                ("right", and_(belongs, found)),
                ("wrong", and_(~belongs, found)),
                ("missed", and_(belongs, ~found)),
            )
        ),
    )
    if drawn:
        statement = statement.where(columns.drawn)
    rows = await view.all(
        statement.group_by(columns.theme_id, columns.language).order_by(
            columns.theme_id, columns.language
        )
    )
    return [Tally(**row._asdict()) for row in rows]


async def judgements(view: Reading, *, most: int) -> Sequence[Judgement]:
    """Return what was judged last."""
    columns = theme_corrections.c
    rows = await view.all(
        select(theme_corrections)
        .order_by(columns.judged_at.desc(), columns.response_id, columns.theme_id)
        .limit(most)
    )
    return [
        Judgement(
            response_id=row.response_id,
            theme_id=row.theme_id,
            language=row.language,
            belongs=row.verdict != "not",
            found=row.score is not None,
            by=row.by,
        )
        for row in rows
    ]


async def corrections_stand_at(view: Reading) -> tuple[int, datetime | None]:
    """Return a mark that changes with every correction made or taken back."""
    row = await view.first(
        select(
            func.count().label("n"), func.max(theme_corrections.c.judged_at).label("last")
        ).select_from(theme_corrections)
    )
    return (row.n, row.last) if row is not None else (0, None)


def not_checked(response_id: ColumnElement[str]) -> ColumnElement[bool]:
    """Return the condition that nobody has checked a response yet."""
    return (
        ~select(theme_checks.c.response_id)
        .where(theme_checks.c.response_id == response_id)
        .exists()
    )


async def note_check(tx: Transaction, response_id: str, *, by: str, now: datetime) -> None:
    """Note that somebody has judged every theme of a response; again is no change."""
    await tx.execute(
        tx.insert(theme_checks)
        .values(response_id=response_id, checked_at=now, checked_by=by)
        .on_conflict_do_nothing()
    )


async def checks(view: Reading) -> int:
    """Return how many responses were checked."""
    return int(await view.scalar(select(func.count()).select_from(theme_checks)) or 0)


async def note_proposals(
    tx: Transaction, found: Sequence[tuple[str, str, Kind, str, int, int]], *, now: datetime
) -> None:
    """Let these be the open proposals; what was decided before is not proposed again.

    Each is a theme, a language, a kind, the words, and what speaks for and against them.
    """
    columns = keyword_proposals.c
    names = ("theme_id", "language", "kind", "words", "support", "against")
    stays = {one[:4] for one in found}
    gone = [
        row.id
        for row in await tx.all(select(keyword_proposals).where(columns.state == "open"))
        if (row.theme_id, row.language, row.kind, row.words) not in stays
    ]
    await tx.execute(delete(keyword_proposals).where(columns.id.in_(gone)))
    if not found:
        return
    statement = tx.insert(keyword_proposals)
    await tx.execute(
        statement.on_conflict_do_update(
            index_elements=["theme_id", "language", "words", "kind"],
            set_={
                "support": statement.excluded.support,
                "against": statement.excluded.against,
            },
            where=columns.state == "open",
        ),
        [
            {
                **dict(zip(names, one, strict=True)),
                "id": new_id("kwp"),
                "state": "open",
                "proposed_at": now,
                "decided_at": None,
                "decided_by": None,
                "taxonomy_version": None,
            }
            for one in sorted(found)
        ],
    )


async def list_proposals(
    view: Reading, state: ProposalState, *, after: str | None = None, most: int
) -> Sequence[Proposal]:
    """Return proposals in the order in which they came up."""
    columns = keyword_proposals.c
    statement = select(keyword_proposals).where(columns.state == state)
    if after is not None:
        statement = statement.where(columns.id > after)
    return [
        _proposal(row) for row in await view.all(statement.order_by(columns.id).limit(most))
    ]


async def find_proposal(
    view: Reading, proposal_id: str, *, to_change: bool = False
) -> Proposal | None:
    """Return one proposal, or None; ``to_change`` lets nobody else change it meanwhile."""
    statement = select(keyword_proposals).where(keyword_proposals.c.id == proposal_id)
    row = await view.first(statement.with_for_update() if to_change else statement)
    return None if row is None else _proposal(row)


async def decide_proposal(tx: Transaction, decided: Proposal) -> None:
    """Write what was decided."""
    await tx.execute(
        update(keyword_proposals)
        .where(keyword_proposals.c.id == decided.id)
        .values(
            state=decided.state,
            decided_at=decided.decided_at,
            decided_by=decided.decided_by,
            taxonomy_version=decided.taxonomy_version,
        )
    )


def _proposal(row: Row[Any]) -> Proposal:
    return Proposal(**row._asdict())
