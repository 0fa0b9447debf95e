"""What follows an attempt: schedules, waits, and the tables of replies, row by row."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.notify.domain.deliveries import (
    EMAIL_SCHEDULE,
    WEBHOOK_SCHEDULE,
    GiveUp,
    NextStep,
    Outcome,
    RetryAt,
    Sent,
    Verdict,
    next_step,
)
from services.notify.domain.verdicts import asked_wait, cleaned, http_outcome

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
MIDDLE = 0.5


def after(outcome: Outcome, *, failures: int = 0, troubles: int = 0) -> NextStep:
    return next_step(
        outcome,
        failures=failures,
        troubles=troubles,
        schedule=WEBHOOK_SCHEDULE,
        now=NOW,
        chance=MIDDLE,
    )


def an_outcome(verdict: Verdict, **members: Any) -> Outcome:
    return Outcome(verdict=verdict, reason="reason", **members)


def test_webhooks_are_tried_ten_times_over_about_three_days() -> None:
    waits = WEBHOOK_SCHEDULE.waits

    assert len(waits) + 1 == 10
    assert sum(waits, timedelta()) == timedelta(hours=75, minutes=35, seconds=5)
    assert waits[:3] == (timedelta(seconds=5), timedelta(minutes=5), timedelta(minutes=30))


def test_mails_are_tried_twelve_times_over_about_three_days() -> None:
    waits = EMAIL_SCHEDULE.waits

    assert [wait / timedelta(minutes=1) for wait in waits] == [
        *(1, 5, 15, 30),
        *(60 * hours for hours in (1, 2, 4, 8, 12, 24, 24)),
    ]
    assert EMAIL_SCHEDULE.spread == 0.2
    assert timedelta(hours=75) < sum(waits, timedelta()) < timedelta(hours=77)


def test_success_is_final() -> None:
    assert after(an_outcome(Verdict.ACCEPTED), failures=9) == Sent()


@pytest.mark.parametrize("verdict", [Verdict.PERMANENT, Verdict.GONE])
def test_a_final_refusal_is_given_up_at_once_with_its_reason(verdict: Verdict) -> None:
    assert after(an_outcome(verdict)) == GiveUp("reason")


@pytest.mark.parametrize("verdict", [Verdict.TRANSIENT, Verdict.DOUBT])
def test_passing_trouble_waits_by_the_schedule_and_then_gives_up(verdict: Verdict) -> None:
    steps = [after(an_outcome(verdict), failures=n) for n in range(10)]

    assert steps[:9] == [RetryAt(NOW + wait) for wait in WEBHOOK_SCHEDULE.waits]
    assert steps[9] == GiveUp("tries_used_up")


@pytest.mark.parametrize("troubles", [0, 1, 5, 500])
def test_trouble_of_the_channel_uses_up_no_try_however_long_it_lasts(troubles: int) -> None:
    step = after(an_outcome(Verdict.CHANNEL), failures=9, troubles=troubles)

    assert isinstance(step, RetryAt)
    assert not step.counted
    assert timedelta(seconds=15) <= step.when - NOW <= timedelta(minutes=10)


def test_a_setting_that_is_wrong_uses_up_no_try_and_asks_for_no_wait() -> None:
    step = after(an_outcome(Verdict.CONFIGURATION), failures=9, troubles=500)

    assert step == RetryAt(NOW, counted=False)


def test_a_server_that_needs_patience_is_not_asked_before() -> None:
    patient = an_outcome(Verdict.TRANSIENT, least_wait=timedelta(minutes=5))

    assert after(patient, failures=0) == RetryAt(NOW + timedelta(minutes=5))
    assert after(patient, failures=2) == RetryAt(NOW + WEBHOOK_SCHEDULE.waits[2])


@given(chance=st.floats(0, 1, exclude_max=True), failures=st.integers(0, 8))
def test_waits_are_spread_by_at_most_a_fifth(chance: float, failures: int) -> None:
    step = next_step(
        an_outcome(Verdict.TRANSIENT),
        failures=failures,
        troubles=0,
        schedule=WEBHOOK_SCHEDULE,
        now=NOW,
        chance=chance,
    )
    assert isinstance(step, RetryAt)
    wait = WEBHOOK_SCHEDULE.waits[failures]
    assert wait * 0.8 <= step.when - NOW <= wait * 1.2


@pytest.mark.parametrize(
    ("asked", "waited"),
    [
        (None, 300),
        (timedelta(seconds=1), 300),
        (timedelta(seconds=400), 400),
        (timedelta(seconds=600), 600),
        (timedelta(hours=2), 600),
        (timedelta(hours=25), 300),
        (timedelta(seconds=-5), 300),
    ],
)
def test_what_the_receiver_asks_for_counts_between_our_wait_and_twice_it(
    asked: timedelta | None, waited: int
) -> None:
    step = after(an_outcome(Verdict.TRANSIENT, asked_wait=asked), failures=1)

    assert step == RetryAt(NOW + timedelta(seconds=waited))


def test_a_body_that_is_too_large_is_tried_three_times_only() -> None:
    too_large = http_outcome(413, retry_after=None, reply="", now=NOW)

    steps = [after(too_large, failures=n) for n in range(3)]

    assert [type(step) for step in steps] == [RetryAt, RetryAt, GiveUp]
    assert steps[2] == GiveUp("http_413")


@pytest.mark.parametrize(
    ("status", "verdict", "reason"),
    [
        (200, Verdict.ACCEPTED, "accepted"),
        (204, Verdict.ACCEPTED, "accepted"),
        (299, Verdict.ACCEPTED, "accepted"),
        (301, Verdict.TRANSIENT, "redirect_refused"),
        (308, Verdict.TRANSIENT, "redirect_refused"),
        (400, Verdict.TRANSIENT, "http_400"),
        (404, Verdict.TRANSIENT, "http_404"),
        (410, Verdict.GONE, "receiver_gone"),
        (429, Verdict.TRANSIENT, "http_429"),
        (500, Verdict.TRANSIENT, "http_500"),
        (503, Verdict.TRANSIENT, "http_503"),
        (101, Verdict.TRANSIENT, "http_101"),
    ],
)
def test_answers_of_receivers(status: int, verdict: Verdict, reason: str) -> None:
    outcome = http_outcome(status, retry_after="120", reply="", now=NOW)

    assert (outcome.verdict, outcome.reason) == (verdict, reason)
    throttled = status in {429, 502, 503, 504}
    assert outcome.asked_wait == (timedelta(seconds=120) if throttled else None)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("120", 120),
        (" 7 ", 7),
        ("0", 0),
        ("Mon, 02 Mar 2026 09:10:00 GMT", 600),
        ("Mon, 02 Mar 2026 08:00:00 GMT", None),
        ("-5", None),
        ("1.5", None),
        ("1e9", None),
        ("99999999999999999999", None),
        ("soon", None),
        ("²", None),
        ("", None),
        (None, None),
        ("Mon, 99 Mar 2026 99:10:00 GMT", None),
    ],
)
def test_retry_after_is_read_strictly(value: str | None, seconds: int | None) -> None:
    wait = asked_wait(value, NOW)

    assert wait == (None if seconds is None else timedelta(seconds=seconds))


def test_words_of_the_other_side_are_made_harmless_and_short() -> None:
    hostile = "line\r\none\x1b[31m\u202e\x00 two " + "x" * 50_000

    assert cleaned(hostile).startswith("line one [31m two xxx")
    assert len(cleaned(hostile)) == 2_000
    assert cleaned(hostile).isprintable()
