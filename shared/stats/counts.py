"""How likely counts are that vary more than chance lets them: the negative binomial law.

A Poisson count whose mean is itself drawn by lot from a gamma distribution. Tails are taken
from the incomplete beta function: a count of a million costs no more than one of ten.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import exp, lgamma, log, log1p
from typing import Final

_CLOSE: Final = 1e-14
_TINY: Final = 1e-300
_MOST_STEPS: Final = 100_000


@dataclass(frozen=True, kw_only=True, slots=True)
class Spread:
    """Counts around ``mean`` with the variance ``mean + mean² / size``; both above 0."""

    mean: float
    size: float

    def at_least(self, count: int) -> float:
        """Return how likely a count as high as this, or higher, is."""
        if count <= 0:
            return 1.0
        return _beta(self.mean / (self.mean + self.size), count, self.size)

    def at_most(self, count: int) -> float:
        """Return how likely a count as low as this, or lower, is."""
        if count < 0:
            return 0.0
        return _beta(self.size / (self.mean + self.size), self.size, count + 1)

    def quantile(self, share: float) -> int:
        """Return the lowest count with at least this share of all counts at or below it."""
        high = 1
        while self.at_most(high) < share:
            high *= 2
        low = -1
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if self.at_most(middle) >= share else (middle, high)
        return high


def _beta(x: float, a: float, b: float) -> float:
    """Return the regularised incomplete beta function.

    Source: DLMF 8.17.22, its continued fraction, by Lentz's method; where that converges
    slowly, the same of the other end (8.17.4).
    """
    if x > (a + 1) / (a + b + 2):
        return 1.0 - _beta_below(1.0 - x, b, a)
    return _beta_below(x, a, b)


def _beta_below(x: float, a: float, b: float) -> float:
    front = exp(lgamma(a + b) - lgamma(a) - lgamma(b) + a * log(x) + b * log1p(-x)) / a
    c, d = 1.0, _inverse(1.0 - (a + b) * x / (a + 1))
    found = d
    for m in range(1, _MOST_STEPS):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        change = 1.0
        for part in (even, odd):
            d = _inverse(1.0 + part * d)
            c = 1.0 + part / c
            change = c * d
            found *= change
        if abs(change - 1.0) < _CLOSE:
            break
    return min(1.0, max(0.0, front * found))


def _inverse(value: float) -> float:
    return 1.0 / (value if abs(value) > _TINY else _TINY)
