"""When the time of a response is over."""

from __future__ import annotations

from calendar import monthrange
from datetime import datetime, timedelta
from typing import Final

SOON: Final = timedelta(days=30)
"""So far ahead it is said what will go."""


def over_before(now: datetime, months: int) -> datetime:
    """Return the moment so many months ago; the last day of a month that is shorter."""
    month = now.year * 12 + now.month - 1 - months
    year, month = divmod(month, 12)
    day = min(now.day, monthrange(year, month + 1)[1])
    return now.replace(year=year, month=month + 1, day=day)
