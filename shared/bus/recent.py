"""How much a consumer handled and parked in the last minutes, for a rate that can alarm."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from shared.clock import Clock

SPAN: Final = 300.0
_SLICE: Final = 10.0


@dataclass
class _Slice:
    """What happened in ten seconds."""

    since: float
    handled: int = 0
    parked: int = 0


class Recent:
    """Counts of the last five minutes, in slices of ten seconds."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._slices: deque[_Slice] = deque()

    def add(self, *, handled: int = 0, parked: int = 0) -> None:
        """Count records that were just dealt with."""
        now = self._clock.monotonic()
        if not self._slices or now - self._slices[-1].since >= _SLICE:
            self._slices.append(_Slice(since=now))
        self._slices[-1].handled += handled
        self._slices[-1].parked += parked
        self._forget(now)

    def share_parked(self) -> float:
        """Return which share of the records of the last five minutes was parked."""
        self._forget(self._clock.monotonic())
        parked = sum(each.parked for each in self._slices)
        handled = sum(each.handled for each in self._slices)
        return parked / (parked + handled) if parked else 0.0

    def _forget(self, now: float) -> None:
        while self._slices and now - self._slices[0].since > SPAN:
            self._slices.popleft()
