"""Business calendars: working time added and counted, whatever clocks and holidays do."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.loop.journey.domain.calendars import (
    AROUND_THE_CLOCK,
    BusinessCalendar,
    Shift,
    waking_hours,
)

HOUR = timedelta(hours=1)
BERLIN = ZoneInfo("Europe/Berlin")
SPLIT = (Shift(time(9), time(12)), Shift(time(13), time(17)))
OFFICE = BusinessCalendar(
    id="office",
    name="Office",
    version=1,
    time_zone="Europe/Berlin",
    week=dict.fromkeys(range(5), SPLIT),
    closed=frozenset({date(2026, 5, 1), date(2026, 12, 25)}),
    special={date(2026, 12, 24): (Shift(time(9), time(12)),)},
)
ALWAYS_AT_WORK = dict.fromkeys(range(7), (Shift(time(0), time(0)),))


def berlin(year: int, month: int, day: int, hour: int = 0, minute: int = 0) -> datetime:
    return datetime(year, month, day, hour, minute, tzinfo=BERLIN)


# ------------------------------------------------------------------ by example


def test_lunch_breaks_are_not_counted_as_working_time() -> None:
    assert OFFICE.between(berlin(2026, 3, 2, 11), berlin(2026, 3, 2, 14)) == 2 * HOUR
    assert OFFICE.add(berlin(2026, 3, 2, 11), 2 * HOUR) == berlin(2026, 3, 2, 14)
    assert not OFFICE.is_open(berlin(2026, 3, 2, 12, 30))


def test_what_comes_after_hours_waits_for_the_next_shift() -> None:
    friday_evening = berlin(2026, 3, 6, 18)

    assert OFFICE.next_open(friday_evening) == berlin(2026, 3, 9, 9)
    assert OFFICE.add(friday_evening, HOUR) == berlin(2026, 3, 9, 10)


def test_what_fills_a_shift_ends_with_it_and_not_on_the_next_day() -> None:
    assert OFFICE.add(berlin(2026, 3, 2, 9), 7 * HOUR) == berlin(2026, 3, 2, 17)


def test_holidays_are_closed_and_special_days_have_hours_of_their_own() -> None:
    assert OFFICE.between(berlin(2026, 5, 1, 0), berlin(2026, 5, 2, 0)) == timedelta()
    assert OFFICE.between(berlin(2026, 12, 24, 0), berlin(2026, 12, 28, 0)) == 3 * HOUR


def test_a_special_day_opens_even_on_a_holiday_or_a_sunday() -> None:
    sunday = date(2026, 3, 8)
    open_then = BusinessCalendar(
        id="x",
        name="x",
        version=1,
        time_zone="Europe/Berlin",
        week=dict.fromkeys(range(5), SPLIT),
        closed=frozenset({sunday}),
        special={sunday: (Shift(time(10), time(11)),)},
    )

    assert open_then.is_open(berlin(2026, 3, 8, 10, 30))


@pytest.mark.parametrize(
    ("day", "hours"),
    [
        pytest.param(date(2026, 3, 29), 23, id="clocks go forward"),
        pytest.param(date(2026, 10, 25), 25, id="clocks go back"),
        pytest.param(date(2026, 6, 1), 24, id="an ordinary day"),
    ],
)
def test_a_day_has_as_many_hours_as_it_has(day: date, hours: int) -> None:
    around = BusinessCalendar(
        id="x", name="x", version=1, time_zone="Europe/Berlin", week=ALWAYS_AT_WORK
    )
    start = datetime.combine(day, time(), BERLIN)
    end = datetime.combine(day + timedelta(days=1), time(), BERLIN)

    assert around.between(start, end) == hours * HOUR


@pytest.mark.parametrize(
    ("shift", "day", "minutes"),
    [
        pytest.param(Shift(time(1), time(2, 30)), date(2026, 3, 29), 60, id="ends in the gap"),
        pytest.param(
            Shift(time(2, 30), time(4)), date(2026, 3, 29), 60, id="begins in the gap"
        ),
        pytest.param(Shift(time(2, 15), time(2, 45)), date(2026, 3, 29), 0, id="is the gap"),
        pytest.param(Shift(time(1), time(3)), date(2026, 10, 25), 180, id="spans the repeat"),
        pytest.param(Shift(time(1), time(2, 30)), date(2026, 10, 25), 90, id="ends within it"),
    ],
)
def test_a_shift_lasts_what_the_clocks_leave_of_it(
    shift: Shift, day: date, minutes: int
) -> None:
    night = BusinessCalendar(
        id="x",
        name="x",
        version=1,
        time_zone="Europe/Berlin",
        week=dict.fromkeys(range(7), (shift,)),
    )
    start = datetime.combine(day, time(), BERLIN)
    end = datetime.combine(day + timedelta(days=1), time(), BERLIN)

    assert night.between(start, end) == timedelta(minutes=minutes)


def test_a_day_that_a_zone_skipped_has_no_working_time() -> None:
    apia = BusinessCalendar(
        id="x", name="x", version=1, time_zone="Pacific/Apia", week=ALWAYS_AT_WORK
    )
    there = ZoneInfo("Pacific/Apia")
    start, end = (datetime(2011, 12, 29, tzinfo=there), datetime(2012, 1, 1, tzinfo=there))

    assert apia.between(start, end) == 48 * HOUR


def test_wall_time_is_a_calendar_that_is_always_open() -> None:
    start = datetime(2026, 3, 1, 3, 4, 5, 6, tzinfo=UTC)

    assert AROUND_THE_CLOCK.add(start, 100 * HOUR) == start + 100 * HOUR


def test_nobody_is_alerted_between_eight_in_the_evening_and_eight_in_the_morning() -> None:
    hours = waking_hours("Europe/Berlin")

    assert hours.next_open(berlin(2026, 3, 2, 23)) == berlin(2026, 3, 3, 8)
    assert hours.is_open(berlin(2026, 3, 2, 19, 59))
    assert not hours.is_open(berlin(2026, 3, 2, 20))


@pytest.mark.parametrize(
    "week",
    [
        pytest.param({}, id="never open"),
        pytest.param({0: ()}, id="a week without a shift"),
        pytest.param({0: (Shift(time(13), time(17)), Shift(time(9), time(12)))}, id="order"),
        pytest.param({0: (Shift(time(9), time(13)), Shift(time(12), time(17)))}, id="overlap"),
        pytest.param({0: (Shift(time(9), time(0)), Shift(time(12), time(17)))}, id="the rest"),
    ],
)
def test_a_week_that_cannot_be_kept_is_no_calendar(week: dict[int, tuple[Shift, ...]]) -> None:
    with pytest.raises(ValueError, match=r"shifts of a day|open at some time"):
        BusinessCalendar(id="x", name="x", version=1, time_zone="UTC", week=week)


def test_a_shift_ends_after_it_starts() -> None:
    with pytest.raises(ValueError, match="ends after it starts"):
        Shift(time(17), time(9))


# ------------------------------------------------------------------ whatever the calendar

# The zones with the strangest clocks: half-hour steps, changes at midnight, a skipped day.
ZONES = (
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",
    "America/Santiago",
    "America/Havana",
    "Asia/Beirut",
    "Pacific/Apia",
    "America/St_Johns",
    "Africa/Casablanca",
    "Asia/Kathmandu",
)


@st.composite
def shifts(draw: st.DrawFn) -> tuple[Shift, ...]:
    marks = draw(st.lists(st.integers(0, 96), max_size=6, unique=True).map(sorted))
    pairs = zip(marks[::2], marks[1::2], strict=False)
    return tuple(Shift(_quarter(start), _quarter(end)) for start, end in pairs)


def _quarter(number: int) -> time:
    return time(number // 4 % 24, number % 4 * 15)


@st.composite
def calendars(draw: st.DrawFn) -> BusinessCalendar:
    week = draw(
        st.dictionaries(st.integers(0, 6), shifts(), min_size=1).filter(
            lambda week: any(week.values())
        )
    )
    # Around the days on which clocks change, where mistakes would be.
    days = st.dates(date(2026, 3, 1), date(2026, 4, 30)) | st.dates(
        date(2026, 9, 1), date(2026, 11, 15)
    )
    return BusinessCalendar(
        id="any",
        name="any",
        version=1,
        time_zone=draw(st.sampled_from(ZONES)),
        week=week,
        closed=frozenset(draw(st.lists(days, max_size=5))),
        special=draw(st.dictionaries(days, shifts(), max_size=3)),
    )


MOMENTS = st.timedeltas(timedelta(), timedelta(days=270)).map(
    lambda since: datetime(2026, 3, 1, tzinfo=UTC) + since
) | st.sampled_from(
    # Every quarter of an hour around the changes of Berlin, Havana, New York and Santiago.
    [
        datetime(2026, month, day, tzinfo=UTC) + timedelta(minutes=15 * n)
        for month, day in ((3, 28), (3, 7), (10, 24), (10, 31), (4, 4), (9, 5))
        for n in range(0, 192, 5)
    ]
)
SPANS = st.timedeltas(timedelta(), timedelta(hours=60))


@given(calendars(), MOMENTS, SPANS)
def test_counting_takes_back_what_adding_did(
    calendar: BusinessCalendar, start: datetime, worked: timedelta
) -> None:
    assert calendar.between(start, calendar.add(start, worked)) == worked


@given(calendars(), MOMENTS, SPANS)
def test_adding_takes_back_what_counting_did(
    calendar: BusinessCalendar, start: datetime, wall: timedelta
) -> None:
    end = start + wall
    reached = calendar.add(start, calendar.between(start, end))

    # The end itself, or where the last shift before it ended, or the first one after begins.
    assert calendar.between(min(reached, end), max(reached, end)) == timedelta()


@given(calendars(), MOMENTS, SPANS)
def test_adding_never_lands_in_closed_time(
    calendar: BusinessCalendar, start: datetime, worked: timedelta
) -> None:
    end = calendar.add(start, worked)

    assert end >= start
    assert calendar.is_open(end) or calendar.is_open(end - timedelta(microseconds=1))


@given(calendars(), MOMENTS, SPANS, SPANS)
def test_more_work_never_ends_earlier(
    calendar: BusinessCalendar, start: datetime, one: timedelta, more: timedelta
) -> None:
    assert calendar.add(start, one) <= calendar.add(start, one + more)
    assert calendar.add(calendar.add(start, one), more) == calendar.add(start, one + more) or (
        # Only where the first part ends with a shift and the second is nothing.
        more == timedelta()
    )


@given(calendars(), MOMENTS, SPANS, SPANS)
def test_a_later_start_never_ends_earlier(
    calendar: BusinessCalendar, start: datetime, wall: timedelta, worked: timedelta
) -> None:
    assert calendar.add(start, worked) <= calendar.add(start + wall, worked)


@given(calendars(), MOMENTS, SPANS, SPANS)
def test_working_time_adds_up(
    calendar: BusinessCalendar, start: datetime, one: timedelta, two: timedelta
) -> None:
    middle, end = start + one, start + one + two

    assert calendar.between(start, middle) + calendar.between(middle, end) == (
        calendar.between(start, end)
    )
    assert calendar.between(start, end) <= one + two


@given(MOMENTS, SPANS)
def test_wall_time_is_what_a_calendar_without_a_gap_counts(
    start: datetime, span: timedelta
) -> None:
    around = BusinessCalendar(id="x", name="x", version=1, time_zone="UTC", week=ALWAYS_AT_WORK)

    assert AROUND_THE_CLOCK.add(start, span) == around.add(start, span)
    for one, other in ((start, start + span), (start + span, start)):
        assert AROUND_THE_CLOCK.between(one, other) == around.between(one, other)
    assert AROUND_THE_CLOCK.is_open(start)


@given(calendars(), MOMENTS)
def test_the_wall_clock_of_every_open_moment_lies_in_a_shift(
    calendar: BusinessCalendar, at: datetime
) -> None:
    """An oracle of its own: the clock on the wall, but for hours that clocks show twice."""
    local = at.astimezone(ZoneInfo(calendar.time_zone))
    if local.utcoffset() != local.replace(fold=1 - local.fold).utcoffset():
        return
    clock = local.time()
    at_work = any(
        shift.start <= clock and (clock < shift.end or shift.end == time())
        for shift in calendar.shifts_on(local.date())
    )

    assert calendar.is_open(at) == at_work
