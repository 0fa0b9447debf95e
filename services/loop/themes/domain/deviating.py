"""Where a theme deviates: in its score from elsewhere, and in how often it is mentioned."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from services.loop.themes.domain.counts import Counts
from shared.stats.impact import difference, shares_differ
from shared.stats.intervals import Estimate, share
from shared.stats.rising import discoveries
from shared.stats.scores import ScoreRow, score_row

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


def cells_of(
    themes: Mapping[str, Mapping[str, Counts]], every: Mapping[str, Counts]
) -> Mapping[str, Sequence[Cell]]:
    """Return the cells of each theme, where it is mentioned most first.

    ``themes`` and ``every``, all comments, are counted by code. Which cells deviate is decided
    for all of them together (Benjamini-Hochberg): many cells alone make no finding.
    """
    comments = _sum(every.values())
    scores: dict[str, tuple[float, float]] = {}
    shares: dict[str, tuple[float, float]] = {}
    for theme_id, counts in themes.items():
        whole = _sum(counts.values())
        for code, here in counts.items():
            all_here = every.get(code, Counts()).mentions
            apart = difference(here.answers, whole.answers.without(here.answers))
            if apart is not None:
                scores[_place(theme_id, code)] = apart.p, apart.points
            elsewhere, others = whole.mentions - here.mentions, comments.mentions - all_here
            p = shares_differ(here.mentions, all_here, other_hits=elsewhere, other_n=others)
            if p is not None:
                apart_by = here.mentions / all_here - elsewhere / others
                shares[_place(theme_id, code)] = p, apart_by
    deviating, more_or_less = _signs(scores), _signs(shares)
    return {
        theme_id: [
            Cell(
                code=code,
                mentions=here.mentions,
                comments=every[code].mentions,
                share=share(hits=here.mentions, n=every[code].mentions),
                row=_row(here),
                deviates=_SCORES[deviating.get(_place(theme_id, code))],
                frequency=_SHARES[more_or_less.get(_place(theme_id, code))],
            )
            for code, here in sorted(
                counts.items(), key=lambda item: (-item[1].mentions, item[0])
            )
            if here.mentions > 0
        ]
        for theme_id, counts in themes.items()
    }


def _place(theme_id: str, code: str) -> str:
    return f"{theme_id}\x1f{code}"


def _sum(every: Iterable[Counts]) -> Counts:
    whole = Counts()
    for counts in every:
        whole.merge(counts)
    return whole


_SCORES: Mapping[int | None, Deviates] = {-1: "lower", 1: "higher", 0: "no", None: "too_few"}
_SHARES: Mapping[int | None, Frequency] = {-1: "fewer", 1: "more", 0: "no", None: "too_few"}


def _signs(compared: Mapping[str, tuple[float, float]]) -> Mapping[str, int]:
    """Return the direction of what deviates by more than chance, and 0 for the others."""
    found = discoveries({place: p for place, (p, _) in compared.items()})
    return {
        place: (1 if apart > 0 else -1) if place in found else 0
        for place, (_, apart) in compared.items()
    }


def _row(counts: Counts) -> ScoreRow:
    answers = counts.answers
    return score_row(
        "nps",
        promoters=answers.promoters,
        passives=answers.passives,
        detractors=answers.detractors,
    )
