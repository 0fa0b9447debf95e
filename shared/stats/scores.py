"""A row of scores as every page and ``GET /v1/scores`` show it, from what a roll-up holds.

The three counts are named after the Net Promoter Score; for satisfaction and effort ratings
they are the satisfied, the neutral and the dissatisfied.
"""

from __future__ import annotations

from dataclasses import dataclass

from shared.stats.categories import RANGES, Metric
from shared.stats.intervals import Interval, mean, nps


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
    metric: Metric,
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
    if metric == "nps":
        found, decimals = nps(promoters=promoters, passives=passives, detractors=detractors), 1
    else:
        n = promoters + passives + detractors
        low, high = RANGES[metric]
        found, decimals = mean(n=n, total=total, squares=squares, low=low, high=high), 2
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
