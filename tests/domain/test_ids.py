"""Ids sort by the time they were made, and a moment has its place among them."""

from __future__ import annotations

from datetime import timedelta

from shared.clock import SystemClock
from shared.ids import first_id, new_id

SECOND = timedelta(seconds=1)


def test_ids_sort_in_the_order_of_their_making() -> None:
    made = [new_id("rsp") for _ in range(2_000)]

    assert made == sorted(set(made))
    assert {len(one) for one in made} == {30}


def test_a_moment_stands_between_the_ids_before_and_after_it() -> None:
    now = SystemClock().now()
    made = new_id("rsp")

    assert first_id("rsp", now - SECOND) < first_id("rsp", now) <= made
    assert made < first_id("rsp", now + 60 * SECOND)
    assert len(first_id("rsp", now)) == len(made)
