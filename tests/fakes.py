"""Stand-ins that are real enough: a clock that a test moves."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta


class ManualClock:
    """A clock that stands still until it is advanced."""

    def __init__(self, start: datetime = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)) -> None:
        self._now = start
        self._elapsed = 0.0

    def now(self) -> datetime:
        """Return the moment the test chose."""
        return self._now

    def monotonic(self) -> float:
        """Return the seconds by which the test moved the clock."""
        return self._elapsed

    def advance(self, by: timedelta) -> None:
        """Move both readings forward."""
        self._now += by
        self._elapsed += by.total_seconds()
