"""How often each code was named, from daily roll-ups."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date

from sqlalchemy import func, select

from services.loop.journey.domain import AnswerCell, CodeKind
from services.loop.journey.tables import answer_rollups
from shared.db.base import among
from shared.db.rollups import add_to_rollups
from shared.db.transaction import Reading, Transaction

_columns = answer_rollups.c


@dataclass(frozen=True, kw_only=True)
class Answers:
    """How many responses named a code, and on which day the latest was answered."""

    n: int = 0
    last_on: date | None = None


async def move_counts(tx: Transaction, changes: Mapping[AnswerCell, int]) -> None:
    """Add these changes to the roll-ups, whichever of them exist."""
    await add_to_rollups(
        tx,
        answer_rollups,
        {cell: Answers(n=n) for cell, n in changes.items()},
        sums=("n",),
    )


async def answers_of(
    view: Reading,
    kind: CodeKind,
    *,
    first: date,
    last: date,
    codes: Collection[str] | None = None,
) -> Mapping[str, Answers]:
    """Count the responses by code in these days, both included; none at all is left out."""
    number = func.sum(_columns.n)
    statement = (
        select(_columns.code, number.label("n"), func.max(_columns.day).label("day"))
        .where(_columns.kind == kind, _columns.day.between(first, last), _columns.n > 0)
        .group_by(_columns.code)
    )
    if codes is not None:
        statement = statement.where(among(_columns.code, sorted(codes), view.dialect))
    return {
        row.code: Answers(n=int(row.n), last_on=row.day) for row in await view.all(statement)
    }


async def emotions_of(
    view: Reading, *, first: date, last: date
) -> Mapping[str, Mapping[str, int]]:
    """Count the emotions that senders named and staff heard, by contact reason."""
    number = func.sum(_columns.n)
    found: dict[str, dict[str, int]] = {}
    for row in await view.all(
        select(_columns.code, _columns.emotion, number.label("n"))
        .where(
            _columns.kind.in_(("reason", "contact")),
            _columns.emotion != "",
            _columns.day.between(first, last),
        )
        .group_by(_columns.code, _columns.emotion)
        .having(number > 0)
    ):
        found.setdefault(row.code, {})[row.emotion] = int(row.n)
    return found
