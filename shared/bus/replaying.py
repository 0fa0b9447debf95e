"""Handling a parked record once more, on its own: the way of a live one, in one transaction.

The inbox stands between the two: an event that was handled meanwhile, however it came, has no
second effect. A rehearsal goes the whole way and takes everything back.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from shared.bus.arrivals import Arrived, check
from shared.db import dead_letter, inbox
from shared.db.dead_letter import LetterState
from shared.db.engine import is_transient
from shared.db.transaction import Transaction
from shared.errors import Conflict, NotFound, TryLater
from shared.events.envelope import decode, read
from shared.logs import get_logger

if TYPE_CHECKING:
    from collections.abc import Mapping

    from shared.clock import Clock
    from shared.db.transaction import Database
    from shared.events.envelope import Event
    from shared.sealing import Keyring

Handler = Callable[[Transaction, Sequence[Arrived], datetime], Awaitable[None]]
"""Handles new events in an open transaction, at that moment; it never commits."""

Then = Callable[[Transaction], Awaitable[None]]
"""Adds to the transaction of a replay, such as a line of the audit trail."""

log = get_logger(__name__)


class _TakenBack(Exception):
    """Ends a rehearsal, so that its transaction is rolled back."""


@dataclass(frozen=True, kw_only=True)
class Replayer:
    """Hands parked records of the consumer ``name`` to its handler again."""

    name: str
    kinds: Mapping[str, type[Event]]
    handler: Handler
    database: Database
    clock: Clock
    keyring: Keyring

    async def replay(self, letter_id: str, *, then: Then | None = None) -> bool:
        """Handle a parked record now; return whether it had an effect.

        It has none when its event was handled meanwhile, or is of no kind handled here. Raises
        ``NotFound`` and ``Conflict``, and whatever the handler raises: then the letter stays.
        """
        try:
            async with self.database.transaction() as tx:
                effect = await self._handle(tx, letter_id)
                if then is not None:
                    await then(tx)
        except (NotFound, Conflict):
            raise
        except Exception as error:
            if not later(error):
                async with self.database.transaction() as tx:
                    await dead_letter.failed_again(tx, letter_id, error)
            raise
        log.info("consumer.replayed", consumer=self.name, letter=letter_id, effect=effect)
        return effect

    async def rehearse(self, letter_id: str) -> bool:
        """Return what ``replay`` would, or raise what it would; nothing is changed."""
        effect = False
        with suppress(_TakenBack):
            async with self.database.transaction() as tx:
                effect = await self._handle(tx, letter_id)
                raise _TakenBack
        return effect

    async def _handle(self, tx: Transaction, letter_id: str) -> bool:
        now = self.clock.now()
        letter = await dead_letter.open_letter(tx, letter_id, keyring=self.keyring)
        if letter.consumer != self.name:
            raise NotFound("This dead letter belongs to another consumer.")
        envelope = decode(letter.body)
        fresh: set[str] = set()
        if check(envelope) in self.kinds:
            event = read(envelope, self.kinds[envelope.type])
            fresh = await inbox.first_time(
                tx, consumer=self.name, event_ids=[envelope.id], now=now
            )
            if fresh:
                one = Arrived(envelope=envelope, event=event, key=letter.key)
                await self.handler(tx, [one], now)
        await dead_letter.settle(tx, letter_id, state=LetterState.REPLAYED, now=now)
        return bool(fresh)


def later(error: BaseException) -> bool:
    """Tell whether time may heal this."""
    return isinstance(error, TryLater) or is_transient(error)
