"""What notify looks after by itself: alerts that nobody could be told."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from services.notify import store
from services.notify.handlers.addressing import tell_unaddressed
from shared.clock import Clock
from shared.db.transaction import Database
from shared.logs import get_logger
from shared.tasks import Pause

_log = get_logger(__name__)
_PAUSE: Final = 5.0


class Upkeep:
    """Tells what waited for an address; a ``Worker``."""

    name = "notify.upkeep"

    def __init__(self, database: Database, clock: Clock, *, wake: Callable[[], None]) -> None:
        self._database = database
        self._clock = clock
        self._wake = wake
        self._pause = Pause(_PAUSE)

    async def step(self) -> bool:
        """Tell what can be told by now; return whether there may be more."""
        async with self._database.reading() as view:
            if not await store.unaddressed_owners(view):
                return False
        async with self._database.transaction() as tx:
            told = await tell_unaddressed(tx, now=self._clock.now())
            if told:
                tx.after_commit(self._wake)
        if told:
            _log.info("alerts.addressed", count=told)
        return bool(told)

    async def wait(self) -> None:
        """Return after a few seconds, or at once when closing."""
        await self._pause.wait()

    async def close(self) -> None:
        """End the wait."""
        self._pause.end()
