"""The two clocks of a task: how long the customer waits, and how much of its time a team had.

The one is wall time, the other opening hours. Both are always shown; which of them breaks the
promise is the scheme's to say.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from services.loop.journey.domain.calendars import BusinessCalendar
from services.loop.tasks.domain.schemes import Clock, RecoveryScheme
from services.loop.tasks.domain.task import FollowUpTask


@dataclass(frozen=True, kw_only=True)
class Clocks:
    """How both clocks stand; without a calendar there is no time of the team's."""

    breaches: Clock
    customer_waits: timedelta
    team_used: timedelta | None = None
    team_left: timedelta | None = None
    """Opening hours until the deadline; negative when it has passed."""
    calendar: str | None = None
    """The name of the opening hours that were counted."""

    @property
    def is_team_late(self) -> bool:
        """Tell whether opening hours have passed since the deadline."""
        return self.team_left is not None and self.team_left < timedelta()


def clocks_of(task: FollowUpTask, scheme: RecoveryScheme, *, now: datetime) -> Clocks:
    """Return how the clocks of a task stand now, or stood when it ended."""
    until = task.ended_at or now
    waits = max(until - task.waiting_since, timedelta())
    hours = scheme.hours
    if hours is None:
        return Clocks(breaches=scheme.clock, customer_waits=waits)
    at = min(task.paused_since or until, until)
    left = _signed(hours, at, task.due_at)
    if scheme.clock == "team":
        # What was promised less what is left: so pauses do not count as used.
        used = scheme.resolve_within - left
    else:
        used = hours.between(task.opened_at, at)
    return Clocks(
        breaches=scheme.clock,
        customer_waits=waits,
        team_used=used,
        team_left=left,
        calendar=hours.name,
    )


def _signed(hours: BusinessCalendar, start: datetime, end: datetime) -> timedelta:
    return hours.between(start, end) if end >= start else -hours.between(end, start)
