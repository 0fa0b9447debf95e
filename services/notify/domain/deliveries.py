"""A delivery's life: what an attempt came to, and what follows from it.

One alert to one target is one delivery. Channels report an ``Outcome``; ``next_step`` turns it
into exactly one of ``Sent``, ``RetryAt`` and ``GiveUp``. Nothing here knows a clock.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

from shared.retry import Backoff, Schedule

if TYPE_CHECKING:
    from datetime import datetime


class State(StrEnum):
    """Where a delivery stands; the names are public."""

    DUE = "due"
    SENDING = "sending"
    DELIVERED = "delivered"
    FAILED = "failed"
    HELD = "held"


NOBODY_TO_TELL = "nobody_to_tell"
"""Why a mail is held whose owner has no address; it goes out once there is one."""

TASK_DONE = "task_done"
"""Why a mail is held whose task is done; it goes out if the task is opened again."""

TOO_LATE = "too_late"
"""Why it stays held for good: its task was done before anybody could be told."""


class Channel(StrEnum):
    """How an alert travels."""

    EMAIL = "email"
    WEBHOOK = "webhook"


class Verdict(StrEnum):
    """What kind of end an attempt came to."""

    ACCEPTED = "accepted"
    TRANSIENT = "transient"  # this message, later
    CHANNEL = "channel"  # nothing gets through at the moment; no fault of this message
    CONFIGURATION = "configuration"  # nothing will get through until somebody mends a setting
    DOUBT = "doubt"  # it may have arrived
    PERMANENT = "permanent"  # this message never
    GONE = "gone"  # the target asked never to be written to again


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """The result of one attempt; ``reason`` is a stable code, ``code`` the other side's own.

    ``asked_wait`` is what the other side asked for, ``least_wait`` what it needs at least;
    ``tries`` caps the tries for this reason.
    ``reply`` is cleaned text of the other side, at most 2,000 characters.
    """

    verdict: Verdict
    reason: str
    code: int | None = None
    reply: str = field(default="", repr=False)
    asked_wait: timedelta | None = None
    least_wait: timedelta | None = None
    tries: int | None = None


@dataclass(frozen=True)
class Sent:
    """The other side took it over."""


@dataclass(frozen=True)
class RetryAt:
    """Another try at ``when``; ``counted`` tells whether this one used up a try."""

    when: datetime
    counted: bool = True


@dataclass(frozen=True)
class GiveUp:
    """No further try; ``reason`` is a stable code."""

    reason: str


NextStep = Sent | RetryAt | GiveUp

EMAIL_SCHEDULE = Schedule(
    waits=tuple(
        timedelta(minutes=minutes)
        for minutes in (1, 5, 15, 30, 60, 120, 240, 480, 720, 1440, 1440)
    )
)
"""Twelve tries over about 76 hours."""

WEBHOOK_SCHEDULE = Schedule(
    waits=(
        timedelta(seconds=5),
        timedelta(minutes=5),
        timedelta(minutes=30),
        timedelta(hours=2),
        timedelta(hours=5),
        timedelta(hours=10),
        timedelta(hours=14),
        timedelta(hours=20),
        timedelta(hours=24),
    )
)
"""Ten tries over about 75.6 hours, the example of Standard Webhooks."""

SCHEDULES: dict[Channel, Schedule] = {
    Channel.EMAIL: EMAIL_SCHEDULE,
    Channel.WEBHOOK: WEBHOOK_SCHEDULE,
}

CHANNEL_BACKOFF = Backoff(first=timedelta(seconds=30), longest=timedelta(minutes=10))
"""How long a channel rests that gets nothing through; the tries of a message stay whole."""

LONGEST_ASKED_WAIT = timedelta(hours=24)


def next_step(  # noqa: PLR0911 - one answer a verdict
    outcome: Outcome,
    *,
    failures: int,
    troubles: int,
    schedule: Schedule,
    now: datetime,
    chance: float,
) -> NextStep:
    """Decide what follows an attempt.

    ``failures`` counts the earlier failed tries of this delivery, ``troubles`` the earlier
    attempts that failed through no fault of it; ``chance`` in [0, 1) spreads the waits.
    """
    match outcome.verdict:
        case Verdict.ACCEPTED:
            return Sent()
        case Verdict.PERMANENT | Verdict.GONE:
            return GiveUp(outcome.reason)
        case Verdict.CHANNEL:
            return RetryAt(now + CHANNEL_BACKOFF.wait(troubles + 1, chance), counted=False)
        case Verdict.CONFIGURATION:
            # Due at once: nothing is sent before somebody has mended the setting.
            return RetryAt(now, counted=False)
        case Verdict.TRANSIENT | Verdict.DOUBT:
            if outcome.tries is not None and failures + 1 >= outcome.tries:
                return GiveUp(outcome.reason)
            wait = schedule.wait(failures + 1, chance)
            if wait is None:
                return GiveUp("tries_used_up")
            least = outcome.least_wait or timedelta(0)
            return RetryAt(now + max(least, _stretched(wait, outcome.asked_wait)))


def _stretched(wait: timedelta, asked: timedelta | None) -> timedelta:
    """Honour what the other side asked for between our wait and twice our wait."""
    if asked is None or asked < timedelta(0) or asked > LONGEST_ASKED_WAIT:
        return wait
    return min(max(wait, asked), 2 * wait)
