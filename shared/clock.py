"""The one place that reads a clock.

Everything a person reads (due, reminder, retention) comes from the injected ``Clock``; leases
use the database's own clock (``shared.db.base.epoch_now``); waits use ``monotonic``.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

_QUIET_HOUR: Final = 3


class Clock(Protocol):
    """Tells the time, in aware UTC."""

    def now(self) -> datetime:
        """Return the current moment, aware, in UTC."""
        ...

    def monotonic(self) -> float:
        """Return seconds that never run backwards, for measuring durations."""
        ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """Return the current moment, aware, in UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Return seconds that never run backwards, for measuring durations."""
        return time.monotonic()


def next_quiet_hour(after: datetime, zone: ZoneInfo) -> datetime:
    """Return when it is next three in the morning there, in UTC."""
    local = after.astimezone(zone)
    quiet = local.replace(hour=_QUIET_HOUR, minute=0, second=0, microsecond=0)
    if quiet <= local:
        quiet += timedelta(days=1)
    return quiet.astimezone(UTC)
