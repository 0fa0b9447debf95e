"""Service levels: which promises count, whether they were kept, and how long it took."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from services.loop.tasks.domain.levels import Timed, level_of
from shared.stats.intervals import share
from tests.domain.test_schemes import OFFICE, TEAM, berlin
from tests.follow_up import HOUR, NOW, SCHEME

LATER = NOW + 1000 * HOUR


def timed(**said: Any) -> Timed:
    plain: dict[str, Any] = {
        "scheme": SCHEME.ref,
        "opened_at": NOW,
        "waiting_since": NOW - HOUR,
        "first_contact_at": None,
        "first_contact_due_at": NOW + 8 * HOUR,
        "ended_at": None,
        "due_at": NOW + 24 * HOUR,
        "paused_since": None,
        "close_reason": None,
    }
    return Timed(**(plain | said))


def level(*found: Timed, **said: Any) -> Any:
    return level_of(SCHEME, found, {SCHEME.ref: None}, now=said.get("now", LATER))


def test_a_promise_is_kept_or_broken_and_counted_with_its_margin() -> None:
    found = level(
        timed(first_contact_at=NOW + HOUR, ended_at=NOW + 20 * HOUR),
        timed(first_contact_at=NOW + 9 * HOUR, ended_at=NOW + 30 * HOUR),
        timed(first_contact_at=NOW + 8 * HOUR, ended_at=NOW + 24 * HOUR),
        timed(),
    )

    assert found.n == 4
    assert found.first_contact.on_time == share(hits=2, n=4)
    assert found.resolution.on_time == share(hits=2, n=4)


@pytest.mark.parametrize("reason", ["not_needed", "duplicate", "customer_revised"])
def test_what_needed_no_follow_up_counts_for_nobody(reason: str) -> None:
    found = level(timed(ended_at=NOW + HOUR, close_reason=reason))

    assert (found.n, found.first_contact.on_time.value) == (0, None)


def test_an_unreachable_customer_in_time_is_a_promise_kept() -> None:
    tried = timed(
        first_contact_at=NOW + HOUR, ended_at=NOW + 9 * HOUR, close_reason="unreachable"
    )

    assert level(tried).resolution.on_time == share(hits=1, n=1)


def test_what_is_still_in_time_is_not_counted_yet() -> None:
    found = level(timed(), now=NOW + 9 * HOUR)

    assert found.first_contact.on_time == share(hits=0, n=1)
    assert found.resolution.on_time == share(hits=0, n=0)
    paused = level(timed(paused_since=NOW + HOUR))
    assert paused.resolution.on_time.n == 0


def test_the_median_and_nine_of_ten_are_times_that_really_were() -> None:
    """One to ten hours after the customer began to wait, and an hour more since the opening."""
    tasks = [timed(first_contact_at=NOW + n * HOUR) for n in range(10)]

    times = level(*tasks).first_contact.customer

    assert (times.n, times.median, times.p90) == (10, 5 * HOUR, 9 * HOUR)
    assert level(timed()).first_contact.customer.median is None


def test_the_teams_times_are_opening_hours() -> None:
    """From Friday 16:00 to Monday 10:00: 66 hours for the customer, two for the team."""
    one = timed(
        scheme=TEAM.ref,
        opened_at=berlin(6, 16),
        waiting_since=berlin(6, 16),
        first_contact_at=berlin(9, 10),
    )

    found = level_of(TEAM, [one], {TEAM.ref: OFFICE}, now=LATER).first_contact

    assert (found.customer.median, found.team.median) == (66 * HOUR, 2 * HOUR)
    without = level(timed(first_contact_at=NOW + HOUR)).first_contact
    assert (without.customer.median, without.team.n) == (timedelta(hours=2), 0)
