"""Business calendars: when somebody is at work, and how much of a span of time that is.

A calendar speaks wall clock: a shift that begins at 9:00 does so in summer and in winter. An
hour that the clocks repeat is counted twice when a shift covers it, one that they skip not at
all. Times of day become moments in one place, always in order, so that shifts never overlap.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

from typing_extensions import override

DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_MIDNIGHT = time()
_DAY = timedelta(days=1)
_A_MOMENT = timedelta(milliseconds=1)


@dataclass(frozen=True)
class Shift:
    """A stretch of one day in which somebody is at work; an end at 0:00 is the day's end."""

    start: time
    end: time

    def __post_init__(self) -> None:
        if self.end != _MIDNIGHT and self.end <= self.start:
            raise ValueError("A shift ends after it starts, on the same day.")


@dataclass(frozen=True, kw_only=True)
class BusinessCalendar:
    """The opening hours of one place: its week, the days it is shut, and its special days."""

    id: str
    name: str
    version: int
    time_zone: str
    week: Mapping[int, tuple[Shift, ...]]
    """By weekday, Monday being 0; several shifts a day leave the breaks between them closed."""
    closed: frozenset[date] = frozenset()
    special: Mapping[date, tuple[Shift, ...]] = field(default_factory=dict)
    """Days with hours of their own: they count before the week and before ``closed``."""

    def __post_init__(self) -> None:
        if not any(self.week.values()):
            raise ValueError("A calendar is open at some time of the week.")
        for shifts in (*self.week.values(), *self.special.values()):
            for one, following in pairwise(shifts):
                if one.end == _MIDNIGHT or following.start < one.end:
                    raise ValueError("The shifts of a day stand in order and do not overlap.")

    def shifts_on(self, day: date) -> tuple[Shift, ...]:
        """Return the shifts of one day."""
        if day in self.special:
            return self.special[day]
        return () if day in self.closed else tuple(self.week.get(day.weekday(), ()))

    def is_open(self, at: datetime) -> bool:
        """Tell whether somebody is at work; at the very end of a shift nobody is any more."""
        return self.next_open(at) == at

    def next_open(self, at: datetime) -> datetime:
        """Return ``at`` itself when open, else the start of the next shift, in UTC."""
        start, _ = next(self._openings_from(at))
        return start

    def add(self, start: datetime, worked: timedelta) -> datetime:
        """Return the moment, in UTC, by which ``worked`` has passed in opening hours.

        It never lies in closed time: what fills a shift to its last minute ends with it.
        """
        if worked < timedelta():
            raise ValueError("Opening hours are counted forwards only.")
        openings = self._openings_from(start)
        opens, closes = next(openings)
        while closes - opens < worked:
            worked -= closes - opens
            opens, closes = next(openings)
        return opens + worked

    def between(self, start: datetime, end: datetime) -> timedelta:
        """Return how much of the time from ``start`` to ``end`` lies in opening hours."""
        worked = timedelta()
        if end > start:
            for opens, closes in self._openings_from(start):
                if opens >= end:
                    break
                worked += min(closes, end) - opens
        return worked

    def _openings_from(self, at: datetime) -> Iterator[tuple[datetime, datetime]]:
        """Yield what is left of the shift at ``at``, then all that follow; there is no last.

        Closed and special days are finitely many, so the week always comes round again.
        """
        at = at.astimezone(UTC)
        # The day before as well: there are zones that set clocks back across midnight.
        day = at.astimezone(ZoneInfo(self.time_zone)).date() - _DAY
        while True:
            for start, end in self._openings_on(day):
                if end > at:
                    yield max(start, at), end
            day += _DAY

    def _openings_on(self, day: date) -> Iterator[tuple[datetime, datetime]]:
        zone = ZoneInfo(self.time_zone)
        for shift in self.shifts_on(day):
            last = day + _DAY if shift.end == _MIDNIGHT else day
            start = _moment(datetime.combine(day, shift.start), zone)
            end = _moment(datetime.combine(last, shift.end), zone)
            if start < end:
                yield start, end


def _moment(local: datetime, zone: ZoneInfo) -> datetime:
    """Return when clocks in ``zone`` first show ``local``, or jump over it."""
    late = local.replace(tzinfo=zone).astimezone(UTC)
    if late.astimezone(zone).replace(tzinfo=None) == local:
        return late
    # Clocks skip this time: both readings of it lie around the jump, which is what is meant.
    early = local.replace(tzinfo=zone, fold=1).astimezone(UTC)
    before = early.astimezone(zone).utcoffset()
    while late - early > _A_MOMENT:
        middle = early + (late - early) // 2
        if middle.astimezone(zone).utcoffset() == before:
            early = middle
        else:
            late = middle
    return late.replace(microsecond=0)


class _WallTime(BusinessCalendar):
    """A calendar that is always open: plain arithmetic, since most schemes count by it."""

    @override
    def add(self, start: datetime, worked: timedelta) -> datetime:
        if worked < timedelta():
            raise ValueError("Opening hours are counted forwards only.")
        return start.astimezone(UTC) + worked

    @override
    def between(self, start: datetime, end: datetime) -> timedelta:
        return max(end - start, timedelta())


_ALL_DAY = (Shift(_MIDNIGHT, _MIDNIGHT),)

AROUND_THE_CLOCK = _WallTime(
    id="around-the-clock",
    name="Around the clock",
    version=1,
    time_zone="UTC",
    week=dict.fromkeys(range(7), _ALL_DAY),
)
"""Wall time as a calendar: always open."""


def calendar_from(
    document: Mapping[str, Any], *, holidays: frozenset[date] = frozenset()
) -> BusinessCalendar:
    """Read a calendar from its JSON form; ``holidays`` are those of the region it names."""
    return BusinessCalendar(
        id=document["id"],
        name=document["name"],
        version=document["version"],
        time_zone=document["time_zone"],
        week={
            number: _shifts(document["week"].get(day, ())) for number, day in enumerate(DAYS)
        },
        closed=holidays | {date.fromisoformat(day) for day in document["closed"]},
        special={
            date.fromisoformat(day): _shifts(shifts)
            for day, shifts in document["special"].items()
        },
    )


def _shifts(document: Iterable[Mapping[str, str]]) -> tuple[Shift, ...]:
    return tuple(
        Shift(time.fromisoformat(one["start"]), time.fromisoformat(one["end"]))
        for one in document
    )


def waking_hours(time_zone: str) -> BusinessCalendar:
    """Return the hours in which people of a zone may be alerted when no calendar says so."""
    return BusinessCalendar(
        id="waking-hours",
        name="8:00 to 20:00",
        version=1,
        time_zone=time_zone,
        week=dict.fromkeys(range(7), (Shift(time(8), time(20)),)),
    )
