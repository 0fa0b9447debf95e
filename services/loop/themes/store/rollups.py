"""What mentions add up to per day, in and out of the database."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import date
from typing import Any, Final, Literal

from sqlalchemy import ColumnElement, Row, case, delete, func, select, text

from services.loop.journey.domain import UNKNOWN
from services.loop.themes.domain.counts import COUNTED, Counts, ThemeCell
from services.loop.themes.tables import theme_rollups
from shared.db.base import among
from shared.db.rollups import add_to_rollups
from shared.db.transaction import Reading, Transaction

Dimension = Literal["touchpoint", "segment", "product"]
DIMENSIONS: Final[tuple[Dimension, ...]] = ("touchpoint", "segment", "product")
Measurement = Literal["transactional", "periodic", "unsolicited"]

_OF_ONE_MEASUREMENT = frozenset({"promoters", "passives", "detractors"})


async def move_rollups(tx: Transaction, changes: Mapping[ThemeCell, Counts]) -> None:
    """Add these changes to the roll-ups, whichever of them exist."""
    await add_to_rollups(tx, theme_rollups, changes, sums=COUNTED)


async def day_of_before(view: Reading) -> date | None:
    """Return a day whose roll-ups do not say what they are of, or None."""
    day: date | None = await view.scalar(
        select(theme_rollups.c.day).where(theme_rollups.c.measurement == UNKNOWN).limit(1)
    )
    return day


async def clear_day(tx: Transaction, day: date) -> None:
    """Forget what was counted on a day; nobody else counts until ``tx`` ends."""
    if tx.dialect == "postgresql":
        # Whoever has counted without having committed is waited for, and then seen.
        await tx.execute(text(f"LOCK TABLE {theme_rollups.name} IN SHARE ROW EXCLUSIVE MODE"))
    await tx.execute(delete(theme_rollups).where(theme_rollups.c.day == day))


async def counts_by_theme(
    view: Reading,
    *,
    first: date,
    last: date,
    of: Mapping[Dimension, Collection[str]],
    themes: Sequence[str] | None = None,
    measurement: Measurement = "transactional",
) -> Mapping[str, Counts]:
    """Add up the mentions of every theme, or of these, in these days, both included.

    ``of`` narrows to the codes, as they were sent, that it names. Answers to different kinds
    of measurement are never pooled: promoters, passives and detractors are of ``measurement``.
    Under ``EVERY_COMMENT`` stand the comments with and without a theme.
    """
    found = await counts_by(
        view, (), first=first, last=last, of=of, themes=themes, measurement=measurement
    )
    return {theme_id: counts for (theme_id,), counts in found.items()}


async def counts_by(
    view: Reading,
    groups: Sequence[Dimension | Literal["source"]],
    *,
    first: date,
    last: date,
    of: Mapping[Dimension, Collection[str]],
    themes: Sequence[str] | None = None,
    measurement: Measurement = "transactional",
) -> Mapping[tuple[str, ...], Counts]:
    """Add up the mentions in these days by theme and by the codes, as sent, of ``groups``.

    ``themes`` narrows to these ids, ``EVERY_COMMENT`` and ``NO_THEME`` among the possible ones.
    """
    columns = theme_rollups.c
    by = [columns.theme_id, *(columns[group] for group in groups)]
    statement = select(*by, *_sums(measurement)).where(
        columns.day.between(first, last), *_narrowed(of, view.dialect)
    )
    if themes is not None:
        statement = statement.where(columns.theme_id.in_(themes))
    rows = await view.all(statement.group_by(*by))
    return {tuple(row[: len(by)]): _counts(row) for row in rows}


async def mentions_by_day(
    view: Reading, *, first: date, last: date, of: Mapping[Dimension, Collection[str]]
) -> Mapping[str, Mapping[date, int]]:
    """Return the mentions of every theme per day, days without any left out."""
    columns = theme_rollups.c
    found: dict[str, dict[date, int]] = {}
    for row in await view.all(
        select(columns.theme_id, columns.day, func.sum(columns.mentions).label("mentions"))
        .where(columns.day.between(first, last), *_narrowed(of, view.dialect))
        .group_by(columns.theme_id, columns.day)
    ):
        found.setdefault(row.theme_id, {})[row.day] = int(row.mentions)
    return found


def _narrowed(
    of: Mapping[Dimension, Collection[str]], dialect: str
) -> Sequence[ColumnElement[bool]]:
    return [among(theme_rollups.c[name], sorted(of[name]), dialect) for name in of]


def _sums(measurement: Measurement) -> Sequence[ColumnElement[Any]]:
    columns = theme_rollups.c
    return [
        func.sum(
            case((columns.measurement == measurement, columns[name]), else_=0)
            if name in _OF_ONE_MEASUREMENT
            else columns[name]
        ).label(name)
        for name in COUNTED
    ]


def _counts(row: Row[Any]) -> Counts:
    return Counts(**{name: int(getattr(row, name)) for name in COUNTED})
