"""What themes cost and bring, where one deviates, where it comes from, why a score changed.

Everything is added up from roll-ups, so that it costs the same with ten answers and ten
million. Scores are of one kind of measurement, transactional unless asked otherwise.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

from services.loop.journey.domain import Aliases
from services.loop.journey.handlers import every_alias, meant_by
from services.loop.responses.store import ScoreFilter, rated_comments
from services.loop.themes import store
from services.loop.themes.domain.counts import EVERY_COMMENT, NO_THEME, Counts
from services.loop.themes.domain.deviating import Cell, cells_of
from services.loop.themes.domain.ranking import Impact, impacts_of
from services.loop.themes.store import Dimension, Measurement
from shared.db.transaction import Reading
from shared.stats.categories import Category
from shared.stats.impact import Change, Points, change_of
from shared.stats.intervals import Estimate, share
from shared.stats.regression import ridge

__all__ = [
    "Cell",
    "Impact",
    "OwnParts",
    "SourceShare",
    "change",
    "deviations",
    "impacts",
    "matrix",
    "own_parts",
    "sources",
]

Of = Mapping[Dimension, str]
LATEST: Final = 5_000
"""On so many comments the regression rests at most."""

_POINTS: Final[Mapping[Category, int]] = {
    Category.PROMOTER: 100,
    Category.PASSIVE: 0,
    Category.DETRACTOR: -100,
}


@dataclass(frozen=True, kw_only=True)
class OwnParts:
    """What each theme costs or brings of its own, resting on ``n`` answers.

    Themes that too few of them mention, or too few do not, are left out.
    """

    n: int
    parts: Mapping[str, Points]


@dataclass(frozen=True, kw_only=True)
class SourceShare:
    """How many of the mentions, or of all comments, one source sent."""

    source: str
    mentions: int
    share: Estimate


async def impacts(
    view: Reading,
    *,
    first: date,
    last: date,
    of: Of | None = None,
    measurement: Measurement = "transactional",
) -> Mapping[str, Impact]:
    """Return what every theme mentioned in these days costs, and its rank before and now."""
    now, then = await _both(view, (first, last), of, measurement)
    return impacts_of(now, then)


async def change(
    view: Reading,
    theme_id: str,
    *,
    first: date,
    last: date,
    of: Of | None = None,
    measurement: Measurement = "transactional",
) -> Change | None:
    """Return how a theme explains the change of the score since the period of equal length.

    None where there are too few answers with or without it, now or then.
    """
    now, then = await _both(view, (first, last), of, measurement, [EVERY_COMMENT, theme_id])
    nothing = Counts()
    return change_of(
        now.get(EVERY_COMMENT, nothing).answers,
        now.get(theme_id, nothing).answers,
        then.get(EVERY_COMMENT, nothing).answers,
        then.get(theme_id, nothing).answers,
    )


async def deviations(
    view: Reading,
    theme_id: str,
    by: Dimension,
    *,
    first: date,
    last: date,
    of: Of | None = None,
    measurement: Measurement = "transactional",
) -> Sequence[Cell]:
    """Return a theme per touchpoint, segment or product, where it is mentioned most first.

    Codes that stand for others count as those. Which cells deviate is decided for all of them
    together (Benjamini-Hochberg), so that many cells alone make no finding.
    """
    cells = await _matrix(
        view, by, (first, last), [EVERY_COMMENT, theme_id], of=of, measurement=measurement
    )
    return cells.get(theme_id, ())


async def matrix(
    view: Reading,
    by: Dimension,
    *,
    first: date,
    last: date,
    of: Of | None = None,
    measurement: Measurement = "transactional",
) -> Mapping[str, Sequence[Cell]]:
    """Return every mentioned theme per touchpoint, segment or product.

    As ``deviations``, but which cells deviate is decided for those of all themes together.
    """
    cells = await _matrix(view, by, (first, last), of=of, measurement=measurement)
    return {theme_id: row for theme_id, row in cells.items() if row}


async def own_parts(
    view: Reading,
    *,
    first: date,
    last: date,
    of: Of | None = None,
    measurement: Measurement = "transactional",
) -> OwnParts:
    """Return what each theme costs of its own, the others held still.

    Of the latest comments of these days, so that it costs the same however many there are.
    """
    meant = await meant_by(view, of or {})
    wanted = ScoreFilter(metric="nps", measurement=measurement, first=first, last=last, of={})
    latest = rated_comments(wanted, list(meant.items()), dialect=view.dialect, most=LATEST)
    mentioned: dict[str, tuple[list[str], int]] = {}
    for response_id, category, theme_id in await store.themes_joined(view, latest):
        themes, _ = mentioned.setdefault(response_id, ([], _POINTS[Category(category)]))
        if theme_id is not None:
            themes.append(theme_id)
    # Tens of milliseconds of arithmetic, and the event loop has others to serve.
    parts = await asyncio.to_thread(ridge, list(mentioned.values()))
    return OwnParts(n=len(mentioned), parts=parts)


async def sources(
    view: Reading,
    theme_id: str | None = None,
    *,
    first: date,
    last: date,
    of: Of | None = None,
) -> Sequence[SourceShare]:
    """Return who sent the mentions of a theme, or all comments, the most first."""
    meant = await meant_by(view, of or {})
    wanted = EVERY_COMMENT if theme_id is None else theme_id
    found = await store.counts_by(
        view, ["source"], first=first, last=last, of=meant, themes=[wanted]
    )
    sent = {code: counts.mentions for (_, code), counts in found.items() if counts.mentions > 0}
    n = sum(sent.values())
    return [
        SourceShare(source=source, mentions=mentions, share=share(hits=mentions, n=n))
        for source, mentions in sorted(sent.items(), key=lambda item: (-item[1], item[0]))
    ]


async def _both(
    view: Reading,
    days: tuple[date, date],
    of: Of | None,
    measurement: Measurement,
    themes: Sequence[str] | None = None,
) -> tuple[Mapping[str, Counts], Mapping[str, Counts]]:
    """Count in the period, and in the one of equal length before."""
    meant = await meant_by(view, of or {})
    (first, last), day = days, timedelta(days=1)
    begin, end = first - (last - first + day), first - day
    return (
        await store.counts_by_theme(
            view, first=first, last=last, of=meant, themes=themes, measurement=measurement
        ),
        await store.counts_by_theme(
            view, first=begin, last=end, of=meant, themes=themes, measurement=measurement
        ),
    )


def _folded(
    found: Iterable[tuple[tuple[str, ...], Counts]], aliases: Aliases | None
) -> Mapping[str, Mapping[str, Counts]]:
    folded: dict[str, dict[str, Counts]] = defaultdict(dict)
    for (theme_id, code), counts in found:
        meant = aliases.resolve(code) if aliases is not None else code
        folded[theme_id].setdefault(meant, Counts()).merge(counts)
    return folded


async def _matrix(
    view: Reading,
    by: Dimension,
    days: tuple[date, date],
    themes: Sequence[str] | None = None,
    *,
    of: Of | None,
    measurement: Measurement,
) -> Mapping[str, Sequence[Cell]]:
    meant = await meant_by(view, of or {})
    first, last = days
    found = await store.counts_by(
        view, [by], first=first, last=last, of=meant, themes=themes, measurement=measurement
    )
    counts = dict(_folded(found.items(), (await every_alias(view)).get(by)))
    every = counts.pop(EVERY_COMMENT, {})
    counts.pop(NO_THEME, None)
    return cells_of(counts, every)
