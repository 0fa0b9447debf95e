"""A row of scores as every page and ``GET /v1/scores`` show it, from what a roll-up holds.

The three counts are named after the Net Promoter Score; for satisfaction and effort ratings
they are the satisfied, the neutral and the dissatisfied.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from shared.stats.intervals import Interval, mean, nps


class Metric(StrEnum):
    """What was asked, which decides the scale."""

    NPS = "nps"
    CSAT = "csat"
    CES = "ces"


# The best rating, where the score is the mean of ratings that begin at 1.
_TOP: Final = {Metric.NPS: None, Metric.CSAT: 5, Metric.CES: 7}


@dataclass(frozen=True, kw_only=True, slots=True)
class ScoreRow:
    """A score that never stands alone: with its answers, its interval and a warning."""

    score: float | None
    n: int
    promoters: int
    passives: int
    detractors: int
    ci95: Interval | None
    enough: bool

    def as_document(self) -> dict[str, object]:
        """Return the members of a row of ``GET /v1/scores`` but for its group."""
        return {
            "score": self.score,
            "n": self.n,
            "promoters": self.promoters,
            "passives": self.passives,
            "detractors": self.detractors,
            "ci95": None if self.ci95 is None else list(self.ci95),
            "enough": self.enough,
        }


def score_row(
    metric: Metric | str,
    *,
    promoters: int,
    passives: int,
    detractors: int,
    total: int = 0,
    squares: int = 0,
) -> ScoreRow:
    """Return the row for one group of answers.

    A Net Promoter Score needs the counts only. The mean of a satisfaction or effort rating
    needs the sum of the ratings and of their squares too. Shown with one and two decimals.
    """
    top = _TOP[Metric(metric)]
    if top is None:
        found = nps(promoters=promoters, passives=passives, detractors=detractors)
        decimals = 1
    else:
        n = promoters + passives + detractors
        found = mean(n=n, total=total, squares=squares, low=1, high=top)
        decimals = 2
    return ScoreRow(
        score=None if found.value is None else round(found.value, decimals),
        n=found.n,
        promoters=promoters,
        passives=passives,
        detractors=detractors,
        ci95=None
        if found.ci95 is None
        else (round(found.ci95[0], decimals), round(found.ci95[1], decimals)),
        enough=found.enough,
    )
