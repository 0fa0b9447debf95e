"""What became of what sources sent, counted by day."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from services.ingest.domain.sources import Outcome, Tally
from services.ingest.tables import tallies

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement

    from shared.db.transaction import Reading, Transaction

LONGEST_REASON = 80
"""Characters of a reason; longer codes are cut."""

Count = tuple[Outcome, str, int]
"""An outcome, a stable reason code (or nothing) and how often."""


async def add_tallies_of(
    tx: Transaction, counts: Iterable[tuple[str, Outcome, str, int]], day: date
) -> None:
    """Add counts of several sources in one statement, in one order everywhere.

    Their rows stay locked until the commit: whoever adds does so last, and then two
    transactions never wait for each other.
    """
    sums: dict[tuple[str, str, str], int] = {}
    for source, outcome, reason, n in counts:
        cell = (source, outcome, reason[:LONGEST_REASON])
        sums[cell] = sums.get(cell, 0) + n
    if not sums:
        return
    statement = tx.insert(tallies)
    await tx.execute(
        statement.on_conflict_do_update(
            index_elements=["source", "day", "outcome", "reason"],
            set_={"n": tallies.c.n + statement.excluded.n},
        ),
        [
            {"source": source, "day": day, "outcome": outcome, "reason": reason, "n": n}
            for (source, outcome, reason), n in sorted(sums.items())
        ],
    )


async def tallies_of(
    view: Reading, source: str, since: date, until: date | None = None
) -> list[tuple[date, Tally]]:
    """Return what became of what a source sent, from a day on (UTC), the latest day first."""
    wanted: list[ColumnElement[bool]] = [tallies.c.source == source, tallies.c.day >= since]
    if until is not None:
        wanted.append(tallies.c.day <= until)
    rows = await view.all(
        select(tallies)
        .where(*wanted)
        .order_by(tallies.c.day.desc(), tallies.c.outcome, tallies.c.reason)
    )
    return [(row.day, _tally(row)) for row in rows]


async def tallied_sources(view: Reading) -> list[str]:
    """Return the name of every source of which something was counted, trials included."""
    rows = await view.all(select(tallies.c.source).distinct())
    return [row.source for row in rows]


def _tally(row: Any) -> Tally:  # noqa: ANN401 - a row
    return Tally(outcome=row.outcome, reason=row.reason, n=row.n)
