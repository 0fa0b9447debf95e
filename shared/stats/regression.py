"""What each of several overlapping themes does to a score, the others held still.

Leaving one theme out after the other counts twice what two themes share. This second view gives
each its own part. Association, not cause, here too.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from math import sqrt
from typing import Final

from shared.stats.impact import Points
from shared.stats.intervals import ENOUGH

_Z: Final = 1.959963984540054
_MOST: Final = 60
_PENALTY: Final = 0.1

Answer = tuple[Collection[str], int]
"""The themes that one answer mentions, and what it counts: -100, 0 or 100."""


def ridge(answers: Iterable[Answer]) -> Mapping[str, Points]:
    """Return for each theme the points of the mean that its mentions cost or bring.

    The answers are regressed on an intercept and an indicator of each theme:
    β = A⁻¹ X'y with A = X'X + λ D, where D leaves the intercept alone: so themes which nearly
    always come together do not blow up, and λ = 0.1 is too little, beside at least ten
    mentions, to draw the others towards nothing. The variance is robust (HC3): with
    h = x'A⁻¹x and the residuals e, Var(β) = A⁻¹ [Σ x x' e² / (1 - h)²] A⁻¹. Points are w β with
    w = n_t / n and the variance w² Var(β) + β² w (1 - w) / n, as for leaving one out.

    Themes that fewer than ten answers mention, or fewer than ten do not, are no part of it, nor
    are those behind the 60 most mentioned.

    Sources: Hoerl and Kennard, "Ridge regression", Technometrics 12 (1970); MacKinnon and
    White, Journal of Econometrics 29 (1985).
    """
    counted = Counter((frozenset(themes), value) for themes, value in answers)
    n = counted.total()
    mentions: Counter[str] = Counter()
    for (themes, _), times in counted.items():
        mentions.update(dict.fromkeys(themes, times))
    usable = [theme for theme, times in mentions.items() if ENOUGH <= times <= n - ENOUGH]
    names = sorted(sorted(usable, key=lambda theme: (-mentions[theme], theme))[:_MOST])
    column = {theme: place for place, theme in enumerate(names, start=1)}
    grouped: Counter[tuple[tuple[int, ...], int]] = Counter()
    for (themes, value), times in counted.items():
        grouped[(0, *sorted(column[one] for one in themes if one in column)), value] += times

    beta, variance = _fitted(
        [(ones, value, times) for (ones, value), times in sorted(grouped.items())],
        size=len(names) + 1,
    )
    found = {}
    for theme, place in column.items():
        w, effect = mentions[theme] / n, beta[place]
        half = _Z * sqrt(w**2 * variance[place] + effect**2 * w * (1 - w) / n)
        found[theme] = Points(points=w * effect, ci95=(w * effect - half, w * effect + half))
    return found


def _fitted(
    rows: Sequence[tuple[tuple[int, ...], int, int]], *, size: int
) -> tuple[list[float], list[float]]:
    """Return the coefficients and their variances.

    A row is which columns are one, what the answer counts, and how many are such.
    """
    if not rows:
        return [], []
    products = [[0.0] * size for _ in range(size)]
    totals = [0.0] * size
    for ones, value, times in rows:
        for i in ones:
            totals[i] += times * value
            for j in ones:
                products[i][j] += times
    for i in range(1, size):
        products[i][i] += _PENALTY
    inverse = _inverse(products)
    beta = [sum(a * b for a, b in zip(row, totals, strict=True)) for row in inverse]

    variance = [0.0] * size
    for ones, value, times in rows:
        weights = [sum(row[j] for j in ones) for row in inverse]
        leverage = sum(weights[i] for i in ones)
        residual = value - sum(beta[i] for i in ones)
        scale = times * (residual / (1 - leverage)) ** 2
        for i, weight in enumerate(weights):
            variance[i] += scale * weight**2
    return beta, variance


def _inverse(matrix: Sequence[Sequence[float]]) -> list[list[float]]:
    """Invert a symmetric positive definite matrix by elimination, which needs no pivoting."""
    size = len(matrix)
    work = [
        [*row, *(1.0 if i == j else 0.0 for j in range(size))] for i, row in enumerate(matrix)
    ]
    for i in range(size):
        pivot = work[i][i]
        work[i] = [value / pivot for value in work[i]]
        for k in range(size):
            if k != i and (factor := work[k][i]):
                work[k] = [a - factor * b for a, b in zip(work[k], work[i], strict=True)]
    return [row[size:] for row in work]
