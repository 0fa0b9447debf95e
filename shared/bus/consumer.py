"""From the bus to a handler: read, decode, handle a whole poll in one transaction, then commit.

The offsets follow the effect and never lead it, so that nothing is lost; the inbox marks the
events in the effect's own transaction, so that nothing happens twice. A record that cannot be
read or handled is parked and the others go on; trouble that time heals parks nothing.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

from shared.bus.arrivals import Arrival, Arrived, arrival, undeliverable
from shared.bus.recent import Recent
from shared.bus.replaying import Handler, Replayer, later
from shared.db import dead_letter, inbox
from shared.db.dead_letter import Undeliverable
from shared.db.transaction import Transaction
from shared.errors import Malformed, TryLater
from shared.faults import fault_point
from shared.logs import get_logger
from shared.retry import Backoff

if TYPE_CHECKING:
    from collections.abc import Collection

    from shared.bus.ports import Bus, Received, Subscription
    from shared.clock import Clock
    from shared.db.transaction import Database
    from shared.events.envelope import Event
    from shared.sealing import Keyring

__all__ = ["Arrived", "Consumer", "ConsumerState", "Handler", "Health"]

POLL = 500
WAITS = (timedelta(milliseconds=200), timedelta(seconds=1))
"""The pauses between the tries of one record that fails for good; then it is parked."""

UNHANDLED_LIMIT = 20
UNREADABLE_LIMIT = 100
"""So many in a row on one topic, and it is not the records that are wrong: stop, park no more.

A hundred in a row may be a foreign program that publishes to our topic; twenty that can be read
and not handled are a defect of ours.
"""

UNREADY_AFTER = 60.0

log = get_logger(__name__)


class ConsumerState(StrEnum):
    """Whether records are being handled."""

    OK = "ok"
    DEGRADED = "degraded"
    STOPPED = "stopped"


@dataclass(frozen=True, kw_only=True)
class Health:
    """How a consumer is; ``ready`` is False when a person must look."""

    state: ConsumerState
    reason: str = ""
    ready: bool = True


class Consumer:
    """Handles the events of ``kinds`` on ``topics`` as the group ``name``; a ``Worker``.

    The handler gets events that were never handled before, in order, a whole poll in one
    transaction which it does not commit. ``TryLater`` from it, or a database that is away, has
    the same poll delivered again later; any other error has the poll repeated record by record
    and the failing one parked after three tries. Events of other known types are passed over.
    """

    def __init__(
        self,
        *,
        name: str,
        topics: Sequence[str],
        kinds: Sequence[type[Event]],
        handler: Handler,
        database: Database,
        bus: Bus,
        clock: Clock,
        keyring: Keyring,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
        backoff: Backoff | None = None,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._name = name
        self._topics = tuple(topics)
        self._kinds = {kind.TYPE: kind for kind in kinds}
        self._handler = handler
        self._database = database
        self._bus = bus
        self._clock = clock
        self._keyring = keyring
        self._pause = pause
        self._backoff = backoff or Backoff()
        self._chance = chance
        self._subscription: Subscription | None = None
        self._polled: Sequence[Received] = ()
        self._owed: Sequence[Received] = ()
        # By topic: what is right on one says nothing about another.
        self._unhandled: Counter[str] = Counter()
        self._unreadable: Counter[str] = Counter()
        self._recent = Recent(clock)
        self.replayer = Replayer(
            name=name,
            kinds=self._kinds,
            handler=handler,
            database=database,
            clock=clock,
            keyring=keyring,
        )
        self._failures = 0
        self._not_before = 0.0
        self._trouble: tuple[float, str, bool] | None = None
        self._stopped = ""

    @property
    def name(self) -> str:
        """Return the group's name."""
        return self._name

    @property
    def health(self) -> Health:
        """Return how things are; a bus that is away makes nobody unready."""
        if self._stopped:
            return Health(state=ConsumerState.STOPPED, reason=self._stopped, ready=False)
        if self._trouble is not None:
            since, reason, ours = self._trouble
            lasting = self._clock.monotonic() - since
            return Health(
                state=ConsumerState.DEGRADED,
                reason=reason,
                ready=not (ours and lasting >= UNREADY_AFTER),
            )
        return Health(state=ConsumerState.OK)

    async def lag(self) -> int:
        """Return how many records wait to be handled; raise ``TryLater`` if unknown."""
        return await (await self._subscribed()).lag()

    async def step(self) -> bool:
        """Handle one poll; return whether there was anything to do.

        Raises nothing but a bug in the bus: trouble is waited out, see ``health``.
        """
        if self._stopped or self._clock.monotonic() < self._not_before:
            return False
        subscription = await self._subscribed()
        try:
            if self._owed:
                await self._commit(subscription, self._owed)
            received = self._polled or await subscription.poll(most=POLL, wait=timedelta(0))
        except TryLater as error:
            self._back_off(error, ours=False)
            return False
        self._polled = ()
        if not received:
            self._recovered()
            return False
        fault_point("consumer.polled")
        return await self._take(subscription, received)

    async def _subscribed(self) -> Subscription:
        if self._subscription is None:
            self._subscription = await self._bus.subscribe(
                group=self._name, topics=self._topics
            )
        return self._subscription

    async def _take(self, subscription: Subscription, received: Sequence[Received]) -> bool:
        """Handle what was polled and commit it, or rewind; return whether it went on."""
        items = [arrival(record, self._kinds) for record in received]
        try:
            done = await self._handle(items)
        except BaseException as error:
            # Also when cut off: what was polled and not handled must never be committed over.
            await subscription.rewind()
            if not later(error):
                raise
            self._back_off(error, ours=True)
            return False
        fault_point("consumer.effect_committed")
        try:
            await self._commit(subscription, received[:done])
        except TryLater as error:
            # The effect stands. What is committed late is at worst read again and passed over.
            self._back_off(error, ours=False)
            return False
        fault_point("consumer.offset_committed")
        if self._stopped:
            await subscription.rewind()
            return False
        self._recovered()
        return True

    async def _commit(self, subscription: Subscription, records: Sequence[Received]) -> None:
        self._owed = records
        await subscription.commit(records)
        self._owed = ()

    async def _handle(self, items: Sequence[Arrival]) -> int:
        """Handle a poll as one, else one by one; return how many records are dealt with."""
        try:
            fresh = await self._handle_together(items)
        except Exception as error:
            if later(error):
                raise
            what, _ = dead_letter.describe(error)
            log.warning("consumer.poll_failed", consumer=self._name, error=what)
            return await self._handle_apart(items)
        self._count(items, fresh)
        self._note(items, fresh)
        return len(items)

    async def _handle_together(self, items: Sequence[Arrival]) -> set[str]:
        """Handle items in one transaction; return the ids of the events that were new."""
        arrived = [item.arrived for item in items if item.arrived is not None]
        unusable = [item.unusable for item in items if item.unusable is not None]
        if not arrived and not unusable:
            return set()
        now = self._clock.now()
        async with self._database.transaction() as tx:
            await self._park(tx, unusable, now)
            fresh = await inbox.first_time(
                tx,
                consumer=self._name,
                event_ids=[one.envelope.id for one in arrived],
                now=now,
            )
            if new := _first_of_each(arrived, fresh):
                await self._handler(tx, new, now)
            fault_point("consumer.in_effect")
        return fresh

    async def _handle_apart(self, items: Sequence[Arrival]) -> int:
        """Handle items one by one, parking what fails for good; stop at the limit."""
        parked = await self._parked_among(items)
        for done, item in enumerate(items):
            record = item.record
            if (record.topic, record.partition, record.offset) in parked:
                continue
            await self._handle_one(item)
            if self._stopped:
                return done + 1
        return len(items)

    async def _handle_one(self, item: Arrival) -> None:
        tries = 0
        while True:
            tries += 1
            try:
                fresh = await self._handle_together([item])
            except Exception as error:
                if later(error):
                    raise
                if tries <= len(WAITS) and not isinstance(error, Malformed):
                    await self._pause(WAITS[tries - 1].total_seconds())
                    continue
                await self._give_up(item, error, tries)
            else:
                self._count([item], fresh)
                self._note([item], fresh)
            return

    async def _give_up(self, item: Arrival, error: Exception, tries: int) -> None:
        envelope = item.arrived.envelope if item.arrived else None
        letter = undeliverable(item.record, error, envelope, tries=tries)
        async with self._database.transaction() as tx:
            await self._park(tx, [letter], self._clock.now())
        self._log_parked(letter)
        self._recent.add(parked=1)
        topic = item.record.topic
        self._unhandled[topic] += 1
        if self._unhandled[topic] >= UNHANDLED_LIMIT:
            self._stop(
                f"{UNHANDLED_LIMIT} events in a row on {topic} could not be handled",
                letter.error,
            )

    def _count(self, items: Sequence[Arrival], fresh: Collection[str]) -> None:
        """Count what was dealt with, and stop when a topic brings nothing but rubbish."""
        parked = 0
        for item in items:
            topic = item.record.topic
            if item.unusable is None:
                self._unreadable[topic] = 0
                if item.arrived is not None and item.arrived.envelope.id in fresh:
                    self._unhandled[topic] = 0
                continue
            parked += 1
            self._unreadable[topic] += 1
            if self._unreadable[topic] >= UNREADABLE_LIMIT and not self._stopped:
                self._stop(
                    f"{UNREADABLE_LIMIT} records in a row on {topic} could not be read",
                    item.unusable.error,
                )
        self._recent.add(parked=parked, handled=len(items) - parked)

    @property
    def recent(self) -> Recent:
        """Return how much was handled and parked in the last minutes."""
        return self._recent

    def _stop(self, why: str, last: str) -> None:
        self._stopped = f"{why}, the last one with: {last}"
        log.error("consumer.stopped", consumer=self._name, reason=why, error=last)

    async def _park(
        self, tx: Transaction, records: Sequence[Undeliverable], now: datetime
    ) -> None:
        await dead_letter.park(tx, records, consumer=self._name, keyring=self._keyring, now=now)

    async def _parked_among(self, items: Sequence[Arrival]) -> set[tuple[str, int, int]]:
        """Return the origins of those records that were parked when they came before."""
        offsets: dict[tuple[str, int], list[int]] = defaultdict(list)
        for item in items:
            offsets[item.record.topic, item.record.partition].append(item.record.offset)
        async with self._database.transaction() as tx:
            return await dead_letter.parked_among(tx, consumer=self._name, offsets=offsets)

    async def replay(self, letter_id: str) -> bool:
        """Handle a parked record now; return whether it had an effect. See ``Replayer``."""
        return await self.replayer.replay(letter_id)

    def _back_off(self, error: BaseException, *, ours: bool) -> None:
        """Note trouble that time heals, and when to try again."""
        self._failures += 1
        pause = self._backoff.wait(self._failures, self._chance()).total_seconds()
        now = self._clock.monotonic()
        self._not_before = now + pause
        what = error.slug if isinstance(error, TryLater) else type(error).__name__
        since = self._trouble[0] if self._trouble and self._trouble[2] == ours else now
        self._trouble = (since, what, ours)
        log.warning(
            "consumer.held",
            consumer=self._name,
            error=what,
            failures=self._failures,
            again_in_ms=int(pause * 1000),
        )

    def _recovered(self) -> None:
        if self._trouble is not None:
            log.info("consumer.recovered", consumer=self._name, failures=self._failures)
        self._failures = 0
        self._trouble = None

    def _note(self, items: Sequence[Arrival], fresh: set[str]) -> None:
        """Log one line for the poll, and one for each record where somebody wants to know."""
        for item in items:
            if item.unusable is not None:
                self._log_parked(item.unusable)
        log.info(
            "consumer.handled",
            consumer=self._name,
            first=items[0].record.origin,
            last=items[-1].record.origin,
            records=len(items),
            handled=len(fresh),
            parked=sum(item.unusable is not None for item in items),
        )
        if logging.getLogger(__name__).isEnabledFor(logging.DEBUG):
            for item in items:
                if item.arrived is not None:
                    envelope = item.arrived.envelope
                    log.debug(
                        "consumer.record",
                        consumer=self._name,
                        origin=item.record.origin,
                        event_id=envelope.id,
                        event_type=envelope.type,
                        outcome="handled" if envelope.id in fresh else "known",
                    )

    def _log_parked(self, letter: Undeliverable) -> None:
        log.warning(
            "consumer.parked",
            consumer=self._name,
            origin=f"{letter.topic}/{letter.partition}/{letter.offset}",
            event_id=letter.event_id,
            event_type=letter.event_type,
            error=letter.error,
            tries=letter.tries,
        )

    async def wait(self) -> None:
        """Return when a record came, at the end of a pause, or after a second."""
        pause = self._not_before - self._clock.monotonic()
        if self._stopped or pause > 0:
            await asyncio.sleep(1.0 if self._stopped else min(pause, 1.0))
        elif not self._polled and not self._owed:
            subscription = await self._subscribed()
            try:
                self._polled = await subscription.poll(most=POLL, wait=timedelta(seconds=1))
            except TryLater as error:
                self._back_off(error, ours=False)

    async def close(self) -> None:
        """Leave the group; bounded in time."""
        if self._subscription is not None:
            subscription, self._subscription = self._subscription, None
            self._polled = ()
            with suppress(TryLater):
                await subscription.close()


def _first_of_each(arrived: Sequence[Arrived], fresh: Collection[str]) -> Sequence[Arrived]:
    """Return the events that are new, in order; a poll may hold the same one twice."""
    missing = set(fresh)
    new = []
    for one in arrived:
        if one.envelope.id in missing:
            missing.discard(one.envelope.id)
            new.append(one)
    return new
