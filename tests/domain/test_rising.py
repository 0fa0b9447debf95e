"""What is called a riser: the test's arithmetic, and how often it is wrong."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from math import exp, lgamma, log

import numpy as np
import pytest

from services.loop.themes.domain.counts import EVERY_COMMENT
from services.loop.themes.domain.risers import Verdict, monday_of, verdicts_of
from shared.stats.counts import Spread
from shared.stats.rising import Case, Counts, discoveries, judge, variation

SUNDAY = date(2026, 3, 1)
WEEK = timedelta(days=7)


def likelihood(count: int, mean: float, size: float) -> float:
    """Return the negative binomial's own formula, for counts that are small enough for it."""
    return exp(
        lgamma(count + size)
        - lgamma(size)
        - lgamma(count + 1)
        + size * log(size / (size + mean))
        + count * log(mean / (size + mean))
    )


@pytest.mark.parametrize(
    ("mean", "size"), [(0.3, 0.8), (7.3, 2.2), (7.3, 1e6), (40.0, 0.5), (120.0, 30.0)]
)
def test_tails_are_the_sums_of_their_parts(mean: float, size: float) -> None:
    spread = Spread(mean=mean, size=size)
    for count in (0, 1, 2, 5, 17, 90, 250):
        below = sum(likelihood(k, mean, size) for k in range(count + 1))

        assert spread.at_most(count) == pytest.approx(below, rel=1e-7)
        assert spread.at_least(count + 1) == pytest.approx(1 - below, abs=1e-9)
    assert (spread.at_least(0), spread.at_most(-1)) == (1.0, 0.0)


def test_a_range_holds_what_it_says_and_no_more() -> None:
    spread = Spread(mean=7.3, size=2.2)

    low, high = spread.quantile(0.025), spread.quantile(0.975)

    assert spread.at_most(low - 1) < 0.025 <= spread.at_most(low)
    assert spread.at_most(high - 1) < 0.975 <= spread.at_most(high)
    assert Spread(mean=2e6, size=50.0).quantile(0.5) == pytest.approx(2e6, rel=0.02)


def test_what_is_no_chance_is_found_among_many_as_benjamini_and_hochberg_did() -> None:
    """Their own example of fifteen: at 5 % the first four are called."""
    chances = (
        0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459, 0.3240,
        0.4262, 0.5719, 0.6528, 0.7590, 1.0000,
    )  # fmt: skip
    named = {str(n): p for n, p in enumerate(chances)}

    assert discoveries(named, q=0.05) == {"0", "1", "2", "3"}
    assert discoveries({}, q=0.05) == frozenset()
    assert discoveries({"a": 1.0}, q=0.1) == frozenset()


def test_weeks_that_differ_by_chance_alone_are_not_taken_for_more() -> None:
    lot = np.random.default_rng(7)
    comments = Counts(now=400, base=(400, 200, 400, 800, 400, 400, 600, 400))

    def varied(cv: float) -> float:
        noise = lot.gamma(1 / cv**2, cv**2, size=(60, 8)) if cv else np.ones((60, 8))
        counts = lot.poisson(0.05 * np.array(comments.base) * noise)
        return variation([_counts(row) for row in counts], comments)

    assert varied(0) < 0.02
    assert varied(0.3) == pytest.approx(0.09, abs=0.03)
    assert varied(0.6) == pytest.approx(0.36, abs=0.08)


def _counts(row: np.ndarray) -> Counts:
    return Counts(now=0, base=tuple(map(int, row)))


def case(now: int, *base: int, comments: int = 100, cv2: float = 0.0) -> Case:
    volumes = Counts(now=comments, base=(100,) * len(base))
    return Case(theme=Counts(now=now, base=base), comments=volumes, cv2=cv2)


def test_from_one_to_two_is_no_alarm_and_from_three_to_twenty_is() -> None:
    found = judge({"rare": case(2, *[0] * 8), "late": case(20, *[3] * 8)})

    assert (found["rare"].word, found["rare"].rises) == ("too_few", False)
    assert (found["late"].word, found["late"].rises) == ("beyond", True)
    assert found["late"].is_sharp
    assert found["late"].ratio == pytest.approx(6.7, abs=0.1)
    assert 2.5 < found["late"].ci95[0] < found["late"].ratio < found["late"].ci95[1]
    assert found["late"].range95[1] < 20


def test_a_fall_is_beyond_as_well_and_no_rise() -> None:
    found = judge({"late": case(2, *[20] * 8), "calm": case(21, *[20] * 8)})

    assert (found["late"].word, found["late"].rises, found["late"].is_sharp) == (
        "beyond",
        False,
        False,
    )
    assert found["calm"].word == "inside"


def test_more_comments_are_no_rise_and_wild_weeks_hide_one() -> None:
    assert judge({"a": case(40, *[20] * 8, comments=200)})["a"].word == "inside"
    assert judge({"a": case(40, *[20] * 8)})["a"].rises
    assert not judge({"a": case(40, *[20] * 8, cv2=0.5)})["a"].rises


def _days(weekly: Mapping[str, list[int]], comments: list[int]) -> dict[str, dict[date, int]]:
    """Return counts by day; the last of each list is the week that ends on the Sunday."""
    return {
        name: {SUNDAY - n * WEEK: count for n, count in enumerate(reversed(counts))}
        for name, counts in {**weekly, EVERY_COMMENT: comments}.items()
    }


def test_what_a_week_cannot_tell_is_told_by_four() -> None:
    """A theme said twice a week, and then twice as often for a month."""
    weekly = {"slow": [2] * 8 + [6, 7, 6, 6], "often": [30] * 12}
    found = verdicts_of(
        _days(weekly, [100] * 12), {"slow": "Care", "often": "Care"}, last=SUNDAY
    )

    assert (found["slow"].weeks, found["slow"].word, found["slow"].mentions) == (
        4,
        "beyond",
        25,
    )
    assert found["slow"].first == SUNDAY - 4 * WEEK + timedelta(days=1)
    assert (found["slow"].former_mentions, found["slow"].former_comments) == (16, 800)
    assert (found["often"].weeks, found["often"].word) == (1, "inside")


def test_without_a_past_or_a_present_there_is_nothing_to_tell() -> None:
    new = _days({"late": [9, 9, 9, 30]}, [40] * 4)
    silent = _days({"late": [9] * 11 + [0]}, [40] * 11 + [0])
    for days in (new, {}):
        (found,) = verdicts_of(days, {"late": ""}, last=SUNDAY).values()
        assert (found.word, found.ratio, found.range95) == ("too_few", None, None)
    # Where nobody said anything this week, the month still tells something.
    assert verdicts_of(silent, {"late": ""}, last=SUNDAY)["late"].weeks == 4


def test_weeks_in_which_nobody_was_asked_are_no_past() -> None:
    weekly = {"late": [0, 0, 0, *[8] * 8, 9]}
    comments = [0, 0, 0, *[40] * 8, 40]

    found = verdicts_of(_days(weekly, comments), {"late": ""}, last=SUNDAY)["late"]

    assert (found.former_weeks, found.word) == (8, "inside")


def test_departments_are_judged_apart() -> None:
    """One department's many quiet themes do not hide another's only riser."""
    weekly = {"late": [10] * 11 + [20]} | {f"t{n}": [10] * 12 for n in range(60)}
    days = _days(weekly, [700] * 12)
    alone = verdicts_of(days, {n: "A" if n == "late" else "B" for n in weekly}, last=SUNDAY)
    together = verdicts_of(days, dict.fromkeys(weekly, "A"), last=SUNDAY)

    assert alone["late"].rises
    assert not together["late"].rises


def test_a_week_begins_on_its_monday() -> None:
    assert monday_of(SUNDAY) == date(2026, 2, 23)
    assert monday_of(date(2026, 2, 23)) == date(2026, 2, 23)


THEMES = 40
DOUBLED = 5


def simulated(
    lot: np.random.Generator, *, volume: int, cv: float, weeks: int, log_normal: bool = False
) -> tuple[Mapping[str, Verdict], set[str]]:
    """Return verdicts on forty themes of which five are twice as frequent in the last weeks."""
    shares = 1.2 * lot.dirichlet(np.ones(THEMES))
    means = np.outer(shares, np.full(12, float(volume)))
    if log_normal:
        spread = np.sqrt(np.log1p(cv**2))
        means *= np.exp(lot.normal(-(spread**2) / 2, spread, size=means.shape))
    elif cv:
        means *= lot.gamma(1 / cv**2, cv**2, size=means.shape)
    doubled = lot.permutation(THEMES)[:DOUBLED]
    means[doubled, 12 - weeks :] *= 2
    counts = lot.poisson(means)
    weekly = {str(n): list(map(int, counts[n])) for n in range(THEMES)}
    families = dict.fromkeys(weekly, "")
    found = verdicts_of(_days(weekly, [volume] * 12), families, last=SUNDAY)
    return found, set(map(str, doubled))


@pytest.mark.parametrize(
    ("volume", "cv", "weeks", "log_normal"),
    [
        (60, 0.0, 1, False),
        (60, 0.3, 1, False),
        (60, 0.3, 4, False),
        (200, 0.0, 1, False),
        (200, 0.3, 1, False),
        (200, 0.3, 4, False),
        (200, 0.3, 1, True),
        (800, 0.0, 1, False),
        (800, 0.3, 1, False),
        (800, 0.3, 1, True),
        (800, 0.5, 1, False),
    ],
)
def test_few_of_the_alarms_are_false_even_where_weeks_vary(
    *, volume: int, cv: float, weeks: int, log_normal: bool
) -> None:
    """The false share of each run's alarms, on average, and of the sharp ones."""
    lot = np.random.default_rng(20260301)
    false, false_sharp, runs = 0.0, 0.0, 80
    for _ in range(runs):
        found, doubled = simulated(
            lot, volume=volume, cv=cv, weeks=weeks, log_normal=log_normal
        )
        rises = {name for name, one in found.items() if one.rises}
        sharp = {name for name, one in found.items() if one.is_sharp}
        assert sharp <= rises
        false += len(rises - doubled) / max(1, len(rises))
        false_sharp += len(sharp - doubled) / max(1, len(sharp))

    assert false / runs <= 0.15
    assert false_sharp / runs <= 0.10


@pytest.mark.parametrize(
    ("volume", "cv", "weeks", "least"),
    [(800, 0.0, 1, 0.5), (800, 0.3, 1, 0.2), (200, 0.0, 1, 0.15), (60, 0.3, 4, 0.1)],
)
def test_what_doubles_is_found_where_there_is_enough_to_go_by(
    volume: int, cv: float, weeks: int, least: float
) -> None:
    lot = np.random.default_rng(5)
    hits, runs = 0, 60
    for _ in range(runs):
        found, doubled = simulated(lot, volume=volume, cv=cv, weeks=weeks)
        hits += sum(found[name].rises for name in doubled)

    assert hits / (runs * DOUBLED) >= least


def test_the_interval_of_the_ratio_covers_what_is_true() -> None:
    lot = np.random.default_rng(11)
    runs, covered = 1_500, 0
    for _ in range(runs):
        mean, cv, true = lot.uniform(5, 60), 0.25, lot.uniform(0.5, 3)
        means = mean * lot.gamma(1 / cv**2, cv**2, size=9)
        means[8] *= true
        *base, now = map(int, lot.poisson(means))
        (low, high) = case(now, *base, cv2=cv**2).ratio[1]
        covered += low <= true <= high

    assert 0.93 <= covered / runs <= 0.98
