"""Waiting times as values: pure, so that a whole schedule is one table in a test."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True, kw_only=True)
class Backoff:
    """Exponential waits between ``first`` and ``longest``, spread by full jitter."""

    first: timedelta = timedelta(milliseconds=200)
    longest: timedelta = timedelta(seconds=30)

    def wait(self, failures: int, chance: float) -> timedelta:
        """Return the wait after ``failures`` failures (1, 2, …).

        ``chance`` in [0, 1) is the caller's random number: half the wait is fixed and half is
        spread, so that many workers do not come back together yet never hammer.
        """
        doubled: timedelta = self.first * 2 ** min(failures - 1, 20)
        ceiling = min(self.longest, doubled)
        return ceiling / 2 + ceiling / 2 * chance


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """A list of waits after each failure; after the last one it is given up."""

    waits: tuple[timedelta, ...]
    spread: float = 0.2

    def wait(self, failures: int, chance: float) -> timedelta | None:
        """Return the wait after the n-th failure (1, 2, …), ±spread, or None to give up."""
        if failures > len(self.waits):
            return None
        base = self.waits[failures - 1]
        return base * (1 + self.spread * (2 * chance - 1))
