"""Scores with their intervals, and the row that pages and the API show."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.stats.categories import Metric
from shared.stats.intervals import ENOUGH, mean, nps, share
from shared.stats.scores import score_row

COUNTS = st.integers(0, 5_000)


@pytest.mark.parametrize(
    ("promoters", "passives", "detractors", "score"),
    [
        (54, 19, 27, 27.0),  # the textbook example, in which detractors are 27 % too
        (50, 40, 10, 40.0),  # and one in which nothing coincides
        (0, 5, 0, 0.0),
        (0, 0, 3, -100.0),
        (3, 0, 0, 100.0),
    ],
)
def test_the_net_promoter_score_is_promoters_minus_detractors(
    promoters: int, passives: int, detractors: int, score: float
) -> None:
    found = nps(promoters=promoters, passives=passives, detractors=detractors)

    assert found.value == pytest.approx(score)
    assert found.n == promoters + passives + detractors


def test_the_interval_of_a_net_promoter_score_is_the_adjusted_one() -> None:
    """Worked by hand: n' = 103, p = 54.75/103, d = 27.75/103."""
    found = nps(promoters=54, passives=19, detractors=27)

    assert found.ci95 == pytest.approx((9.69, 42.74), abs=0.01)


def test_nobody_asked_is_no_score() -> None:
    for found in (
        nps(promoters=0, passives=0, detractors=0),
        mean(n=0, total=0, squares=0, low=1, high=5),
        share(hits=0, n=0),
    ):
        assert (found.value, found.n, found.ci95, found.enough) == (None, 0, None, False)


def test_ten_answers_are_enough() -> None:
    assert not nps(promoters=ENOUGH - 1, passives=0, detractors=0).enough
    assert nps(promoters=ENOUGH, passives=0, detractors=0).enough


@given(COUNTS, COUNTS, COUNTS)
def test_an_interval_lies_on_the_scale_around_its_score(p: int, n: int, d: int) -> None:
    found = nps(promoters=p, passives=n, detractors=d)
    if found.ci95 is None or found.value is None:
        assert p + n + d == 0
    else:
        low, high = found.ci95
        assert -100 <= low <= found.value + 1e-9
        assert found.value - 1e-9 <= high <= 100


@given(st.lists(st.integers(1, 7), min_size=1, max_size=60))
def test_a_mean_lies_in_its_interval_on_the_scale(ratings: list[int]) -> None:
    found = mean(
        n=len(ratings),
        total=sum(ratings),
        squares=sum(rating**2 for rating in ratings),
        low=1,
        high=7,
    )

    assert found.value == pytest.approx(sum(ratings) / len(ratings))
    assert found.value is not None
    assert found.ci95 is not None
    assert 1 <= found.ci95[0] <= found.value + 1e-9
    assert found.value - 1e-9 <= found.ci95[1] <= 7


def test_unanimous_ratings_still_have_a_margin() -> None:
    found = mean(n=10, total=50, squares=250, low=1, high=5)

    assert found.ci95 is not None
    assert found.ci95[0] < 4.5
    assert found.ci95[1] == 5.0


def test_a_mean_narrows_with_the_number_of_answers() -> None:
    few, many = (
        mean(n=2 * n, total=6 * n, squares=20 * n, low=1, high=5).ci95 for n in (10, 1_000)
    )

    assert few is not None
    assert many is not None
    assert many[1] - many[0] < (few[1] - few[0]) / 5
    # s = 1, so the margin of 2,000 answers is 1.96 / √2000.
    assert many[1] - 3 == pytest.approx(1.96 / 2_000**0.5, rel=0.01)


@pytest.mark.parametrize(
    ("hits", "n", "low", "high"),
    [(0, 10, 0.0, 0.2775), (10, 10, 0.7225, 1.0), (1, 10, 0.0179, 0.4042)],
)
def test_a_share_has_wilsons_interval(hits: int, n: int, low: float, high: float) -> None:
    assert share(hits=hits, n=n).ci95 == pytest.approx((low, high), abs=1e-4)


def test_impossible_counts_are_a_fault_of_the_caller() -> None:
    with pytest.raises(ValueError, match="negative"):
        nps(promoters=-1, passives=0, detractors=0)
    with pytest.raises(ValueError, match="negative"):
        share(hits=3, n=2)
    with pytest.raises(ValueError, match="sums"):
        mean(n=2, total=11, squares=61, low=1, high=5)
    with pytest.raises(ValueError, match="sums"):
        mean(n=2, total=6, squares=17, low=1, high=5)


def test_a_row_carries_everything_a_score_must_not_go_without() -> None:
    row = score_row("nps", promoters=54, passives=19, detractors=27)

    assert row.as_document() == {
        "score": 27.0,
        "n": 100,
        "promoters": 54,
        "passives": 19,
        "detractors": 27,
        "ci95": [9.7, 42.7],
        "enough": True,
    }


@pytest.mark.parametrize(("metric", "squares"), [("csat", 52), ("ces", 52)])
def test_a_rating_is_shown_as_its_mean(metric: Metric, squares: int) -> None:
    row = score_row(metric, promoters=2, passives=1, detractors=1, total=14, squares=squares)

    assert row.score == 3.5
    assert row.n == 4
    assert not row.enough


def test_a_row_of_nothing_has_no_score() -> None:
    row = score_row("csat", promoters=0, passives=0, detractors=0)

    assert row.as_document()["score"] is None
    assert row.as_document()["ci95"] is None
