"""Whether there is room to take more in: a cap on what waits for the bus, a floor of free disk.

Both are looked at before anything is written, so that what is refused leaves nothing behind,
and what is already there can still be read, worked on and published.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from sqlalchemy import func, select

from shared.db.engine import storage_full

if TYPE_CHECKING:
    from pathlib import Path

    from shared.clock import Clock
    from shared.db.transaction import Transaction

_COUNTED_FOR: Final = 30.0
_FULL_FOR: Final = 1.0
MEGABYTE: Final = 1024 * 1024


class Room:
    """What one service may still take in.

    ``rows`` is how many records of its outbox may wait; ``folder`` lies on the disk that must
    keep ``floor`` bytes free. Zero means that there is no such limit.
    """

    def __init__(
        self, clock: Clock, *, rows: int = 0, folder: Path | None = None, floor: int = 0
    ) -> None:
        self._clock = clock
        self._rows = rows
        self._folder = folder
        self._floor = floor
        # What waits is counted now and then; in between it is at most what came on top.
        self._waiting = 0
        self._counted_at: float | None = None
        self._looked_at: float | None = None
        self._free = 0

    async def require(self, tx: Transaction, count: int) -> None:
        """Raise ``TryLater`` unless so many more may be taken in."""
        if self._folder and self._floor and self._free_bytes(self._folder) < self._floor:
            raise storage_full(
                "the disk has less than the free space that CLOSED_LOOP_DISK_FLOOR_MB asks for"
            )
        if not self._rows:
            return
        if not self._is_known(count):
            await self._count(tx)
        if self._waiting + count > self._rows:
            raise storage_full(
                "as many responses wait to be published as CLOSED_LOOP_BACKLOG_LIMIT allows"
            )
        self._waiting += count

    def _is_known(self, count: int) -> bool:
        if self._counted_at is None:
            return False
        age = self._clock.monotonic() - self._counted_at
        return age < (_FULL_FOR if self._waiting + count > self._rows else _COUNTED_FOR)

    async def _count(self, tx: Transaction) -> None:
        outbox = tx.plumbing.outbox
        waiting = (
            select(outbox.c.seq)
            .where(outbox.c.published_at.is_(None))
            .limit(self._rows)
            .subquery()
        )
        self._waiting = await tx.scalar(select(func.count()).select_from(waiting))
        self._counted_at = self._clock.monotonic()

    def _free_bytes(self, folder: Path) -> int:
        """Return the free space on the disk, as it was at most a second ago."""
        now = self._clock.monotonic()
        if self._looked_at is None or now - self._looked_at >= _FULL_FOR:
            disk = os.statvfs(folder)
            self._free = disk.f_bavail * disk.f_frsize
            self._looked_at = now
        return self._free
