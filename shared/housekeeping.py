"""Forgetting what nobody can need any more, once an hour, in small batches.

An inbox row outlives every source of a repetition: the topics keep 30 days, and a dead letter
that is replayed later has its own row. How long dead letters and what else a service keeps are
kept is for the installation to say; what there will be to forget is counted with each round.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from sqlalchemy import delete, select, tuple_

from shared.bus.embedded import EmbeddedBus
from shared.bus.ports import LOG_KEPT
from shared.db import dead_letter, requests
from shared.identity import retention
from shared.identity.retention import SOON, Expiring, Kind, Policy

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from sqlalchemy import Table

    from shared.bus.ports import Bus
    from shared.clock import Clock
    from shared.db.transaction import Database, Reading, Transaction

INBOX_KEPT: Final = timedelta(days=120)
_EVERY: Final = 3600.0
_AT_ONCE: Final = 1_000


class Housekeeping:
    """The worker that keeps one service's tables from growing for ever."""

    def __init__(
        self,
        *,
        database: Database,
        bus: Bus,
        clock: Clock,
        expiring: Sequence[Expiring] = (),
    ) -> None:
        self._database = database
        self._bus = bus
        self._clock = clock
        self._expiring = (_old_letters(database.plumbing.dead_letters), *expiring)
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
        policy = await self._policy()
        async with self._database.transaction() as tx:
            answers = await requests.forget(tx, now=now, limit=_AT_ONCE)
        batches = [answers, await self._forget_handled(now - INBOX_KEPT)]
        expired = [await self._forget(each, policy, now) for each in self._expiring]
        if isinstance(self._bus, EmbeddedBus):
            batches.append(await self._bus.forget(before=now - LOG_KEPT))
        if max(batches) < _AT_ONCE and not any(expired):
            await self._note_counts(policy, now)
            self._next = self._clock.monotonic() + _EVERY
            return False
        return True

    async def forget_expired(self) -> dict[Kind, int]:
        """Forget everything at once whose time is over; return how much of each kind."""
        now, policy = self._clock.now(), await self._policy()
        forgotten: dict[Kind, int] = {}
        for each in self._expiring:
            forgotten[each.kind] = 0
            while batch := await self._forget(each, policy, now):
                forgotten[each.kind] += batch
        await self._note_counts(policy, now)
        return forgotten

    async def counts(self) -> dict[Kind, tuple[int, int]]:
        """Count of each kind what is due now, and what will have gone in thirty days."""
        return await self._count(await self._policy(), self._clock.now())

    async def _policy(self) -> Policy:
        async with self._database.reading() as view:
            return await retention.policy(view)

    async def _forget(self, each: Expiring, policy: Policy, now: datetime) -> int:
        before = policy.over_before(each.kind, now)
        if before is None:
            return 0
        async with self._database.transaction() as tx:
            return await each.forget(tx, before, _AT_ONCE)

    async def _count(self, policy: Policy, now: datetime) -> dict[Kind, tuple[int, int]]:
        counted: dict[Kind, tuple[int, int]] = {}
        async with self._database.reading() as view:
            for each in self._expiring:
                due = policy.over_before(each.kind, now)
                soon = policy.over_before(each.kind, now + SOON)
                if due is not None and soon is not None:
                    counted[each.kind] = (
                        await each.count(view, due),
                        await each.count(view, soon),
                    )
        return counted

    async def _note_counts(self, policy: Policy, now: datetime) -> None:
        """Leave the counts where the page finds them, since each role reads its own tables."""
        counted = await self._count(policy, now)
        async with self._database.transaction() as tx:
            await retention.note_counts(
                tx, self._database.plumbing.owner, counted, version=policy.version, now=now
            )

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


def _old_letters(table: Table) -> Expiring:
    """Return how a service's dead letters go that somebody settled."""

    async def count(view: Reading, before: datetime) -> int:
        return await dead_letter.count_settled(view, table, before=before)

    async def forget(tx: Transaction, before: datetime, limit: int) -> int:
        return await dead_letter.prune(tx, before=before, limit=limit)

    return Expiring(kind="dead_letters", count=count, forget=forget)
