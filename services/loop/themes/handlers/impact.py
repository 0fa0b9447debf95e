"""What themes cost and bring, where one deviates, where it comes from, why a score changed.

Everything is added up from roll-ups, so that it costs the same with ten answers and ten
million. Scores are of one kind of measurement, transactional unless asked otherwise.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Literal

from services.loop.journey.domain import Aliases
from services.loop.journey.handlers import every_alias, meant_by
from services.loop.themes import store
from services.loop.themes.domain.counts import EVERY_COMMENT, Counts
from services.loop.themes.domain.ranking import Impact, impacts_of
from services.loop.themes.store import Dimension
from shared.db.transaction import Reading
from shared.stats.impact import Change, change_of, difference, shares_differ
from shared.stats.intervals import Estimate, share
from shared.stats.rising import discoveries
from shared.stats.scores import ScoreRow, score_row

Of = Mapping[Dimension, str]
Deviates = Literal["lower", "higher", "no", "too_few"]
"""How a score lies to the score of the same theme elsewhere."""
Frequency = Literal["more", "fewer", "no", "too_few"]
"""How often a theme is mentioned, beside the comments from elsewhere."""


@dataclass(frozen=True, kw_only=True)
class Cell:
    """A theme at one touchpoint, in one segment or of one product."""

    code: str
    mentions: int
    comments: int
    """All comments from there, with and without the theme."""
    share: Estimate
    row: ScoreRow
    deviates: Deviates
    frequency: Frequency


@dataclass(frozen=True, kw_only=True)
class SourceShare:
    """How many of the mentions, or of all comments, one source sent."""

    source: str
    mentions: int
    share: Estimate


async def impacts(
    view: Reading, *, first: date, last: date, of: Of | None = None
) -> Mapping[str, Impact]:
    """Return what every theme mentioned in these days costs, and its rank before and now."""
    now, then = await _both(view, first, last, of)
    return impacts_of(now, then)


async def change(
    view: Reading, theme_id: str, *, first: date, last: date, of: Of | None = None
) -> Change | None:
    """Return how a theme explains the change of the score since the period of equal length.

    None where there are too few answers with or without it, now or then.
    """
    now, then = await _both(view, first, last, of)
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
) -> Sequence[Cell]:
    """Return a theme per touchpoint, segment or product, where it is mentioned most first.

    Codes that stand for others count as those. Which cells deviate is decided for all of them
    together (Benjamini-Hochberg), so that many cells alone make no finding.
    """
    meant = await meant_by(view, of or {})
    found = await store.counts_by(
        view, [by], first=first, last=last, of=meant, themes=[EVERY_COMMENT, theme_id]
    )
    folded = _folded(found.items(), (await every_alias(view)).get(by))
    return _cells(folded.get(theme_id, {}), folded.get(EVERY_COMMENT, {}))


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
    view: Reading, first: date, last: date, of: Of | None
) -> tuple[Mapping[str, Counts], Mapping[str, Counts]]:
    """Count in the period, and in the one of equal length before."""
    meant = await meant_by(view, of or {})
    day = timedelta(days=1)
    begin = first - (last - first + day)
    return (
        await store.counts_by_theme(view, first=first, last=last, of=meant),
        await store.counts_by_theme(view, first=begin, last=first - day, of=meant),
    )


def _folded(
    found: Iterable[tuple[tuple[str, ...], Counts]], aliases: Aliases | None
) -> Mapping[str, Mapping[str, Counts]]:
    folded: dict[str, dict[str, Counts]] = defaultdict(dict)
    for (theme_id, code), counts in found:
        meant = aliases.resolve(code) if aliases is not None else code
        folded[theme_id].setdefault(meant, Counts()).merge(counts)
    return folded


def _cells(theme: Mapping[str, Counts], every: Mapping[str, Counts]) -> Sequence[Cell]:
    whole, comments = Counts(), Counts()
    for counts in theme.values():
        whole.merge(counts)
    for counts in every.values():
        comments.merge(counts)
    codes = sorted(
        (code for code, counts in theme.items() if counts.mentions > 0),
        key=lambda code: (-theme[code].mentions, code),
    )
    scores: dict[str, tuple[float, float]] = {}
    shares: dict[str, tuple[float, float]] = {}
    for code in codes:
        here, all_here = theme[code], every.get(code, Counts()).mentions
        apart = difference(here.answers, whole.answers.without(here.answers))
        if apart is not None:
            scores[code] = apart.p, apart.points
        elsewhere, others = whole.mentions - here.mentions, comments.mentions - all_here
        p = shares_differ(here.mentions, all_here, other_hits=elsewhere, other_n=others)
        if p is not None:
            shares[code] = p, here.mentions / all_here - elsewhere / others
    deviating, more_or_less = _signs(scores), _signs(shares)
    return [
        Cell(
            code=code,
            mentions=theme[code].mentions,
            comments=every[code].mentions,
            share=share(hits=theme[code].mentions, n=every[code].mentions),
            row=_row(theme[code]),
            deviates=_SCORES[deviating.get(code)],
            frequency=_SHARES[more_or_less.get(code)],
        )
        for code in codes
    ]


_SCORES: Mapping[int | None, Deviates] = {-1: "lower", 1: "higher", 0: "no", None: "too_few"}
_SHARES: Mapping[int | None, Frequency] = {-1: "fewer", 1: "more", 0: "no", None: "too_few"}


def _signs(compared: Mapping[str, tuple[float, float]]) -> Mapping[str, int]:
    """Return the direction of what deviates by more than chance, and 0 for the others."""
    found = discoveries({code: p for code, (p, _) in compared.items()})
    return {
        code: (1 if apart > 0 else -1) if code in found else 0
        for code, (_, apart) in compared.items()
    }


def _row(counts: Counts) -> ScoreRow:
    answers = counts.answers
    return score_row(
        "nps",
        promoters=answers.promoters,
        passives=answers.passives,
        detractors=answers.detractors,
    )
