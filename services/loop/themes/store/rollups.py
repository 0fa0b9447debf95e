"""What mentions add up to per day, in and out of the database."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import fields
from datetime import date
from typing import Literal

from sqlalchemy import func, select

from services.loop.themes.domain.counts import Counts, ThemeCell
from services.loop.themes.tables import theme_rollups
from shared.db.base import among
from shared.db.rollups import add_to_rollups
from shared.db.transaction import Reading, Transaction

Dimension = Literal["touchpoint", "segment", "product"]


_COUNTS = tuple(member.name for member in fields(Counts))


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
