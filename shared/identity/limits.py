"""Counting in memory, per process: requests of a key, wrong credentials of an address.

Bounded whatever comes in. The throttle of sign-in, where a restart must not forget, lies in
the database (``shared.identity.sign_in``).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

_MINUTE = 60.0


@dataclass(slots=True)
class _Window:
    began_at: float
    count: int = 0


class Allowance:
    """So many a minute and subject; the minute begins with the first one."""

    def __init__(self, per_minute: int, *, most_subjects: int = 10_000) -> None:
        self.per_minute = per_minute
        self._most = most_subjects
        self._windows: dict[str, _Window] = {}

    def wait(self, subject: str, *, at: float) -> int:
        """Return 0 if one more would be within the limit, else the whole seconds to wait."""
        window = self._windows.get(subject)
        if window is None or window.count < self.per_minute:
            return 0
        return max(0, math.ceil(window.began_at + _MINUTE - at))

    def left(self, subject: str, *, at: float) -> tuple[int, int]:
        """Return how many more are within the limit, and after how many seconds all are."""
        window = self._windows.get(subject)
        if window is None or at - window.began_at >= _MINUTE:
            return self.per_minute, 0
        return self.per_minute - window.count, math.ceil(window.began_at + _MINUTE - at)

    def take(self, subject: str, *, at: float) -> int:
        """Count one; return 0 if it was within the limit, else the whole seconds to wait."""
        window = self._windows.get(subject)
        if window is None or at - window.began_at >= _MINUTE:
            self._windows.pop(subject, None)  # the oldest beginning stays the first to go
            while len(self._windows) >= self._most:
                del self._windows[next(iter(self._windows))]
            window = self._windows[subject] = _Window(began_at=at)
        if seconds := self.wait(subject, at=at):
            return seconds
        window.count += 1
        return 0
