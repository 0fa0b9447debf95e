"""Service levels: how often a promise was kept, and how long customers and teams took.

A promise counts once it is decided: kept, or broken because its time is over. What is still in
time is not counted for either side, and neither is a task that needed no follow-up.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil
from typing import Final

from services.loop.journey.domain.calendars import BusinessCalendar
from services.loop.tasks.domain.schemes import RecoveryScheme, SchemeRef
from shared.stats.intervals import Estimate, share

NO_PROMISE: Final = frozenset({"not_needed", "duplicate", "customer_revised"})
"""The reasons of closing after which nothing is owed to the customer any more."""


Hours = Mapping[SchemeRef, BusinessCalendar | None]


@dataclass(frozen=True, kw_only=True)
class Timed:
    """The moments of one task that its promises are judged by."""

    scheme: SchemeRef
    opened_at: datetime
    waiting_since: datetime
    first_contact_at: datetime | None
    first_contact_due_at: datetime
    ended_at: datetime | None
    due_at: datetime
    paused_since: datetime | None
    close_reason: str | None


@dataclass(frozen=True, kw_only=True)
class Times:
    """How long it took in the middle, and in nine of ten cases at most; None for no case."""

    n: int
    median: timedelta | None
    p90: timedelta | None


@dataclass(frozen=True, kw_only=True)
class Level:
    """How one promise was kept: on time by the clock that breaches, and long by both."""

    on_time: Estimate
    customer: Times
    """From the moment since when the customer waited, in wall time."""
    team: Times
    """In opening hours, where the scheme has a calendar."""


@dataclass(frozen=True, kw_only=True)
class ServiceLevel:
    """How the promises of one scheme were kept, in all of its versions together."""

    scheme: str
    name: str
    n: int
    first_contact: Level
    resolution: Level


@dataclass(frozen=True, kw_only=True)
class _Case:
    """One promise of one task."""

    kept_at: datetime | None
    due_at: datetime
    since: datetime
    waiting_since: datetime
    hours: BusinessCalendar | None
    is_decided: bool


def level_of(
    scheme: RecoveryScheme, found: Iterable[Timed], hours: Hours, *, now: datetime
) -> ServiceLevel:
    """Return how the promises of these tasks, all of one scheme, were kept."""
    owed = [one for one in found if one.close_reason not in NO_PROMISE]
    contacts = [
        _Case(
            kept_at=one.first_contact_at,
            due_at=one.first_contact_due_at,
            since=one.opened_at,
            waiting_since=one.waiting_since,
            hours=hours.get(one.scheme),
            is_decided=one.first_contact_at is not None
            or one.ended_at is not None
            or now > one.first_contact_due_at,
        )
        for one in owed
    ]
    resolutions = [
        _Case(
            kept_at=one.ended_at,
            due_at=one.due_at,
            since=one.opened_at,
            waiting_since=one.waiting_since,
            hours=hours.get(one.scheme),
            is_decided=one.ended_at is not None or (one.paused_since or now) > one.due_at,
        )
        for one in owed
    ]
    return ServiceLevel(
        scheme=scheme.id,
        name=scheme.name,
        n=len(owed),
        first_contact=_level(contacts),
        resolution=_level(resolutions),
    )


def _level(cases: Sequence[_Case]) -> Level:
    decided = [one for one in cases if one.is_decided]
    kept = [one for one in decided if one.kept_at is not None and one.kept_at <= one.due_at]
    done = [(one, one.kept_at) for one in decided if one.kept_at is not None]
    return Level(
        on_time=share(hits=len(kept), n=len(decided)),
        customer=_times(max(at - one.waiting_since, timedelta()) for one, at in done),
        team=_times(
            one.hours.between(one.since, at) for one, at in done if one.hours is not None
        ),
    )


def _times(spans: Iterable[timedelta]) -> Times:
    ordered = sorted(spans)
    return Times(n=len(ordered), median=_rank(ordered, 0.5), p90=_rank(ordered, 0.9))


def _rank(ordered: Sequence[timedelta], part: float) -> timedelta | None:
    """Return the nearest rank: a span that really was, at or below which this part lies."""
    return ordered[ceil(part * len(ordered)) - 1] if ordered else None
