"""Reading themes with how often customers mention them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Literal

from services.loop.journey.handlers import meant_by
from services.loop.themes import store
from services.loop.themes.domain import Taxonomy, Theme
from services.loop.themes.domain.counts import EVERY_COMMENT, NO_THEME, Counts
from services.loop.themes.domain.ranking import Impact, impacts_of, ranks_by_mentions
from services.loop.themes.handlers.editing import current_taxonomy
from services.loop.themes.store import Dimension, Measurement, MentionRow
from shared.db.transaction import Reading
from shared.errors import NotFound

Order = Literal["mentions", "cost", "lift", "promoters"]


@dataclass(frozen=True, kw_only=True)
class ThemeSummary:
    """One theme in a period, beside the period of equal length before it.

    The ranks are by mentions among all themes; equals share one, the unmentioned have none.
    """

    theme: Theme
    in_use: bool
    counts: Counts
    comments: int
    former: Counts
    former_comments: int
    rank: int | None
    former_rank: int | None
    impact: Impact


@dataclass(frozen=True, kw_only=True)
class ThemeList:
    """What customers talked about in a period; days are UTC and both included.

    Themes in equal places stand with more mentions first, then with more unhappy customers
    among them, then by their id.
    """

    first: date
    last: date
    comments: int
    former_comments: int
    without: int
    """Comments that touch no theme."""
    former_without: int
    themes: Sequence[ThemeSummary]


async def list_themes(
    view: Reading,
    *,
    first: date,
    last: date,
    of: Mapping[Dimension, str] | None = None,
    department: str | None = None,
    order: Order = "mentions",
    measurement: Measurement = "transactional",
) -> ThemeList:
    """Return every theme with its mentions from ``first`` to ``last``, in this order.

    What a theme costs is said of the scores of one kind of ``measurement``; the mentions are of
    all of them.

    Themes that the taxonomy no longer holds, or holds as retired, appear while they have
    mentions.
    """
    length = last - first + timedelta(days=1)
    taxonomy = (await current_taxonomy(view)).taxonomy
    meant = await meant_by(view, of or {})
    now = await store.counts_by_theme(
        view, first=first, last=last, of=meant, measurement=measurement
    )
    then = await store.counts_by_theme(
        view,
        first=first - length,
        last=first - timedelta(days=1),
        of=meant,
        measurement=measurement,
    )
    comments = now.get(EVERY_COMMENT, Counts()).mentions
    former_comments = then.get(EVERY_COMMENT, Counts()).mentions
    places, former_places = ranks_by_mentions(now), ranks_by_mentions(then)
    impacts = impacts_of(now, then)
    summaries = [
        ThemeSummary(
            theme=theme,
            in_use=in_use,
            counts=now.get(theme.id, Counts()),
            comments=comments,
            former=then.get(theme.id, Counts()),
            former_comments=former_comments,
            rank=places.get(theme.id),
            former_rank=former_places.get(theme.id),
            impact=impacts.get(theme.id, Impact()),
        )
        for theme, in_use in _themes(taxonomy, {*now, *then})
        if department is None or theme.department == department
    ]
    summaries.sort(key=lambda summary: place_of(summary, order))
    return ThemeList(
        first=first,
        last=last,
        comments=comments,
        former_comments=former_comments,
        without=now.get(NO_THEME, Counts()).mentions,
        former_without=then.get(NO_THEME, Counts()).mentions,
        themes=summaries,
    )


def place_of(summary: ThemeSummary, order: Order = "mentions") -> list[float | str]:
    """Return what themes are sorted by, the least first.

    ``mentions``: the most mentioned; ``cost``: what costs most points of the score; ``lift``:
    what brings most; ``promoters``: what happy customers mention most. Themes without points
    stand behind those with them.
    """
    counts, points = summary.counts, summary.impact.points
    most: list[float | str] = [-counts.mentions, -counts.low, summary.theme.id]
    match order:
        case "mentions":
            return most
        case "promoters":
            return [-counts.high, *most]
        case "cost":
            return [points is None, points or 0.0, *most]
        case "lift":
            return [points is None, -(points or 0.0), *most]


async def find_theme(
    view: Reading,
    theme_id: str,
    *,
    first: date,
    last: date,
    of: Mapping[Dimension, str] | None = None,
    measurement: Measurement = "transactional",
) -> ThemeSummary:
    """Return one theme with its counts in these days, or raise ``NotFound``."""
    listed = await list_themes(view, first=first, last=last, of=of, measurement=measurement)
    for summary in listed.themes:
        if summary.theme.id == theme_id:
            return summary
    raise NotFound("There is no theme with this id. List them at /v1/themes.")


async def latest_mentions(
    view: Reading, theme_id: str, *, before: tuple[datetime, str] | None = None, most: int
) -> Sequence[MentionRow]:
    """Return mentions of one theme, the latest answers first."""
    return await store.latest_mentions(view, theme_id, before=before, most=most)


async def themes_of(
    view: Reading, response_ids: Sequence[str]
) -> Mapping[str, Sequence[MentionRow]]:
    """Return the mentions of these responses, the surest first."""
    return await store.themes_of(view, response_ids)


def _themes(taxonomy: Taxonomy, counted: set[str]) -> Iterable[tuple[Theme, bool]]:
    known = {theme.id for theme in taxonomy.themes}
    for theme in taxonomy.themes:
        if not theme.retired or theme.id in counted:
            yield theme, not theme.retired
    for theme_id in sorted(counted - known - {EVERY_COMMENT, NO_THEME}):
        yield Theme(id=theme_id, name=theme_id), False
