"""Who answers for a touchpoint, and from when until when.

The periods of one touchpoint never overlap, and what has passed is never rewritten: whoever
owned it at a moment is the one who got the tasks of that moment.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from datetime import datetime


@dataclass(frozen=True, kw_only=True)
class OwnerRef:
    """Who keeps a promise: a member of staff, or a team that holds it unclaimed."""

    id: str
    kind: Literal["person", "team"]


@dataclass(frozen=True, kw_only=True)
class Ownership:
    """A period: ``valid_from`` belongs to it, ``valid_until`` no longer does.

    Without an owner it only says which department the touchpoint belongs to.
    """

    id: str
    owner: OwnerRef | None
    department_id: str | None
    valid_from: datetime
    valid_until: datetime | None = None

    def holds(self, at: datetime) -> bool:
        """Tell whether the period covers this moment."""
        return self.valid_from <= at and (self.valid_until is None or at < self.valid_until)

    def overlaps(self, other: Ownership) -> bool:
        """Tell whether the two periods have a moment in common."""
        return (other.valid_until is None or self.valid_from < other.valid_until) and (
            self.valid_until is None or other.valid_from < self.valid_until
        )


class Overlaps(ValueError):
    """Another period covers a part of the wanted one."""


def in_force(periods: Sequence[Ownership], at: datetime) -> Ownership | None:
    """Return the period that covers this moment, or None."""
    return next((period for period in periods if period.holds(at)), None)


def taken_over(
    periods: Sequence[Ownership], new: Ownership, *, now: datetime
) -> Sequence[Ownership]:
    """Return the periods after ``new`` begins now: what runs ends, what was planned goes.

    ``new`` is without an end. One that says nobody and no department is not kept.
    """
    before = [
        replace(period, valid_until=now) if period.holds(now) else period
        for period in periods
        if period.valid_from < now
    ]
    return before if _says_nothing(new) else [*before, replace(new, valid_from=now)]


def moved(
    periods: Sequence[Ownership], department_id: str | None, *, new_id: str, now: datetime
) -> Sequence[Ownership]:
    """Return the periods after the touchpoint moves to another department now.

    Owner and end of the running period stay, and so does what was planned for later.
    """
    running = in_force(periods, now)
    later = min((p.valid_from for p in periods if p.valid_from > now), default=None)
    new = Ownership(
        id=new_id,
        owner=running.owner if running else None,
        department_id=department_id,
        valid_from=now,
        valid_until=running.valid_until if running else later,
    )
    others = [
        replace(period, valid_until=now) if period is running else period
        for period in periods
        if period is not running or period.valid_from < now
    ]
    return others if _says_nothing(new) else [*others, new]


def planned(
    periods: Sequence[Ownership], new: Ownership, *, rest_id: str, now: datetime
) -> Sequence[Ownership]:
    """Return the periods with one more; raise ``Overlaps`` where another owner is in the way.

    A handover needs no end of the former period: one that runs without an end is ended where
    a new one without an end begins. A period that only names a department gives way, and goes
    on as ``rest_id`` where the new one ends. What lies in the past gives way to nothing.
    """
    others = []
    for period in periods:
        if new.valid_from < now or not new.overlaps(period):
            others.append(period)
        elif period.owner is None:
            others += _around(period, new, rest_id)
        elif new.valid_until is None and period.valid_until is None:
            if new.valid_from <= period.valid_from:
                raise Overlaps
            others += _around(period, new, rest_id)
        else:
            raise Overlaps
    if any(new.overlaps(period) for period in others):
        raise Overlaps
    return [*others, new]


def _around(period: Ownership, new: Ownership, rest_id: str) -> list[Ownership]:
    """Return what is left of a period before and behind a new one that covers a part of it."""
    left = []
    if period.valid_from < new.valid_from:
        left.append(replace(period, valid_until=new.valid_from))
    if new.valid_until is not None and (
        period.valid_until is None or new.valid_until < period.valid_until
    ):
        left.append(replace(period, id=rest_id, valid_from=new.valid_until))
    return left


def ended(periods: Sequence[Ownership], period_id: str, *, at: datetime) -> Sequence[Ownership]:
    """Return the periods after one of them ends at ``at``; one that never began is gone."""
    return [
        replace(period, valid_until=at) if period.id == period_id else period
        for period in periods
        if period.id != period_id or period.valid_from < at
    ]


def _says_nothing(period: Ownership) -> bool:
    return period.owner is None and period.department_id is None
