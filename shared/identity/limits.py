"""Counting in memory, per process: requests of a key, wrong credentials of an address.

Bounded whatever comes in. The throttle of sign-in, where a restart must not forget, lies in
the database (``shared.identity.sign_in``).
"""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(slots=True)
class _Bucket:
    tokens: float
    filled_at: float


class Allowance:
    """So many a minute and subject, refilled steadily (token bucket)."""

    def __init__(self, per_minute: int, *, most_subjects: int = 10_000) -> None:
        self._capacity = float(per_minute)
        self._most = most_subjects
        self._buckets: dict[str, _Bucket] = {}

    def wait(self, subject: str, *, at: float) -> int:
        """Return 0 if one more would be within the limit, else the whole seconds to wait."""
        bucket = self._bucket(subject, at)
        if bucket is None or bucket.tokens >= 1:
            return 0
        return max(1, math.ceil((1 - bucket.tokens) * 60 / self._capacity))

    def take(self, subject: str, *, at: float) -> int:
        """Count one; return 0 if it was within the limit, else the whole seconds to wait."""
        if seconds := self.wait(subject, at=at):
            return seconds
        bucket = self._buckets.get(subject)
        if bucket is None:
            self._make_room()
            bucket = self._buckets[subject] = _Bucket(tokens=self._capacity, filled_at=at)
        bucket.tokens -= 1
        return 0

    def _bucket(self, subject: str, at: float) -> _Bucket | None:
        bucket = self._buckets.get(subject)
        if bucket is not None:
            gained = (at - bucket.filled_at) * self._capacity / 60
            bucket.tokens = min(self._capacity, bucket.tokens + gained)
            bucket.filled_at = at
        return bucket

    def _make_room(self) -> None:
        while len(self._buckets) >= self._most:
            del self._buckets[next(iter(self._buckets))]
