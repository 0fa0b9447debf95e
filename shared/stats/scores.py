"""A row of scores as every page and ``GET /v1/scores`` show it, from what a roll-up holds.

The three counts are named after the Net Promoter Score; for satisfaction and effort ratings
they are the satisfied, the neutral and the dissatisfied.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from shared.stats.intervals import Estimate, Interval, mean, nps


class Metric(StrEnum):
    """What was asked, which decides the scale."""

    NPS = "nps"
    CSAT = "csat"
    CES = "ces"


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
    match Metric(metric):
        case Metric.NPS:
            found, decimals = (
                nps(promoters=promoters, passives=passives, detractors=detractors),
                1,
            )
        case Metric.CSAT:
            found, decimals = _rating(promoters + passives + detractors, total, squares, 5), 2
        case Metric.CES:
            found, decimals = _rating(promoters + passives + detractors, total, squares, 7), 2
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


def _rating(n: int, total: int, squares: int, high: int) -> Estimate:
    return mean(n=n, total=total, squares=squares, low=1, high=high)
