"""Moments as senders write them: RFC 3339 with an offset, nothing looser.

Python's own readers take bare dates, naive times and numbers, and overflow at the ends of the
calendar. Any age is taken; only what lies before the calendar itself in UTC is not.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Final

AHEAD: Final = timedelta(hours=24)
"""How far a sender's clock may run ahead of ours."""

_RFC3339: Final = re.compile(
    r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d):(\d\d)(\.\d{1,12})?([Zz]|[+-]\d\d:\d\d)", re.ASCII
)


def read_moment(text: str, *, now: datetime) -> datetime | str:
    """Return the moment in UTC, or the code of what is wrong with ``text``."""
    match = _RFC3339.fullmatch(text)
    if match is None:
        return "not_a_time"
    day, minute, second, fraction, offset = match.groups()
    # RFC 3339 has leap seconds, Python's clock does not.
    leap = second == "60"
    try:
        moment = datetime.fromisoformat(
            f"{day}T{minute}:{'59' if leap else second}{fraction or ''}{offset.upper()}"
        )
    except ValueError:
        return "not_a_time"
    try:
        moment = moment.astimezone(UTC) + timedelta(seconds=leap)
    except OverflowError:
        return "out_of_range"
    return "in_future" if moment > now + AHEAD else moment
