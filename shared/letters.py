"""What people do about dead letters: look, open, rehearse, replay, discard; all on the record.

One desk belongs to one service, because each has its own letters and the workers that know what
to do with them. The pages and the command line use the same desk. The audit trail gets the line
in the transaction of the deed; what a person gives as the reason stands in it, and is no place
for a customer's name.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from shared.bus.consumer import Consumer
from shared.bus.ports import Record, refusal
from shared.bus.relay import LETTERS_OF, Relay
from shared.db import dead_letter
from shared.db.dead_letter import DeadLetter, LetterState, OpenLetter, Pile
from shared.errors import ClosedLoopError, Conflict, Finding, Invalid, NotFound, TryLater
from shared.identity import audit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shared.clock import Clock
    from shared.db.transaction import Database, Transaction
    from shared.identity.principal import Principal
    from shared.sealing import Keyring
    from shared.service import Worker

TOO_OLD: Final = timedelta(hours=24)
"""How long a letter may lie before somebody is told."""
TOO_MANY: Final = 0.01
"""Which share of five minutes' records may be parked before somebody is told."""
LONGEST_REASON: Final = 200


class Fate(StrEnum):
    """What a replay came to, or would come to."""

    HANDLED = "handled"
    KNOWN = "known"
    PUBLISHED = "published"
    FAILED = "failed"
    HELD = "held"
    NOBODY = "nobody"
    SETTLED = "settled"


EFFECTIVE: Final = frozenset({Fate.HANDLED, Fate.KNOWN, Fate.PUBLISHED, Fate.SETTLED})
"""After these the letter is settled."""


@dataclass(frozen=True, kw_only=True)
class Replay:
    """What became of one letter, and why where it failed."""

    letter: DeadLetter
    fate: Fate
    why: str = ""


class LetterDesk:
    """The dead letters of one service, and what is done about them."""

    def __init__(
        self,
        owner: str,
        *,
        database: Database,
        workers: Sequence[Worker],
        clock: Clock,
        keyring: Keyring,
    ) -> None:
        self.owner = owner
        self.keyring = keyring
        self.clock = clock
        self.database = database
        self._table = database.plumbing.dead_letters
        self._consumers = {
            worker.name: worker for worker in workers if isinstance(worker, Consumer)
        }
        self._relays = [worker for worker in workers if isinstance(worker, Relay)]

    async def list(
        self,
        *,
        state: LetterState | None = LetterState.PARKED,
        after: str | None = None,
        limit: int = 50,
        oldest_first: bool = False,
    ) -> Sequence[DeadLetter]:
        """Return letters, latest first unless said otherwise."""
        async with self.database.reading() as view:
            return await dead_letter.list_letters(
                view,
                self._table,
                state=state,
                after=after,
                limit=limit,
                oldest_first=oldest_first,
            )

    async def pile(self) -> Pile:
        """Return how much is parked, and since when."""
        async with self.database.reading() as view:
            return await dead_letter.pile(view, self._table)

    async def get(self, letter_id: str) -> DeadLetter:
        """Return one letter without its bytes; raise ``NotFound``."""
        async with self.database.reading() as view:
            return await dead_letter.get(view, self._table, letter_id)

    async def open(self, letter_id: str, *, by: Principal) -> OpenLetter:
        """Return a parked letter with its bytes; the opening is in the audit trail."""
        async with self.database.transaction() as tx:
            letter = await dead_letter.open_letter(tx, letter_id, keyring=self.keyring)
            await self._note(tx, letter, "dead-letter.opened", by=by)
        return letter

    async def rehearse(self, letter: DeadLetter) -> Replay:
        """Go the whole way of a replay, take everything back, and say what it came to."""
        if letter.state is not LetterState.PARKED:
            return Replay(letter=letter, fate=Fate.SETTLED)
        if letter.consumer == LETTERS_OF:
            return await self._would_publish(letter)
        consumer = self._consumers.get(letter.consumer)
        if consumer is None:
            return Replay(letter=letter, fate=Fate.NOBODY)
        try:
            effect = await consumer.replayer.rehearse(letter.id)
        except Exception as error:  # noqa: BLE001 - what a handler fails with is the answer
            return _failed(letter, error)
        return Replay(letter=letter, fate=Fate.HANDLED if effect else Fate.KNOWN)

    async def replay(self, letter: DeadLetter, *, by: Principal, reason: str) -> Replay:
        """Hand a letter to its consumer again, or to the bus; it takes effect once."""
        reason = reason_of(reason)

        async def note(tx: Transaction) -> None:
            await self._note(tx, letter, "dead-letter.replayed", by=by, reason=reason)

        try:
            if letter.consumer == LETTERS_OF and self._relays:
                await self._relays[0].replay(letter.id, then=note)
                return Replay(letter=letter, fate=Fate.PUBLISHED)
            consumer = self._consumers.get(letter.consumer)
            if consumer is None:
                return Replay(letter=letter, fate=Fate.NOBODY)
            effect = await consumer.replayer.replay(letter.id, then=note)
        except Conflict:
            return Replay(letter=letter, fate=Fate.SETTLED)
        except NotFound:
            raise
        except Exception as error:  # noqa: BLE001 - as above
            return _failed(letter, error)
        return Replay(letter=letter, fate=Fate.HANDLED if effect else Fate.KNOWN)

    async def discard(self, letter_id: str, *, by: Principal, reason: str) -> None:
        """Give a letter up for good; raise ``NotFound``, and ``Conflict`` when settled."""
        reason = reason_of(reason)
        letter = await self.get(letter_id)
        async with self.database.transaction() as tx:
            await dead_letter.discard(tx, letter_id, now=self.clock.now())
            await self._note(tx, letter, "dead-letter.discarded", by=by, reason=reason)

    async def alarm(self) -> str:
        """Return what somebody ought to look at, or nothing."""
        said = []
        pile = await self.pile()
        if pile.oldest is not None and self.clock.now() - pile.oldest > TOO_OLD:
            said.append(
                f"{pile.count} of {self.owner} wait to be looked at, the oldest since"
                f" {pile.oldest:%Y-%m-%d %H:%M}"
            )
        for name, consumer in self._consumers.items():
            share = consumer.recent.share_parked()
            if share > TOO_MANY:
                said.append(f"{share:.0%} of what {name} read in five minutes was parked")
        return "; ".join(said)

    async def _would_publish(self, letter: DeadLetter) -> Replay:
        if not self._relays:
            return Replay(letter=letter, fate=Fate.NOBODY)
        async with self.database.transaction() as tx:
            found = await dead_letter.open_letter(tx, letter.id, keyring=self.keyring)
        still = refusal(Record(topic=found.topic, key=found.key, value=found.body))
        if still is not None:
            return Replay(letter=letter, fate=Fate.FAILED, why=str(still))
        return Replay(letter=letter, fate=Fate.PUBLISHED)

    async def _note(
        self,
        tx: Transaction,
        letter: DeadLetter,
        action: str,
        *,
        by: Principal,
        reason: str | None = None,
    ) -> None:
        detail: dict[str, object] = {"consumer": letter.consumer, "event_id": letter.event_id}
        if reason is not None:
            detail["reason"] = reason
        await audit.record(tx, by, action, letter.id, detail, now=self.clock.now())


def reason_of(text: str) -> str:
    """Return a reason for the audit trail; raise ``Invalid`` for what cannot stand there."""
    text = " ".join(text.split())
    if not text or len(text) > LONGEST_REASON or not text.isprintable() or "@" in text:
        detail = (
            f"A reason has 1 to {LONGEST_REASON} characters and names nobody: it stays in the"
            " audit trail for good."
        )
        raise Invalid(detail, [Finding(pointer="/reason", code="reason", detail=detail)])
    return text


def _failed(letter: DeadLetter, error: Exception) -> Replay:
    if isinstance(error, TryLater):
        return Replay(letter=letter, fate=Fate.HELD, why=error.slug)
    said = str(error) if isinstance(error, ClosedLoopError) else dead_letter.describe(error)[0]
    return Replay(letter=letter, fate=Fate.FAILED, why=said)
