"""What one part of the answers does to a Net Promoter Score, and why a score changed.

The parts are those who mention a theme and those who do not. All of it is association, not
cause, and only those who wrote a comment are in it.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import erfc, sqrt
from typing import Final

from shared.stats.intervals import ENOUGH, Interval

_Z: Final = 1.959963984540054
_LEAST_EXPECTED: Final = 5


@dataclass(frozen=True, kw_only=True, slots=True)
class Answers:
    """How many promoters, passives and detractors there are in a group, none at the least."""

    promoters: int = 0
    passives: int = 0
    detractors: int = 0

    def __post_init__(self) -> None:
        """Refuse what no group can be."""
        if min(self.promoters, self.passives, self.detractors) < 0:
            raise ValueError("a count of answers cannot be negative")

    def without(self, part: Answers) -> Answers:
        """Return the group without a part of it; of nothing, nothing can be taken."""
        return Answers(
            promoters=max(0, self.promoters - part.promoters),
            passives=max(0, self.passives - part.passives),
            detractors=max(0, self.detractors - part.detractors),
        )

    @property
    def n(self) -> int:
        """Return how many answers there are."""
        return self.promoters + self.passives + self.detractors

    @property
    def score(self) -> float:
        """Return 100 (P - D) / n; without any answer there is none, and this is an error."""
        return 100 * (self.promoters - self.detractors) / self.n

    @property
    def variance(self) -> float:
        """Return the variance of the score: 100² (p + d - (p - d)²) / n."""
        return _variance(self.promoters / self.n, self.detractors / self.n, self.n)

    @property
    def adjusted(self) -> tuple[float, float]:
        """Return the score and its variance with three answers added, as for its interval."""
        n = self.n + 3
        p, d = (self.promoters + 0.75) / n, (self.detractors + 0.75) / n
        return 100 * (p - d), _variance(p, d, n)


@dataclass(frozen=True, kw_only=True, slots=True)
class Points:
    """Points of a Net Promoter Score with their 95 % interval."""

    points: float
    ci95: Interval


def leave_one_out(every: Answers, part: Answers) -> Points | None:
    """Return by how much the score is what it is because of a part; negative pulls it down.

    With w = n_t / n and δ = NPS_t - NPS_rest, the difference that leaving the part out makes is
    I = NPS_all - NPS_rest = w δ. Its variance is about w² Var(δ) + δ² w (1 - w) / n (delta
    method, w and δ independent). Simulated coverage of the interval: 0.93 to 0.97.

    None where the part or the rest has fewer than ``ENOUGH`` answers: the interval would not
    hold, and a number without it must not be shown.
    """
    rest = every.without(part)
    if part.n < ENOUGH or rest.n < ENOUGH:
        return None
    w, delta = part.n / every.n, part.score - rest.score
    variance = w**2 * (part.variance + rest.variance) + delta**2 * w * (1 - w) / every.n
    return _points(w * delta, variance)


@dataclass(frozen=True, kw_only=True, slots=True)
class Difference:
    """How far two independent groups lie apart, and how likely chance alone does that."""

    points: float
    ci95: Interval
    p: float


def difference(one: Answers, other: Answers) -> Difference | None:
    """Compare two independent groups or periods: z = (NPS_1 - NPS_2) / √(V1 + V2).

    Interval and p-value are of the adjusted scores (three answers added to each group), without
    which ten answers that agree pass for certainty: of groups of 10 and 60 that are alike, the
    plain test calls 9 in 100 different at p < 0.05, this one 4 (simulated). ``p`` is two-sided;
    where many are compared, correct it for that. None below ``ENOUGH`` answers on either side.
    """
    if one.n < ENOUGH or other.n < ENOUGH:
        return None
    (score, variance), (other_score, other_variance) = one.adjusted, other.adjusted
    variance += other_variance
    apart, points = score - other_score, one.score - other.score
    low, high = _points(apart, variance).ci95
    return Difference(
        points=points,
        # Of groups that agree, and only of such, it may just miss what they say.
        ci95=(max(-200.0, min(low, points)), min(200.0, max(high, points))),
        p=erfc(abs(apart) / sqrt(2 * variance)),
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class Change:
    """Why a score changed between two periods; the three parts add up to ``points``."""

    points: float
    elsewhere: float
    """The change among those who do not mention the theme."""
    feeling: float
    """Those who mention it feel better or worse, beside the others, than before."""
    frequency: float
    """More or fewer of the customers mention it."""


def change_of(
    now: Answers, now_part: Answers, then: Answers, then_part: Answers
) -> Change | None:
    """Split the change of a score into what a theme explains and what lies elsewhere.

    ΔNPS = ΔNPS_rest + mean(w) Δδ + mean(δ) Δw, exactly, with w and δ as in ``leave_one_out``
    and means over the two periods. None below ``ENOUGH`` answers in any of the four groups.
    """
    now_rest, then_rest = now.without(now_part), then.without(then_part)
    if min(group.n for group in (now_part, now_rest, then_part, then_rest)) < ENOUGH:
        return None
    w_now, w_then = now_part.n / now.n, then_part.n / then.n
    delta_now = now_part.score - now_rest.score
    delta_then = then_part.score - then_rest.score
    return Change(
        points=now.score - then.score,
        elsewhere=now_rest.score - then_rest.score,
        feeling=(w_now + w_then) / 2 * (delta_now - delta_then),
        frequency=(delta_now + delta_then) / 2 * (w_now - w_then),
    )


def shares_differ(hits: int, n: int, *, other_hits: int, other_n: int) -> float | None:
    """Return how likely chance alone sets two independent shares this far apart (two-sided).

    z = (p1 - p2) / √(p (1 - p) (1/n1 + 1/n2)) with the pooled share p. None where fewer than
    five are expected among the hits or the misses of either side: the normal approximation does
    not hold there.
    """
    if not n or not other_n:
        return None
    pooled = (hits + other_hits) / (n + other_n)
    if min(n, other_n) * min(pooled, 1 - pooled) < _LEAST_EXPECTED:
        return None
    z = (hits / n - other_hits / other_n) / sqrt(pooled * (1 - pooled) * (1 / n + 1 / other_n))
    return erfc(abs(z) / sqrt(2))


def _variance(p: float, d: float, n: int) -> float:
    # Unanimous answers come to a hair below nothing.
    return max(0.0, 1e4 * (p + d - (p - d) ** 2) / n)


def _points(points: float, variance: float) -> Points:
    half = _Z * sqrt(variance)
    return Points(points=points, ci95=(points - half, points + half))
