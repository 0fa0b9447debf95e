"""Pauses: while it is the customer's turn, the clock of the resolution stands still.

Which states pause is the scheme's to say. The first contact never pauses: nobody waits for a
customer whom nobody has tried to reach.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from services.loop.journey.domain.calendars import BusinessCalendar
from services.loop.tasks.domain.schemes import RecoveryScheme
from services.loop.tasks.domain.task import FollowUpTask


def paused(task: FollowUpTask, scheme: RecoveryScheme | None, *, now: datetime) -> FollowUpTask:
    """Return a task that has just begun to wait, with its clock stopped if that pauses it."""
    if scheme is None or task.state.value not in scheme.pauses_in:
        return task
    return replace(task, paused_since=now)


def resumed(
    task: FollowUpTask, scheme: RecoveryScheme | None, *, now: datetime
) -> FollowUpTask:
    """Return a task whose clock runs again; what was left of it is left now."""
    if task.paused_since is None:
        return task
    due_at = task.due_at
    if scheme is not None:
        due_at = put_off(due_at, scheme.breaching, since=task.paused_since, now=now)
    return replace(task, paused_since=None, due_at=due_at)


def put_off(
    moment: datetime, clock: BusinessCalendar, *, since: datetime, now: datetime
) -> datetime:
    """Return when ``moment`` comes after a pause; what had come before it stays."""
    if moment <= since:
        return moment
    return clock.add(now, clock.between(since, moment))
