"""What a theme does to a score: points, intervals, comparisons, and why a score changed."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from math import sqrt
from statistics import mean

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.loop.themes.domain.counts import EVERY_COMMENT, NO_THEME, Counts
from services.loop.themes.domain.ranking import impacts_of, ranks, ranks_by_mentions
from shared.stats.impact import (
    Answers,
    change_of,
    difference,
    leave_one_out,
    shares_differ,
)
from shared.stats.intervals import nps
from shared.stats.regression import ridge

Shape = tuple[float, float]
"""The probabilities of a promoter and of a detractor."""

SHAPES: Sequence[Shape] = (
    (0.5, 0.2),
    (0.2, 0.5),
    (0.35, 0.3),
    (0.6, 0.1),
    (0.3, 0.15),
    (0.4, 0.4),
    (0.7, 0.1),
    (0.15, 0.6),
)


def _drawn(chance: random.Random, n: int, shape: Shape) -> Answers:
    happy, unhappy = shape
    weights = (happy, 1 - happy - unhappy, unhappy)
    found = Counter(chance.choices("pnd", weights, k=n))
    return Answers(promoters=found["p"], passives=found["n"], detractors=found["d"])


def _together(one: Answers, other: Answers) -> Answers:
    return Answers(
        promoters=one.promoters + other.promoters,
        passives=one.passives + other.passives,
        detractors=one.detractors + other.detractors,
    )


groups = st.builds(
    Answers,
    promoters=st.integers(4, 400),
    passives=st.integers(2, 400),
    detractors=st.integers(4, 400),
)


# ------------------------------------------------------------------ intervals


@pytest.mark.parametrize("n", [10, 20, 50, 200])
def test_the_interval_of_a_score_covers_the_truth_as_often_as_it_says(n: int) -> None:
    """95 of 100 intervals hold the true score, whatever its shape, from ten answers on."""
    chance = random.Random(n)
    covered = {}
    for happy, unhappy in SHAPES:
        truth, hits = 100 * (happy - unhappy), 0
        for _ in range(1_500):
            drawn = _drawn(chance, n, (happy, unhappy))
            found = nps(
                promoters=drawn.promoters,
                passives=drawn.passives,
                detractors=drawn.detractors,
            )
            assert found.ci95 is not None
            hits += found.ci95[0] - 1e-9 <= truth <= found.ci95[1] + 1e-9
        covered[happy, unhappy] = hits / 1_500

    assert 0.93 <= mean(covered.values()) <= 0.97
    assert min(covered.values()) >= 0.925


@pytest.mark.parametrize(
    ("n", "often", "with_it", "without"),
    [
        (80, 0.25, (0.05, 0.9), (0.5, 0.2)),
        (150, 0.15, (0.3, 0.4), (0.5, 0.2)),
        (200, 0.2, (0.9, 0.02), (0.4, 0.3)),
        (300, 0.1, (0.4, 0.3), (0.4, 0.3)),
    ],
)
def test_the_interval_of_an_impact_covers_the_truth_as_often_as_it_says(
    n: int, often: float, with_it: Shape, without: Shape
) -> None:
    chance = random.Random(n)
    truth = often * 100 * ((with_it[0] - with_it[1]) - (without[0] - without[1]))
    hits = known = 0
    for _ in range(1_500):
        mentions = sum(chance.random() < often for _ in range(n))
        part = _drawn(chance, mentions, with_it)
        every = _together(part, _drawn(chance, n - mentions, without))
        found = leave_one_out(every, part)
        if found is not None:
            known += 1
            hits += found.ci95[0] <= truth <= found.ci95[1]

    assert known > 1_300
    assert 0.92 <= hits / known <= 0.98


def test_two_groups_that_are_alike_seldom_seem_to_differ() -> None:
    chance = random.Random(4)
    called = 0
    for run in range(2_000):
        one = _drawn(chance, 12 + run % 40, SHAPES[run % len(SHAPES)])
        other = _drawn(chance, 60, SHAPES[run % len(SHAPES)])
        found = difference(one, other)
        called += found is not None and found.p < 0.05

    assert 0.02 <= called / 2_000 <= 0.06


# ------------------------------------------------------------------ leaving one out


def test_an_impact_by_hand() -> None:
    """Of 100 comments 20 mention it, 16 of them unhappy; the others are even."""
    part = Answers(promoters=2, passives=2, detractors=16)
    every = Answers(promoters=42, passives=2, detractors=56)

    found = leave_one_out(every, part)

    assert found is not None
    assert found.points == pytest.approx(-14.0)  # -14 in all, 0 without
    variance = 0.2**2 * 1e4 * ((0.9 - 0.7**2) / 20 + 1 / 80) + 70**2 * 0.2 * 0.8 / 100
    assert found.ci95[1] - found.ci95[0] == pytest.approx(2 * 1.959964 * sqrt(variance))


@given(groups, groups)
def test_an_impact_is_the_score_less_the_score_without(part: Answers, rest: Answers) -> None:
    every = _together(part, rest)

    found = leave_one_out(every, part)

    assert found is not None
    assert found.points == pytest.approx(every.score - rest.score, abs=1e-6)
    assert found.ci95[0] <= found.points <= found.ci95[1]


def test_below_ten_answers_on_either_side_nothing_is_said() -> None:
    nine, many = Answers(detractors=9), Answers(promoters=50, detractors=50)

    assert leave_one_out(_together(nine, many), nine) is None
    assert leave_one_out(_together(nine, many), many) is None
    assert difference(nine, many) is None
    assert difference(many, nine) is None


def test_a_count_of_answers_cannot_be_negative() -> None:
    with pytest.raises(ValueError, match="negative"):
        Answers(promoters=-1)


def test_ten_answers_that_agree_are_no_certainty() -> None:
    found = difference(Answers(detractors=10), Answers(promoters=10))

    assert found is not None
    assert found.points == -200
    assert found.ci95[0] == -200
    assert -150 < found.ci95[1] < -100
    assert 0 < found.p < 1e-6


# ------------------------------------------------------------------ why a score changed


@given(groups, groups, groups, groups)
def test_the_parts_of_a_change_add_up_to_it(
    part: Answers, rest: Answers, former_part: Answers, former_rest: Answers
) -> None:
    now, then = _together(part, rest), _together(former_part, former_rest)

    found = change_of(now, part, then, former_part)

    assert found is not None
    assert found.points == pytest.approx(now.score - then.score, abs=1e-6)
    assert found.elsewhere + found.feeling + found.frequency == pytest.approx(
        found.points, abs=1e-6
    )


def test_more_of_the_same_customers_is_no_worse_feeling() -> None:
    angry, calm = Answers(detractors=20), Answers(promoters=80)
    more_angry, fewer_calm = Answers(detractors=40), Answers(promoters=60)

    found = change_of(
        _together(more_angry, fewer_calm), more_angry, _together(angry, calm), angry
    )

    assert found is not None
    assert (found.elsewhere, found.feeling) == (0, 0)
    assert found.frequency == pytest.approx(-40)


def test_a_change_that_rests_on_too_few_is_not_explained() -> None:
    few, many = Answers(detractors=9), Answers(promoters=100)

    assert change_of(_together(few, many), few, _together(many, many), many) is None


# ------------------------------------------------------------------ shares


def test_shares_are_compared_where_there_is_enough_to_compare() -> None:
    assert shares_differ(30, 100, other_hits=30, other_n=100) == pytest.approx(1)
    by_hand = shares_differ(30, 100, other_hits=15, other_n=100)
    assert by_hand == pytest.approx(0.0110, abs=1e-4)  # z = 2.540
    assert shares_differ(3, 10, other_hits=30, other_n=100) is None
    assert shares_differ(0, 0, other_hits=30, other_n=100) is None


# ------------------------------------------------------------------ all themes at once


def _answers(seed: int, n: int) -> list[tuple[frozenset[str], int]]:
    """Late parcels make customers angry; whoever is late is often told nothing besides."""
    chance = random.Random(seed)
    made = []
    for _ in range(n):
        late = chance.random() < 0.3
        untold = chance.random() < (0.6 if late else 0.1)
        kind = chance.random() < 0.2
        happy = 0.5 - 0.4 * late + 0.3 * kind
        value = chance.choices((100, 0, -100), (happy, 0.2, max(0.0, 0.8 - happy)))[0]
        names = {"late": late, "untold": untold, "kind": kind}
        made.append((frozenset(name for name, said in names.items() if said), value))
    return made


def test_the_regression_is_the_textbooks() -> None:
    """The same by numpy, row by row: ridge with an unpenalised intercept, HC3."""
    answers = _answers(1, 400)
    names = ["kind", "late", "untold"]
    x = np.array([[1.0, *(name in themes for name in names)] for themes, _ in answers])
    y = np.array([value for _, value in answers], dtype=float)
    inverse = np.linalg.inv(x.T @ x + np.diag([0.0, 0.1, 0.1, 0.1]))
    beta = inverse @ x.T @ y
    leverage = np.einsum("ij,jk,ik->i", x, inverse, x)
    meat = x.T @ (x * (((y - x @ beta) / (1 - leverage)) ** 2)[:, None])
    robust = np.diag(inverse @ meat @ inverse)

    found = ridge(answers)

    assert sorted(found) == names
    for place, name in enumerate(names, start=1):
        w = x[:, place].mean()
        spread = sqrt(w**2 * robust[place] + beta[place] ** 2 * w * (1 - w) / len(y))
        assert found[name].points == pytest.approx(w * beta[place])
        assert found[name].ci95[1] - found[name].points == pytest.approx(1.959964 * spread)


def test_a_theme_that_only_comes_along_costs_nothing_of_its_own() -> None:
    answers = _answers(2, 4_000)
    untold = [value for themes, value in answers if "untold" in themes]

    found = ridge(answers)

    assert mean(untold) < mean(value for _, value in answers) - 20
    assert abs(found["untold"].points) < 1.5
    assert found["late"].ci95[1] < -15
    assert found["kind"].ci95[0] > 5


def test_themes_that_always_come_together_share_what_they_cost() -> None:
    both = [(frozenset({"late", "untold"}), -100)] * 30
    answers = [*both, *[(frozenset[str](), 100)] * 30]

    found = ridge(answers)

    assert found["late"].points == pytest.approx(found["untold"].points)
    assert found["late"].points == pytest.approx(-50, abs=0.5)  # each half of 0.5 x 200


def test_the_order_of_the_answers_makes_no_difference() -> None:
    answers = _answers(3, 300)

    assert ridge(answers) == ridge(list(reversed(answers)))


def test_what_hardly_anybody_or_nearly_everybody_mentions_is_left_out() -> None:
    answers = [(frozenset({"always", f"rare {n}"}), (100, -100)[n % 2]) for n in range(40)]

    assert ridge(answers) == {}
    assert ridge([]) == {}


# ------------------------------------------------------------------ ranks


def test_equals_share_a_rank_and_the_next_is_left_out() -> None:
    assert ranks({"b": 7, "a": 9, "d": 3, "c": 7}) == {"a": 1, "b": 2, "c": 2, "d": 4}


def test_only_what_is_mentioned_has_a_rank() -> None:
    counts = {
        EVERY_COMMENT: Counts(mentions=9),
        NO_THEME: Counts(mentions=5),
        "late": Counts(mentions=4),
        "kind": Counts(mentions=0),
    }

    assert ranks_by_mentions(counts) == {"late": 1}


def test_what_costs_most_comes_first_and_keeps_its_former_place_beside_it() -> None:
    now = {
        EVERY_COMMENT: Counts(mentions=200, promoters=100, detractors=100),
        "late": Counts(mentions=40, detractors=40),
        "kind": Counts(mentions=40, promoters=40),
        "rare": Counts(mentions=9, detractors=9),
    }
    then = {
        EVERY_COMMENT: Counts(mentions=200, promoters=100, detractors=100),
        "kind": Counts(mentions=40, detractors=40),
    }

    found = impacts_of(now, then)

    assert [
        (found[name].rank, found[name].former_rank) for name in ("late", "kind", "rare")
    ] == [
        (1, None),
        (2, 1),
        (None, None),
    ]
    assert found["late"].points == pytest.approx(-25)
    assert found["kind"].points == pytest.approx(25)
    assert (found["rare"].n, found["rare"].points, found["rare"].enough) == (9, None, False)
