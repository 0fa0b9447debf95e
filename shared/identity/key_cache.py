"""Who is behind a shown key, without a database read for every request.

What was read counts for under a second, so that a key revoked anywhere is refused everywhere
within one second; requests that arrive together share one read.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING

from shared.errors import TryLater
from shared.identity.key_texts import may_be_a_key
from shared.identity.keys import ApiKey, find_by_plaintext, find_ended, note_use
from shared.tasks import spawn, unbroken

if TYPE_CHECKING:
    import asyncio
    from datetime import date

    from shared.clock import Clock
    from shared.db.transaction import Database
    from shared.identity.principal import Principal

FRESH_FOR = 0.8
"""Seconds for which an answer counts; the rest of the second is left to the read itself."""
_MOST = 10_000


@dataclass(frozen=True, slots=True)
class _Known:
    key: ApiKey
    principal: Principal
    asked_at: float


class KeyCache:
    """Looks keys up and remembers the good ones for a moment."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._known: dict[bytes, _Known] = {}
        self._asking: dict[bytes, asyncio.Task[_Known | None]] = {}
        self._noted: dict[str, date] = {}
        self._noting: set[asyncio.Task[None]] = set()

    def has_met(self, text: str) -> bool:
        """Tell whether this key was good when it was last shown to this process."""
        return _place(text) in self._known

    async def principal(self, text: str) -> Principal | None:
        """Return who shows this key; None when it lets nobody in.

        Raises ``TryLater`` when the database cannot be asked.
        """
        place = _place(text)
        known = self._known.get(place)
        if known is None or self._clock.monotonic() - known.asked_at >= FRESH_FOR:
            if not may_be_a_key(text):
                return None
            known = await self._ask(place, text)
        if known is None or not known.key.usable(now := self._clock.now()):
            return None
        if self._noted.get(known.key.id) != (today := now.date()):
            self._note(known.key, today)
        return known.principal

    async def ended(self, text: str) -> Principal | None:
        """Return who used to show this key that is revoked or expired; None for any other."""
        async with self._database.reading() as view:
            key = await find_ended(view, text, now=self._clock.now())
        return None if key is None else key.principal()

    async def settle(self) -> None:
        """Wait until every use that is being written down is written."""
        for task in tuple(self._noting):
            await task

    async def _ask(self, place: bytes, text: str) -> _Known | None:
        task = self._asking.get(place)
        if task is None:
            task = spawn(self._look_up(place, text), name="key look-up")
            self._asking[place] = task
            task.add_done_callback(lambda _: self._asking.pop(place, None))
        return await _shared(task)

    async def _look_up(self, place: bytes, text: str) -> _Known | None:
        asked_at = self._clock.monotonic()
        async with self._database.reading() as view:
            key = await find_by_plaintext(view, text, now=self._clock.now())
        if key is None:
            self._known.pop(place, None)
            return None
        if len(self._known) >= _MOST:
            self._known.clear()
        known = _Known(key=key, principal=key.principal(), asked_at=asked_at)
        self._known[place] = known
        return known

    def _note(self, key: ApiKey, today: date) -> None:
        """Have the day written beside the request, never in its way."""
        self._noted[key.id] = today
        if key.last_used_on == today:
            return
        task = spawn(self._write(key.id, today), name="key use")
        self._noting.add(task)
        task.add_done_callback(self._noting.discard)

    async def _write(self, key_id: str, day: date) -> None:
        with suppress(TryLater):  # a missed day is found again at the next start
            async with self._database.transaction() as tx:
                await note_use(tx, key_id, day)


async def _shared(task: asyncio.Task[_Known | None]) -> _Known | None:
    """Wait for a look-up that others wait for too; one giving up does not end it."""
    return await unbroken(_result(task), name="key look-up shared")


async def _result(task: asyncio.Task[_Known | None]) -> _Known | None:
    return await task


def _place(text: str) -> bytes:
    """Keep no key in memory longer than its request."""
    return sha256(text.encode("utf-8", "surrogatepass")).digest()
