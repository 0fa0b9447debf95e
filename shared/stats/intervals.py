"""Point and interval of a Net Promoter Score, a mean rating and a share.

Every function takes counts or sums and gives ``None`` where nobody answered: no answers is not
the score 0. Intervals are at 95 %, lie within the scale, and hold for small numbers as well.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from typing import Final

Interval = tuple[float, float]

ENOUGH: Final = 10
"""From how many answers on a number may be compared with another.

The adjusted interval keeps its 95 % from n = 10 on (simulated coverage 0.94 to 0.96, where the
plain one gives 0.88 to 0.91), and below that it spans nearly the whole scale: at n = 9 about
plus or minus 45 points of a Net Promoter Score.
"""

_Z: Final = 1.959963984540054
# Student's t, 97.5 %, by degrees of freedom from 1; beyond them the expansion below is exact
# to four digits.
_T: Final = (
    12.7062, 4.3027, 3.1824, 2.7764, 2.5706, 2.4469, 2.3646, 2.3060, 2.2622, 2.2281,
    2.2010, 2.1788, 2.1604, 2.1448, 2.1314, 2.1199, 2.1098, 2.1009, 2.0930, 2.0860,
)  # fmt: skip


@dataclass(frozen=True, kw_only=True, slots=True)
class Estimate:
    """A number with what it rests on; there is no way to hold the number alone."""

    value: float | None
    n: int
    ci95: Interval | None

    @property
    def enough(self) -> bool:
        """Whether there are enough answers for the number to be compared."""
        return self.n >= ENOUGH


def nps(*, promoters: int, passives: int, detractors: int) -> Estimate:
    """Return the Net Promoter Score, from -100 to 100, with its adjusted Wald interval.

    With P promoters and D detractors among n answers the score is 100 (P - D) / n. For the
    interval three answers are added, of them 3/4 promoters and 3/4 detractors: n' = n + 3,
    p = (P + 3/4) / n', d = (D + 3/4) / n', 100 [(p - d) ± z √((p + d - (p - d)²) / n')].

    Source: Rocks, "Interval estimation for the Net Promoter Score", The American Statistician
    70 (2016); recommended by Sauro and Lewis.
    """
    n = _answers(promoters, passives, detractors)
    if n == 0:
        return Estimate(value=None, n=0, ci95=None)
    more = n + 3
    p, d = (promoters + 0.75) / more, (detractors + 0.75) / more
    half = 100 * _Z * sqrt((p + d - (p - d) ** 2) / more)
    return Estimate(
        value=100 * (promoters - detractors) / n,
        n=n,
        ci95=_within(100 * (p - d) - half, 100 * (p - d) + half, -100, 100),
    )


def mean(*, n: int, total: float, squares: float, low: float, high: float) -> Estimate:
    """Return the mean of *n* ratings between *low* and *high*, with an adjusted t interval.

    *total* is the sum of the ratings and *squares* the sum of their squares. For the interval
    half an answer is added at each end of the scale: n' = n + 1, m = (total + (low + high)/2)
    / n', s² = (squares + (low² + high²)/2 - n' m²) / n, m ± t(n) s / √n'. The plain t interval
    has no width where all agree, as ratings often do, and covers 0.5 to 0.95 of ten answers;
    this one covers 0.96 to 1 of them and 0.95 to 0.98 of a hundred (simulated, four shapes).

    Source: Student's t; the added answers follow Agresti and Coull, "Approximate is better
    than exact for interval estimation", The American Statistician 52 (1998).
    """
    _answers(n)
    if n == 0:
        return Estimate(value=None, n=0, ci95=None)
    if not (low * n <= total <= high * n and squares * n >= total**2 * (1 - 1e-12)):
        raise ValueError("these sums cannot come from that many ratings on this scale")
    more = n + 1
    centre = (total + (low + high) / 2) / more
    variance = (squares + (low**2 + high**2) / 2 - more * centre**2) / n
    half = _t(n) * sqrt(max(variance, 0.0) / more)
    return Estimate(value=total / n, n=n, ci95=_within(centre - half, centre + half, low, high))


def share(*, hits: int, n: int) -> Estimate:
    """Return the share of *hits* among *n*, from 0 to 1, with its Wilson score interval.

    With p = hits / n: (p + z²/2n ± z √(p (1 - p)/n + z²/4n²)) / (1 + z²/n).

    Source: Wilson, "Probable inference", Journal of the American Statistical Association 22
    (1927); recommended for small n by Brown, Cai and DasGupta, Statistical Science 16 (2001).
    """
    _answers(hits, n - hits)
    if n == 0:
        return Estimate(value=None, n=0, ci95=None)
    p, z2 = hits / n, _Z**2
    centre = (p + z2 / (2 * n)) / (1 + z2 / n)
    half = _Z * sqrt(p * (1 - p) / n + z2 / (4 * n * n)) / (1 + z2 / n)
    # At the ends the exact bound is the end itself, which rounding may just miss.
    low = 0.0 if hits == 0 else centre - half
    high = 1.0 if hits == n else centre + half
    return Estimate(value=p, n=n, ci95=_within(low, high, 0, 1))


def _answers(*counts: int) -> int:
    if min(counts) < 0:
        raise ValueError("a count of answers cannot be negative")
    return sum(counts)


def _within(lower: float, upper: float, low: float, high: float) -> Interval:
    return max(lower, float(low)), min(upper, float(high))


def _t(freedom: int) -> float:
    """Return Student's t at 97.5 % (Abramowitz and Stegun 26.7.5 beyond the table)."""
    if freedom <= len(_T):
        return _T[freedom - 1]
    z, v = _Z, freedom
    return (
        z
        + (z**3 + z) / (4 * v)
        + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * v**2)
        + (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / (384 * v**3)
    )
