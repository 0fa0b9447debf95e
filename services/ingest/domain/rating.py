"""Which column is the score, of which metric, and how its answers become numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

from services.ingest.domain.headings import (
    EFFORT,
    RECOMMEND,
    SATISFACTION,
    SCORE,
    has_best_first,
)
from services.ingest.domain.profiles import Profile
from shared.stats.categories import RANGES

Metric = Literal["nps", "csat", "ces"]

_NAMED: Final[Mapping[Metric, Any]] = {"nps": RECOMMEND, "csat": SATISFACTION, "ces": EFFORT}
_ENOUGH: Final = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Rating:
    """A column as the score; more ``points`` are better."""

    points: int
    metric: Metric
    confidence: Literal["high", "medium", "low"]
    rule: Mapping[str, Any]
    note: str
    why_metric: str


def rate(headings: Sequence[str], profile: Profile) -> Rating | None:
    """Return the column as a score, or None if it cannot be one."""
    named = [
        (max(names.strength(each) for each in headings), metric)
        for metric, names in _NAMED.items()
    ]
    strength, metric = max(named, key=lambda each: each[0])
    ends = _ends(profile, numbers=0.6 if strength >= 2 else 0.9)
    generic = max(SCORE.strength(each) for each in headings)
    if ends is None:
        return _unusable(strength, metric, generic, profile)
    if any(map(has_best_first, headings)):
        return _turned(max(strength, generic), metric if strength else "nps", ends, profile)
    if strength:
        confidence, note = _fits(metric, ends, profile)
        points = 10 * strength + {"nps": 16, "csat": 4, "ces": 2}[metric]
        return _rating(points, metric, confidence, profile, note=note, why="by its heading")
    if not generic and not _is_scale(ends, profile):
        return None
    metric, confidence, note = _by_values(ends, profile, named=bool(generic))
    return _rating(10 * generic, metric, confidence, profile, note=note, why="by its values")


def _unusable(strength: int, metric: Metric, generic: int, profile: Profile) -> Rating | None:
    """Return a column that is called a score and has none: a doubt, never quietly left out."""
    note = "its values are no numbers from 0 to 10"
    chosen = _is_chosen(profile)
    if profile.filled and (strength == 3 or (strength and chosen)):
        return _rating(10 * strength, metric, "low", profile, note=note, why="by its heading")
    if generic >= 2 and chosen:
        return _rating(generic, "nps", "low", profile, note=note, why="by its values")
    return None


def _turned(strength: int, metric: Metric, ends: tuple[int, int], profile: Profile) -> Rating:
    """Return a score whose heading says that the lowest is best: never without being asked."""
    lowest, highest = RANGES[metric]
    note = "its heading says that the lowest is best"
    rating = _rating(10 * strength + 1, metric, "low", profile, note=note, why="by its heading")
    if profile.scale is not None or not lowest <= ends[0] <= ends[1] <= highest:
        return rating
    turned = {"from": [lowest, highest], "to": [highest, lowest]}
    return replace(rating, rule={**rating.rule, "scale": turned}, note=f"{note}: turned round")


def _rating(
    points: int,
    metric: Metric,
    confidence: Literal["high", "medium", "low"],
    profile: Profile,
    *,
    note: str,
    why: str,
) -> Rating:
    rule: dict[str, Any] = {"type": "integer"}
    if profile.scale is not None:
        lowest, highest = RANGES[metric]
        bare = {str(n): n for n in range(lowest, highest + 1)}
        rule = {
            "map": profile.scale | {k: v for k, v in bare.items() if k not in profile.scale}
        }
    if profile.nothing:
        rule["empty"] = list(profile.nothing)
    return Rating(
        points=points + (1 if confidence != "low" else 0),
        metric=metric,
        confidence=confidence,
        rule=rule,
        note=note,
        why_metric=why,
    )


def _ends(profile: Profile, *, numbers: float) -> tuple[int, int] | None:
    """Return the lowest and the highest answer; None if these are no answers on a scale.

    ``numbers`` is which share of the values must be numbers.
    """
    if profile.scale is not None and profile.dates.share < 0.5:
        ends = min(profile.scale.values()), max(profile.scale.values())
    elif profile.filled and profile.whole >= numbers and not _is_tick(profile):
        ends = profile.lowest, profile.highest
    else:
        return None
    return ends if 0 <= ends[0] <= ends[1] <= 10 else None


def _is_scale(ends: tuple[int, int], profile: Profile) -> bool:
    """Tell whether values are a scale by themselves, under a heading that says nothing."""
    if profile.distinct < 2 or profile.distinct > 11:
        return False
    return profile.scale is not None or (profile.filled >= _ENOUGH and ends[1] >= 8)


def _is_chosen(profile: Profile) -> bool:
    """Tell numbers, and words out of a few, from what people write themselves."""
    if profile.whole > 0.5:
        return not _is_tick(profile)
    few = profile.filled >= _ENOUGH and profile.distinct <= 11 and profile.words < 5
    return profile.percent > 0.5 or (few and profile.distinct > 2)


def _is_tick(profile: Profile) -> bool:
    """Tell whether a column only says for which rows something holds."""
    return 0 <= profile.lowest <= profile.highest <= 1 and profile.rows >= _ENOUGH


def may_be_score(profile: Profile) -> bool:
    """Tell whether values look like answers on a scale, whatever their column is called."""
    ends = _ends(profile, numbers=0.9)
    return ends is not None and 3 <= profile.distinct <= 11 and ends[1] - ends[0] >= 2


def _fits(
    metric: Metric, ends: tuple[int, int], profile: Profile
) -> tuple[Literal["high", "medium", "low"], str]:
    """Compare what the heading says with what the values are."""
    lowest, highest = RANGES[metric]
    if not lowest <= ends[0] <= ends[1] <= highest:
        return "low", f"its values are not all {lowest} to {highest}"
    many = profile.filled >= _ENOUGH
    if metric == "nps" and many and ends[0] >= 1 and ends[1] <= 5:
        return "low", "the heading says 0 to 10, the values are 1 to 5"
    if metric == "ces" and many and ends[1] <= 5:
        return "low", "1 to 5 may be another scale than ours of 1 to 7"
    note = f"{lowest} to {highest}, {highest} is best"
    if profile.scale is None and profile.whole < 0.9:
        return "medium", f"{note}; some of its values are no numbers"
    return ("high" if profile.scale is None else "medium"), note


def _by_values(
    ends: tuple[int, int], profile: Profile, *, named: bool
) -> tuple[Metric, Literal["high", "medium", "low"], str]:
    """Tell the metric by the range of the values alone."""
    many = profile.filled >= _ENOUGH
    if ends[1] > 7 or (ends[0] == 0 and ends[1] > 5):
        sure = named and (many or ends[1] > 7)
        return "nps", ("medium" if sure else "low"), "taken as 0 to 10, 10 is best"
    if ends[0] >= 1 and ends[1] == 5 and (many or profile.scale):
        sure = named or profile.scale is not None
        return "csat", ("medium" if sure else "low"), "taken as 1 to 5, 5 is best"
    if ends[1] <= 5 and ends[0] >= 1:
        return "csat", "low", "too few values to tell the scale"
    return "ces" if ends[1] == 7 else "nps", "low", "the values do not tell the scale"
