"""When the time of a response is over, and at which hour it is looked for."""

from __future__ import annotations

from calendar import monthrange
from datetime import UTC, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

SOON: Final = timedelta(days=30)
"""So far ahead it is said what will go."""
_QUIET_HOUR: Final = 3


def over_before(now: datetime, months: int) -> datetime:
    """Return the moment so many months ago; the last day of a month that is shorter."""
    month = now.year * 12 + now.month - 1 - months
    year, month = divmod(month, 12)
    day = min(now.day, monthrange(year, month + 1)[1])
    return now.replace(year=year, month=month + 1, day=day)


def next_quiet_hour(after: datetime, zone: ZoneInfo) -> datetime:
    """Return when it is next three in the morning there, in UTC."""
    local = after.astimezone(zone)
    quiet = local.replace(hour=_QUIET_HOUR, minute=0, second=0, microsecond=0)
    if quiet <= local:
        quiet += timedelta(days=1)
    return quiet.astimezone(UTC)
