"""Whether something is said more often than its own past lets expect: counts in, verdicts out.

Weeks differ by more than chance alone: an advertisement, a strike, a holiday. A test that
knows chance only takes every such week for news. This one learns from the base weeks by how
much weeks differ anyway, and asks for more than that.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import exp, log, sqrt
from typing import Final, Literal

from shared.stats.counts import Spread
from shared.stats.intervals import Interval

Word = Literal["beyond", "inside", "too_few"]
"""Beyond or inside what was to be expected; or there is too little to tell."""

FALSE_SHARE: Final = 0.10
"""How many of those called beyond may be wrong: the q of Benjamini and Hochberg."""

SHARP_FALSE_SHARE: Final = 0.05
"""The same for a rise that people are alarmed about."""

SHARP_RATIO: Final = 1.5
"""So many times as often as before: among very many answers the smallest rise is certain."""

AT_LEAST: Final = 3
"""So many mentions make a rise, and so many expected ones a fall: 1 to 2 is no alarm."""

_Z: Final = 1.959963984540054
_LOW, _HIGH = 0.025, 0.975
_NOTICED: Final = 0.05


@dataclass(frozen=True, kw_only=True, slots=True)
class Counts:
    """One theme, or all comments: in the weeks that are judged, and in each base week."""

    now: int
    base: tuple[int, ...]

    @property
    def before(self) -> int:
        """Return how many there were in all base weeks."""
        return sum(self.base)


@dataclass(frozen=True, kw_only=True, slots=True)
class Case:
    """A theme among all comments, to be judged in ``weeks`` weeks together.

    There must be base weeks with comments, and at least one comment now.
    """

    theme: Counts
    comments: Counts
    cv2: float
    weeks: int = 1

    @property
    def expected(self) -> Spread:
        """Return how often the theme is to be expected.

        Gamma-Poisson: with b mentions among N comments in B base weeks, and n comments in the K
        weeks that are judged, the mean is m = (b + 1/2) n / N / (1 - CV²/B) and the variance
        m + m² CV² (1/K + 2/B) + m n / N. Its parts are chance, weeks that differ, and the past
        being only a sample too. A mean of B weeks that differ is too low as often as too high,
        and the lower it is the higher seems what follows: that is 1 - CV²/B, and 2/B where 1/B
        would do for a mean that is known (to first order, as for a ratio of gamma variables).
        """
        part = self.comments.now / self.comments.before
        uncertain = self.cv2 / len(self.comments.base)
        mean = (self.theme.before + 0.5) * part / (1 - min(uncertain, 0.5))
        more = mean * (self.cv2 / self.weeks + 2 * uncertain)
        return Spread(mean=mean, size=mean / (more + part))

    @property
    def range95(self) -> tuple[int, int]:
        """Return between which numbers, both included, 95 of 100 such counts lie."""
        expected = self.expected
        return expected.quantile(_LOW), expected.quantile(_HIGH)

    @property
    def ratio(self) -> tuple[float, Interval]:
        """Return how many times as often as before it is said, with a 95 % interval.

        The share now divided by the share before, half a mention added to both; on the log
        scale ± z √(1/(c + 1/2) + 1/(b + 1/2) + CV² (1/K + 1/B)).

        Source: Rothman and Greenland, "Modern Epidemiology" (1998), for the ratio of two
        Poisson rates; the last term is added for weeks that differ.
        """
        now, before = self.theme.now + 0.5, self.theme.before + 0.5
        middle = log(now / self.comments.now) - log(before / self.comments.before)
        differing = self.cv2 * (1 / self.weeks + 1 / len(self.theme.base))
        half = _Z * sqrt(1 / now + 1 / before + differing)
        return exp(middle), (exp(middle - half), exp(middle + half))

    @property
    def tells(self) -> bool:
        """Tell whether twice as many as expected would stand out at all.

        That depends on the past alone: a choice by it takes nothing from the test.
        """
        expected = self.expected
        return expected.at_least(round(2 * expected.mean)) <= _NOTICED


@dataclass(frozen=True, kw_only=True, slots=True)
class Judgement:
    """A count beside what was to be expected; the ratio never stands without its interval."""

    word: Word
    rises: bool
    """Beyond the expected range, and upwards."""
    is_sharp: bool
    """A rise to at least ``SHARP_RATIO`` that ``SHARP_FALSE_SHARE`` would call as well."""
    expected: float
    range95: tuple[int, int]
    """Between these, both included, 95 of 100 such counts lie."""
    ratio: float
    ci95: Interval


def variation(themes: Sequence[Counts], comments: Counts) -> float:
    """Return CV², by how much the weeks of these themes differ beyond chance.

    Theme i was said b_iw times in base week w, which had n_w of all N comments. With
    μ_iw = (b_i + 1/2) n_w / N the estimate by moments over all of them is
    max(0, Σ ((b_iw - μ_iw)² B / (B - 1) - μ_iw) / Σ μ_iw²), B being the number of weeks.
    """
    total, weeks = comments.before, len(comments.base)
    if weeks < 2 or not total:
        return 0.0
    above = squares = 0.0
    for theme in themes:
        share = (theme.before + 0.5) / total
        for count, volume in zip(theme.base, comments.base, strict=True):
            mean = share * volume
            above += (count - mean) ** 2 * weeks / (weeks - 1) - mean
            squares += mean**2
    return max(0.0, above / squares)


def judge(cases: Mapping[str, Case]) -> Mapping[str, Judgement]:
    """Judge the themes of one department together.

    One-sided: p = P(X ≥ c), tested from ``AT_LEAST`` mentions on, by Benjamini and Hochberg
    over all of them. Falls are told by the same test of the other side, so that nothing is
    called inside that is not; only rises are alarms.
    """
    up = {
        name: case.expected.at_least(case.theme.now) if case.theme.now >= AT_LEAST else 1.0
        for name, case in cases.items()
    }
    down = {
        name: case.expected.at_most(case.theme.now) if case.expected.mean >= AT_LEAST else 1.0
        for name, case in cases.items()
    }
    rises, falls = discoveries(up), discoveries(down)
    sharp = discoveries(up, q=SHARP_FALSE_SHARE)
    return {
        name: _judgement(
            case,
            is_beyond=name in rises or name in falls,
            rises=name in rises,
            is_sharp=name in sharp,
        )
        for name, case in cases.items()
    }


def discoveries(chances: Mapping[str, float], *, q: float = FALSE_SHARE) -> frozenset[str]:
    """Return what is no chance, with at most ``q`` of it wrong on average.

    Of the m chances, sorted, find the largest i with p(i) ≤ q i / m; take the first i.

    Source: Benjamini and Hochberg, "Controlling the false discovery rate", Journal of the Royal
    Statistical Society B 57 (1995).
    """
    ordered = sorted(chances.values())
    limit = max(
        (p for i, p in enumerate(ordered, start=1) if p <= q * i / len(ordered)), default=-1.0
    )
    return frozenset(name for name, p in chances.items() if p <= limit)


def _judgement(case: Case, *, is_beyond: bool, rises: bool, is_sharp: bool) -> Judgement:
    expected = case.expected
    ratio, ci95 = case.ratio
    word: Word = "inside" if case.tells else "too_few"
    return Judgement(
        word="beyond" if is_beyond else word,
        rises=rises,
        is_sharp=is_sharp and ratio >= SHARP_RATIO,
        expected=expected.mean,
        range95=case.range95,
        ratio=ratio,
        ci95=ci95,
    )
