"""Themes as lines of a page, and the figures that stand above them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Final

from services.loop.journey.handlers import meant_by
from services.loop.pages.scores.names import group_names, options_of
from services.loop.pages.themes.asked import NOBODY, ORDERS, PERIODS, Asked
from services.loop.pages.themes.page import Choices, Line, Sender
from services.loop.responses.handlers import scores
from services.loop.responses.store import ScoreFilter
from services.loop.themes.domain.risers import WIDER, Verdict
from services.loop.themes.handlers.departments import Departments, departments
from services.loop.themes.handlers.impact import sources
from services.loop.themes.handlers.listing import ThemeList, ThemeSummary, list_themes
from services.loop.themes.handlers.risers import verdicts_until
from services.loop.themes.store import mentions_by_day
from shared.db.transaction import Reading
from shared.i18n import Reader
from shared.stats.intervals import share
from shared.stats.scores import ScoreRow
from shared.web.forms import Option

WEEKS: Final = 12
"""How many weeks a line shows."""


@dataclass(frozen=True, kw_only=True)
class Known:
    """What several lines need: what departments are called, weeks and verdicts by theme."""

    departments: Departments
    weeks: Mapping[str, Sequence[int]]
    verdicts: Mapping[str, Verdict]


async def known(view: Reading, asked: Asked) -> Known:
    """Read what lines are made of, once for all of them."""
    return Known(
        departments=await departments(view),
        weeks=await _weekly(view, asked),
        verdicts=await verdicts_until(
            view, last=asked.today, weeks=min(asked.days // 7, WIDER), of=asked.of
        ),
    )


async def listed(view: Reading, asked: Asked, known: Known) -> ThemeList:
    """Return the themes of the period, of whichever department is asked for."""
    found = await list_themes(
        view, first=asked.first, last=asked.today, of=asked.of, order=asked.order
    )
    wanted = [
        one for one in found.themes if is_seen(one) and _is_of(one, asked.department, known)
    ]
    return replace(found, themes=wanted)


def is_seen(summary: ThemeSummary) -> bool:
    """Tell whether customers mentioned it at all, now or before."""
    return bool(summary.counts.mentions or summary.former.mentions)


def _is_of(summary: ThemeSummary, department: str, known: Known) -> bool:
    named = summary.theme.department
    if department == NOBODY:
        return named is None
    meant = known.departments.meant(named)
    return not department or department == (meant.id if meant else named)


def line_of(summary: ThemeSummary, asked: Asked, known: Known, reader: Reader) -> Line:
    """Return one theme as it is listed."""
    theme, counts = summary.theme, summary.counts
    meant = known.departments.meant(theme.department)
    return Line(
        rank=summary.rank,
        former_rank=summary.former_rank,
        id=theme.id,
        name=theme.name_in(reader.catalogue),
        in_use=summary.in_use,
        href=asked.href(f"/themes/{theme.id}", tab="", sort=""),
        mentions=counts.mentions,
        share=share(hits=counts.mentions, n=summary.comments),
        change=counts.mentions - summary.former.mentions,
        former=summary.former.mentions,
        unhappy=share(hits=counts.low, n=counts.rated),
        impact=summary.impact,
        department=meant.name if meant else theme.department,
        weeks=known.weeks.get(theme.id, [0] * WEEKS),
        verdict=known.verdicts.get(theme.id),
    )


async def score_of(view: Reading, asked: Asked, *, now: datetime) -> ScoreRow:
    """Return the Net Promoter Score of the same days and places."""
    wanted = ScoreFilter(
        metric="nps",
        measurement="transactional",
        first=asked.first,
        last=asked.today,
        of=dict(asked.of.items()),
    )
    return (await scores(view, wanted, now=now))[0].row


async def senders_of(
    view: Reading, asked: Asked, theme_id: str | None = None
) -> Sequence[Sender]:
    """Return who sent the comments, or the mentions of one theme."""
    found = await sources(view, theme_id, first=asked.first, last=asked.today, of=asked.of)
    return [
        Sender(source=one.source, share=one.share.value)
        for one in found
        if one.share.value is not None
    ]


async def choices_of(
    view: Reading, asked: Asked, reader: Reader, departments: Departments
) -> Choices:
    """Return what the filters offer."""

    async def codes(dimension: str) -> Sequence[Option]:
        return await options_of(view, dimension, asked.form.value(dimension), reader)

    return Choices(
        periods=_periods(reader),
        touchpoints=await codes("touchpoint"),
        segments=await codes("segment"),
        products=await codes("product"),
        departments=[
            Option(value=NOBODY, label=reader.gettext("nobody")),
            *sorted(
                (Option(value=each.id, label=each.name) for each in departments.every),
                key=lambda option: option.label.casefold(),
            ),
        ],
        orders=[
            Option(value=value, label=reader.gettext(label)) for value, label in ORDERS.items()
        ],
    )


async def names_of_places(
    view: Reading, dimension: str, codes: Collection[str], reader: Reader
) -> Mapping[str, str]:
    """Return what touchpoints, segments or products are called."""
    return await group_names(view, dimension, codes, reader)


async def _weekly(view: Reading, asked: Asked) -> Mapping[str, Sequence[int]]:
    """Return the mentions of the last twelve weeks, each ending on today's weekday."""
    first = asked.today - timedelta(days=7 * WEEKS - 1)
    meant = await meant_by(view, asked.of)
    found = await mentions_by_day(view, first=first, last=asked.today, of=meant)
    return {theme_id: weekly(days, first, WEEKS) for theme_id, days in found.items()}


def weekly(days: Mapping[date, int], first: date, weeks: int) -> Sequence[int]:
    """Add up days to weeks that begin with ``first``."""
    counts = [0] * weeks
    for day, number in days.items():
        if 0 <= (place := (day - first).days // 7) < weeks:
            counts[place] += number
    return counts


def _periods(reader: Reader) -> Sequence[Option]:
    return [
        Option(
            value=str(days),
            label=(
                reader.ngettext("last %(n)s day", "last %(n)s days", days)
                if days < 28
                else reader.ngettext("last %(n)s week", "last %(n)s weeks", days // 7)
            ),
        )
        for days in PERIODS
    ]
