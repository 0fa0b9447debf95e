"""Forgetting what nobody can need any more, once an hour, in small batches.

An inbox row outlives every source of a repetition: the topics keep 30 days, dead letters 90.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from sqlalchemy import delete, select, tuple_

from shared.bus.embedded import EmbeddedBus
from shared.db import dead_letter, requests

if TYPE_CHECKING:
    from datetime import datetime

    from shared.bus.ports import Bus
    from shared.clock import Clock
    from shared.db.transaction import Database

LOG_KEPT: Final = timedelta(days=30)
LETTERS_KEPT: Final = timedelta(days=90)
INBOX_KEPT: Final = timedelta(days=120)
_EVERY: Final = 3600.0
_AT_ONCE: Final = 1_000


class Housekeeping:
    """The worker that keeps one service's hand-over tables from growing for ever."""

    def __init__(self, *, database: Database, bus: Bus, clock: Clock) -> None:
        self._database = database
        self._bus = bus
        self._clock = clock
        self._next = clock.monotonic() + _EVERY

    @property
    def name(self) -> str:
        """Return ``housekeeping.<service>``."""
        return f"housekeeping.{self._database.plumbing.owner}"

    async def step(self) -> bool:
        """Forget a batch of each kind when the hour has come; return whether there is more."""
        if self._clock.monotonic() < self._next:
            return False
        now = self._clock.now()
        async with self._database.transaction() as tx:
            letters = await dead_letter.prune(tx, before=now - LETTERS_KEPT, limit=_AT_ONCE)
            answers = await requests.forget(tx, now=now, limit=_AT_ONCE)
        forgotten = max(letters, answers, await self._forget_handled(now - INBOX_KEPT))
        if isinstance(self._bus, EmbeddedBus):
            forgotten = max(forgotten, await self._bus.forget(before=now - LOG_KEPT))
        if forgotten < _AT_ONCE:
            self._next = self._clock.monotonic() + _EVERY
            return False
        return True

    async def _forget_handled(self, before: datetime) -> int:
        inbox = self._database.plumbing.inbox
        key = tuple_(inbox.c.consumer, inbox.c.event_id)
        old = (
            select(inbox.c.consumer, inbox.c.event_id)
            .where(inbox.c.handled_at < before)
            .limit(_AT_ONCE)
        )
        async with self._database.transaction() as tx:
            return (await tx.execute(delete(inbox).where(key.in_(old)))).rowcount

    async def wait(self) -> None:
        """Look again after a second; the hour is measured by the clock."""
        await asyncio.sleep(1)

    async def close(self) -> None:
        """Nothing is held open."""
