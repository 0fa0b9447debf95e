"""Which themes come first: by mentions, and by the points of the score that they cost or bring.

Ties are no order: themes with equal numbers share a rank, and the next rank is left out, so
that nobody seems to rise or fall by their name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from services.loop.themes.domain.counts import EVERY_COMMENT, NO_THEME, Counts
from shared.stats.impact import leave_one_out
from shared.stats.intervals import Interval


@dataclass(frozen=True, kw_only=True)
class Impact:
    """Points of the Net Promoter Score that a theme costs (below 0) or brings.

    ``n`` mentions with an answer to the question support it. Where they, or the comments
    without the theme, are too few for the interval to hold, there are no points and no rank.
    """

    points: float | None = None
    ci95: Interval | None = None
    n: int = 0
    rank: int | None = None
    """1 is the theme that costs most."""
    former_rank: int | None = None

    @property
    def enough(self) -> bool:
        """Whether there are enough answers to say anything."""
        return self.points is not None


def ranks(values: Mapping[str, float]) -> dict[str, int]:
    """Return the rank of each, the greatest first; equals share theirs (1, 2, 2, 4)."""
    first: dict[float, int] = {}
    for place, value in enumerate(sorted(values.values(), reverse=True), start=1):
        first.setdefault(value, place)
    return {name: first[value] for name, value in values.items()}


def ranks_by_mentions(counts: Mapping[str, Counts]) -> dict[str, int]:
    """Return the rank of every theme that is mentioned at all."""
    return ranks({theme: one.mentions for theme, one in _themes(counts) if one.mentions > 0})


def impacts_of(now: Mapping[str, Counts], then: Mapping[str, Counts]) -> dict[str, Impact]:
    """Return what every counted theme costs, with its rank in the period before."""
    found, before = _measured(now), _measured(then)
    places, former = _ranks_by_cost(found), _ranks_by_cost(before)
    return {
        theme: replace(one, rank=places.get(theme), former_rank=former.get(theme))
        for theme, one in found.items()
    }


def _measured(counts: Mapping[str, Counts]) -> dict[str, Impact]:
    every = counts.get(EVERY_COMMENT, Counts()).answers
    measured = {}
    for theme, one in _themes(counts):
        answers = one.answers
        found = leave_one_out(every, answers)
        measured[theme] = (
            Impact(n=answers.n)
            if found is None
            else Impact(points=found.points, ci95=found.ci95, n=answers.n)
        )
    return measured


def _ranks_by_cost(impacts: Mapping[str, Impact]) -> dict[str, int]:
    return ranks(
        {theme: -one.points for theme, one in impacts.items() if one.points is not None}
    )


def _themes(counts: Mapping[str, Counts]) -> list[tuple[str, Counts]]:
    return [
        (theme, one) for theme, one in counts.items() if theme not in {EVERY_COMMENT, NO_THEME}
    ]
