"""From the outbox to the bus: what a transaction announced is published, at least once.

One relay at a time works for a service, by a lease. It claims by status and never by "after the
last number", because a smaller number may be committed later. Of one key it has at most one
record on its way: without that, a record that failed could be overtaken by the next one.
"""

from __future__ import annotations

import asyncio
import random
import re
from collections import defaultdict
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, func, select, update

from shared.bus.ports import TOPIC_MISSING, Record, RecordRefused
from shared.db import dead_letter, leases
from shared.db.base import listed
from shared.db.dead_letter import LetterState, Undeliverable
from shared.errors import NotFound, TryLater
from shared.faults import fault_point
from shared.ids import new_id
from shared.logs import get_logger
from shared.retry import Backoff
from shared.tasks import spawn

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Sequence
    from datetime import datetime

    from sqlalchemy import Row

    from shared.bus.ports import Bus, Publisher
    from shared.clock import Clock
    from shared.db.transaction import Database, Transaction
    from shared.sealing import Keyring

CLAIM = 1_000
LEASE = timedelta(seconds=30)
KEPT = timedelta(days=7)
PRUNE_EVERY = timedelta(hours=1)
CONTENT_TYPE = "application/cloudevents+json"
LETTERS_OF = "relay"
"""The consumer under which the relay parks what the bus refuses."""

# Renewed long before it ends: a publish may take ten seconds.
_RENEW_AFTER = 10.0
_LOOK_AGAIN_AFTER = 30.0
_TYPE = re.compile(rb'"type":"([^"\\]{1,80})"')

log = get_logger(__name__)


@dataclass(frozen=True, kw_only=True)
class Backlog:
    """What waits to be published."""

    count: int
    oldest: datetime | None


@dataclass(slots=True)
class _Tally:
    """What became of one claim."""

    published: int = 0
    refused: int = 0
    failed: int = 0
    held: int = 0
    error: Exception | None = None


class Relay:
    """Publishes the outbox of the service behind ``database``; a ``Worker``."""

    def __init__(
        self,
        *,
        database: Database,
        bus: Bus,
        clock: Clock,
        keyring: Keyring,
        backoff: Backoff | None = None,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._database = database
        self._bus = bus
        self._clock = clock
        self._keyring = keyring
        self._backoff = backoff or Backoff()
        self._chance = chance
        self._outbox = database.plumbing.outbox
        self._name = f"relay.{database.plumbing.owner}"
        self._token = new_id("rly")
        self._publisher: Publisher | None = None
        self._leased_at: float | None = None
        self._failures = 0
        self._not_before = 0.0
        # A sweep passes over the keys that failed in it, and starts over at its end.
        # It passes over no numbers: a smaller one may be committed after we have looked there.
        self._held: set[str] = set()
        self._sweep_failed = False
        self._absent: dict[str, float] = {}
        self._pruned_at: datetime | None = None
        self._woken = asyncio.Event()
        database.on_announcement(self._woken.set)

    @property
    def name(self) -> str:
        """Return ``relay.<service>``."""
        return self._name

    @property
    def database(self) -> Database:
        """Return the database whose outbox this relay empties."""
        return self._database

    async def step(self) -> bool:
        """Publish one claim; return whether there may be more to do now."""
        self._woken.clear()
        if self._clock.monotonic() < self._not_before:
            return False
        rows = await self._claim()
        if not rows:
            self._end_sweep()
            return await self._prune_now_and_then()
        tally = await self._publish(rows)
        log.info(
            "relay.published",
            relay=self._name,
            published=tally.published,
            refused=tally.refused,
            failed=tally.failed,
            held=tally.held,
        )
        if tally.error is not None and not tally.published:
            self._back_off(tally.error)
            return False
        if tally.error is not None:
            self._failures = 0
            self._sweep_failed = True
        if not self._held:
            return True
        if len(rows) < CLAIM:
            self._end_sweep()
            return False
        return True

    def _end_sweep(self) -> None:
        self._held.clear()
        if self._sweep_failed:
            self._back_off(None)
        else:
            self._failures = 0

    def _back_off(self, error: Exception | None) -> None:
        self._sweep_failed = False
        self._held.clear()
        self._failures += 1
        pause = self._backoff.wait(self._failures, self._chance()).total_seconds()
        self._not_before = self._clock.monotonic() + pause
        log.warning(
            "relay.held",
            relay=self._name,
            error=getattr(error, "slug", type(error).__name__) if error else "some records",
            failures=self._failures,
            again_in_ms=int(pause * 1000),
        )

    async def _claim(self) -> Sequence[Row[Any]]:
        """Return unpublished rows that only this relay may publish now."""
        outbox = self._outbox
        query = (
            select(outbox.c.seq, outbox.c.event_id, outbox.c.topic, outbox.c.key, outbox.c.body)
            .where(outbox.c.published_at.is_(None))
            .order_by(outbox.c.seq)
            .limit(CLAIM)
        )
        if self._held:
            held = listed(self._database.dialect, sorted(self._held), outbox.c.key.type)
            query = query.where(outbox.c.key.not_in(select(held)))
        now = self._clock.monotonic()
        self._absent = {topic: until for topic, until in self._absent.items() if until > now}
        if self._absent:
            query = query.where(outbox.c.topic.not_in(sorted(self._absent)))
        if self._leased_at is None or self._stale():
            # Nothing to do needs no lease, and so no write.
            async with self._database.reading() as view:
                if await view.first(query.with_only_columns(outbox.c.seq).limit(1)) is None:
                    return []
            if not await self._lease():
                return []
        async with self._database.reading() as view:
            rows = await view.all(query)
        fault_point("relay.claimed")
        return rows

    def _stale(self) -> bool:
        return (
            self._leased_at is None or self._clock.monotonic() - self._leased_at > _RENEW_AFTER
        )

    async def _lease(self) -> bool:
        """Take or prolong the lease; False while another relay has it."""
        asked_at = self._clock.monotonic()
        async with self._database.transaction() as tx:
            ours = await leases.take(tx, self._name, token=self._token, lasting=LEASE)
        self._leased_at = asked_at if ours else None
        fault_point("relay.leased")
        return ours

    async def _publish(self, rows: Sequence[Row[Any]]) -> _Tally:
        """Publish rows in waves: the first row of each key, then the second, and so on."""
        if self._publisher is None:
            self._publisher = await self._bus.publisher()
        tally = _Tally()
        for wave in _waves(rows):
            ready = [row for row in wave if row.key not in self._held]
            tally.held += len(wave) - len(ready)
            if not ready:
                continue
            if self._stale() and not await self._lease():
                log.warning("relay.lease_lost", relay=self._name)
                break
            results = await self._send(self._publisher, ready)
            await self._settle(ready, results, tally)
        return tally

    async def _send(
        self, publisher: Publisher, rows: Sequence[Row[Any]]
    ) -> Sequence[Exception | None]:
        sending = spawn(publisher.publish([_record(row) for row in rows]), name=self._name)
        # Not a wait for anything: it gives the bytes time to leave before we may die.
        await asyncio.wait({sending}, timeout=0.005)
        fault_point("relay.sent")
        results = await sending
        fault_point("relay.acknowledged")
        return results

    async def _settle(
        self,
        rows: Sequence[Row[Any]],
        results: Sequence[Exception | None],
        tally: _Tally,
    ) -> None:
        """Mark what is durable, park what is refused, hold the keys of what failed."""
        done: list[int] = []
        refused: list[Undeliverable] = []
        for row, result in zip(rows, results, strict=True):
            if result is None:
                done.append(row.seq)
            elif isinstance(result, RecordRefused):
                done.append(row.seq)
                refused.append(self._refused(row, result))
            else:
                tally.failed += 1
                self._hold(row, result, tally)
        if done:
            now = self._clock.now()
            async with self._database.transaction() as tx:
                await self._mark(tx, done, now)
                await dead_letter.park(
                    tx, refused, consumer=LETTERS_OF, keyring=self._keyring, now=now
                )
        fault_point("relay.marked")
        tally.published += len(done) - len(refused)
        tally.refused += len(refused)

    def _hold(self, row: Row[Any], error: Exception, tally: _Tally) -> None:
        if isinstance(error, TryLater) and error.slug == TOPIC_MISSING:
            # Looking for a topic takes seconds; others need not wait for it each time.
            self._absent[row.topic] = self._clock.monotonic() + _LOOK_AGAIN_AFTER
        else:
            tally.error = error
        self._held.add(row.key)

    async def _mark(self, tx: Transaction, seqs: Sequence[int], now: datetime) -> None:
        # One parameter however many rows. Never "up to the last one": rows of transactions
        # that commit later may lie in between.
        seq = self._outbox.c.seq
        await tx.execute(
            update(self._outbox)
            .where(seq.in_(select(listed(tx.dialect, seqs, seq.type))))
            .values(published_at=now)
        )

    def _refused(self, row: Row[Any], error: RecordRefused) -> Undeliverable:
        log.error(
            "relay.refused",
            relay=self._name,
            event_id=row.event_id,
            topic=row.topic,
            reason=str(error),
        )
        said, digest = dead_letter.describe(error)
        record = _record(row)
        return Undeliverable(
            topic=row.topic,
            partition=-1,
            offset=row.seq,
            key=row.key,
            body=row.body,
            headers=record.headers,
            error=f"{said}: {error}",
            digest=digest,
            tries=1,
            event_id=row.event_id,
            event_type=record.headers.get("ce_type"),
        )

    async def replay(
        self, letter_id: str, *, then: Callable[[Transaction], Awaitable[None]] | None = None
    ) -> None:
        """Publish a refused record once more, under its own event id.

        ``then`` is called in the same transaction. Raises ``NotFound``, and ``Conflict`` when
        the letter is settled already.
        """
        now = self._clock.now()
        outbox = self._outbox
        async with self._database.transaction() as tx:
            letter = await dead_letter.open_letter(tx, letter_id, keyring=self._keyring)
            if letter.consumer != LETTERS_OF or letter.event_id is None:
                raise NotFound("This dead letter is not the relay's.")
            # Its row may have been pruned meanwhile; a new one gets the end of the queue.
            await tx.execute(delete(outbox).where(outbox.c.event_id == letter.event_id))
            await tx.execute(
                tx.insert(outbox).values(
                    event_id=letter.event_id,
                    topic=letter.topic,
                    key=letter.key,
                    body=letter.body,
                    created_at=now,
                )
            )
            await dead_letter.settle(tx, letter_id, state=LetterState.REPLAYED, now=now)
            if then is not None:
                await then(tx)
        self._woken.set()

    async def backlog(self) -> Backlog:
        """Return how many records wait, and since when the oldest one."""
        outbox = self._outbox
        async with self._database.reading() as view:
            row = await view.first(
                select(
                    func.count().label("waiting"), func.min(outbox.c.created_at).label("oldest")
                ).where(outbox.c.published_at.is_(None))
            )
        return Backlog(count=row.waiting if row else 0, oldest=row.oldest if row else None)

    async def _prune_now_and_then(self) -> bool:
        now = self._clock.now()
        if self._pruned_at is not None and now - self._pruned_at < PRUNE_EVERY:
            return False
        if await self.prune():
            return True
        self._pruned_at = now
        return False

    async def prune(self, *, most: int = 1_000) -> int:
        """Delete the oldest rows as long as they were published a week ago; return how many.

        They are kept that long because a broker acknowledges before its disk has the record.
        """
        outbox = self._outbox
        kept = outbox.c.published_at.is_(None) | (
            outbox.c.published_at >= self._clock.now() - KEPT
        )
        async with self._database.reading() as view:
            # Walks along the primary key over what is about to be deleted, and stops.
            oldest = await view.scalar(select(func.min(outbox.c.seq)))
            first_kept = await view.scalar(
                select(outbox.c.seq).where(kept).order_by(outbox.c.seq).limit(1)
            )
        if oldest is None or oldest == first_kept:
            return 0
        upto = oldest + most if first_kept is None else min(first_kept, oldest + most)
        async with self._database.transaction() as tx:
            # A row committed meanwhile may have a small number: look again.
            result = await tx.execute(delete(outbox).where(outbox.c.seq < upto, ~kept))
        return result.rowcount

    async def wait(self) -> None:
        """Return when something was announced, at the end of a pause, or after a second."""
        pause = self._not_before - self._clock.monotonic()
        if pause > 0:
            await asyncio.sleep(min(pause, 1.0))
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(1.0):
                await self._woken.wait()

    async def close(self) -> None:
        """Give the lease back and let go of the publisher; bounded in time."""
        if self._leased_at is not None:
            self._leased_at = None
            with suppress(TryLater, TimeoutError):
                async with asyncio.timeout(2), self._database.transaction() as tx:
                    await leases.give_back(tx, self._name, token=self._token)
        if self._publisher is not None:
            publisher, self._publisher = self._publisher, None
            await publisher.close()


def _waves(rows: Sequence[Row[Any]]) -> Iterator[Sequence[Row[Any]]]:
    """Yield the first row of each key, then the second of each, and so on."""
    seen: dict[str, int] = defaultdict(int)
    waves: list[list[Row[Any]]] = []
    for row in rows:
        number = seen[row.key]
        seen[row.key] = number + 1
        if number == len(waves):
            waves.append([])
        waves[number].append(row)
    yield from waves


def _record(row: Row[Any]) -> Record:
    # The envelope's own type comes before its data, so the first one found is it.
    found = _TYPE.search(row.body)
    return Record(
        topic=row.topic,
        key=row.key,
        value=row.body,
        headers={
            "ce_id": row.event_id,
            "ce_type": found[1].decode() if found else "",
            "content-type": CONTENT_TYPE,
        },
    )
