"""Many comparisons at once: what may be called a finding, and a comparison of two shares."""

from __future__ import annotations

from collections.abc import Sequence
from math import erfc, sqrt
from typing import Final

Q: Final = 0.10
"""At most this share of what is called a finding is chance, on average."""

_LEAST_EXPECTED: Final = 5


def findings(p_values: Sequence[float], *, q: float = Q) -> list[bool]:
    """Tell for each p-value, in their order, whether it is a finding among all of them.

    Sort them, find the largest i with p(i) ≤ q i / m, and call the first i findings.

    Source: Benjamini and Hochberg, "Controlling the false discovery rate", Journal of the
    Royal Statistical Society B 57 (1995).
    """
    m = len(p_values)
    bound = max(
        (p for i, p in enumerate(sorted(p_values), start=1) if p <= q * i / m), default=-1.0
    )
    return [p <= bound for p in p_values]


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
