"""What notify looks after by itself: alerts without an address, endpoints, new passwords."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from services.notify import store
from services.notify.handlers.accounts import tell_of_reset
from services.notify.handlers.addressing import tell_unaddressed
from services.notify.handlers.health import endpoints_in_trouble, look_after_endpoint
from shared.clock import Clock
from shared.db.transaction import Database
from shared.identity.password_resets import resets_to_tell
from shared.logs import get_logger
from shared.sealing import Keyring
from shared.tasks import Resting

_log = get_logger(__name__)
_PAUSE: Final = 5.0


class Upkeep(Resting):
    """Tells what waited to be told, and looks after endpoints; a ``Worker``."""

    name = "notify.upkeep"

    def __init__(
        self,
        database: Database,
        clock: Clock,
        *,
        keyring: Keyring,
        wake: Callable[[], None],
    ) -> None:
        super().__init__(_PAUSE)
        self._database = database
        self._clock = clock
        self._keyring = keyring
        self._wake = wake

    async def step(self) -> bool:
        """Do what there is to do by now; return whether there may be more."""
        looked_after = await self._look_after_endpoints()
        answered = await self._answer_wishes()
        return await self._tell_unaddressed() or looked_after or answered

    async def _look_after_endpoints(self) -> bool:
        """Warn of endpoints that fail, and switch off those that have failed for days."""
        now = self._clock.now()
        async with self._database.reading() as view:
            in_trouble = await endpoints_in_trouble(view, keyring=self._keyring, now=now)
        for webhook_id in in_trouble:
            async with self._database.transaction() as tx:
                await look_after_endpoint(tx, webhook_id, keyring=self._keyring, now=now)
                tx.after_commit(self._wake)
        if in_trouble:
            _log.warning("webhooks.in_trouble", webhook_ids=list(in_trouble))
        return bool(in_trouble)

    async def _answer_wishes(self) -> bool:
        """Make the mails for those who asked for a new password."""
        now = self._clock.now()
        async with self._database.reading() as view:
            waiting = await resets_to_tell(view, now=now)
        for reset in waiting:
            async with self._database.transaction() as tx:
                if await tell_of_reset(tx, reset, now=now):
                    tx.after_commit(self._wake)
        return bool(waiting)

    async def _tell_unaddressed(self) -> bool:
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
