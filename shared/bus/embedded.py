"""The bus without a broker: a durable log in the same database, with Kafka's semantics.

Offsets are handed out under the lock of the topic's head row, in the transaction that appends,
so that offset order is commit order on PostgreSQL too. A topic is one partition. It serves one
process: a publish wakes the waiting polls at once, and a group has one member.
"""

from __future__ import annotations

import asyncio
from contextlib import contextmanager, suppress
from itertools import groupby
from operator import attrgetter
from typing import TYPE_CHECKING

from sqlalchemy import delete, func, insert, literal, select, update

from shared.bus.ports import TOPIC_MISSING, Received, refusal
from shared.db.plumbing import log, log_heads, log_positions
from shared.errors import TryLater
from shared.events import topics as our_topics
from shared.logs import get_logger

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime, timedelta

    from shared.bus.ports import Record
    from shared.clock import Clock
    from shared.db.transaction import Database, Reading

PUBLISH_WITHIN = 10.0

_log = get_logger(__name__)


def _missing(topic: str) -> TryLater:
    return TryLater(
        f"the topic {topic} does not exist; `closed-loop migrate` creates it",
        slug=TOPIC_MISSING,
    )


class EmbeddedBus:
    """Publishes to and reads from the tables ``shared_log*`` of ``database``."""

    def __init__(
        self, database: Database, clock: Clock, *, topics: Sequence[str] = our_topics.ALL
    ) -> None:
        self._database = database
        self._clock = clock
        self._topics = tuple(topics)
        self._waiting: set[asyncio.Event] = set()

    async def publisher(self) -> EmbeddedPublisher:
        """Return a publisher."""
        return EmbeddedPublisher(self, self._database, self._clock)

    async def subscribe(self, *, group: str, topics: Sequence[str]) -> EmbeddedSubscription:
        """Read as ``group`` on these topics, from the earliest record on."""
        return EmbeddedSubscription(self, self._database, group, topics)

    async def create_topics(self, topics: Sequence[str]) -> None:
        """Create missing topics; existing ones stay as they are."""
        async with self._database.transaction() as tx:
            await tx.execute(
                tx.insert(log_heads).on_conflict_do_nothing(),
                [{"topic": topic, "next_offset": 0} for topic in topics],
            )

    async def ping(self) -> None:
        """Raise ``TryLater`` unless the database answers and every topic of ours exists."""
        async with self._database.reading() as view:
            there = {row.topic for row in await view.all(select(log_heads.c.topic))}
        for topic in self._topics:
            if topic not in there:
                raise _missing(topic)

    async def forget(self, *, before: datetime, most: int = 5_000) -> int:
        """Delete records appended before that moment which every group has read.

        Deletes at most ``most`` of each topic and returns how many; call again while there
        are any. A group that is gone for good but keeps its position holds the log back.
        """
        forgotten = 0
        async with self._database.reading() as view:
            heads = await view.all(select(log_heads))
            bounds = [
                (head.topic, await _forgettable(view, head.topic, head.next_offset, before))
                for head in heads
            ]
            oldest = {
                topic: await view.scalar(
                    select(func.min(log.c.offset)).where(log.c.topic == topic)
                )
                for topic, _ in bounds
            }
        for topic, bound in bounds:
            if oldest[topic] is None or bound <= oldest[topic]:
                continue
            async with self._database.transaction() as tx:
                result = await tx.execute(
                    delete(log).where(
                        log.c.topic == topic, log.c.offset < min(bound, oldest[topic] + most)
                    )
                )
                forgotten += result.rowcount
        return forgotten

    async def close(self) -> None:
        """Let waiting polls return."""
        self.wake()

    def wake(self) -> None:
        """Let every waiting poll look again."""
        for event in self._waiting:
            event.set()

    @contextmanager
    def listening(self) -> Iterator[asyncio.Event]:
        """Hand out an event that every publish of this process sets."""
        event = asyncio.Event()
        self._waiting.add(event)
        try:
            yield event
        finally:
            self._waiting.discard(event)


async def _forgettable(view: Reading, topic: str, head: int, before: datetime) -> int:
    """Return the first offset of this topic that must stay."""
    # Walks from the oldest record to the first young one along the primary key: what it passes
    # is about to be deleted.
    young = await view.scalar(
        select(log.c.offset)
        .where(log.c.topic == topic, log.c.appended_at >= before)
        .order_by(log.c.offset)
        .limit(1)
    )
    slowest = await view.scalar(
        select(func.min(log_positions.c.next_offset)).where(log_positions.c.topic == topic)
    )
    return min(x for x in (young, slowest, head) if x is not None)


class EmbeddedPublisher:
    """Appends to the log, one transaction a call."""

    def __init__(self, bus: EmbeddedBus, database: Database, clock: Clock) -> None:
        self._bus = bus
        self._database = database
        self._clock = clock

    async def publish(self, records: Sequence[Record]) -> Sequence[Exception | None]:
        """Append records; return per record None (durable) or what went wrong."""
        results: list[Exception | None] = [refusal(record) for record in records]
        fit = [n for n, result in enumerate(results) if result is None]
        # Heads are locked in the order of their names, so that two publishers never wait for
        # each other in a circle.
        by_topic = sorted(fit, key=lambda n: records[n].topic)
        try:
            async with asyncio.timeout(PUBLISH_WITHIN):
                missing = await self._append([records[n] for n in by_topic])
        except TimeoutError:
            slow = TryLater("the log did not answer in time", slug="bus-unavailable")
            for n in fit:
                results[n] = slow
        except TryLater as error:
            for n in fit:
                results[n] = error
        else:
            for n in fit:
                if records[n].topic in missing:
                    results[n] = _missing(records[n].topic)
            for topic in sorted(missing):
                _log.error("bus.topic_missing", topic=topic)
            self._bus.wake()
        return results

    async def _append(self, records: Sequence[Record]) -> set[str]:
        """Append records, sorted by topic, and return the topics that do not exist."""
        missing: set[str] = set()
        now = self._clock.now()
        async with self._database.transaction() as tx:
            for topic, some in groupby(records, key=attrgetter("topic")):
                batch = list(some)
                after = await tx.scalar(
                    update(log_heads)
                    .where(log_heads.c.topic == topic)
                    .values(next_offset=log_heads.c.next_offset + len(batch))
                    .returning(log_heads.c.next_offset)
                )
                if after is None:
                    missing.add(topic)
                    continue
                await tx.execute(
                    insert(log),
                    [
                        {
                            "topic": topic,
                            "offset": offset,
                            "key": record.key,
                            "body": record.value,
                            "headers": dict(record.headers),
                            "appended_at": now,
                        }
                        for offset, record in enumerate(batch, start=after - len(batch))
                    ],
                )
        return missing

    async def close(self) -> None:
        """Hold nothing, so let go of nothing."""


class EmbeddedSubscription:
    """The one member of a group; its position is a row per topic."""

    def __init__(
        self, bus: EmbeddedBus, database: Database, group: str, topics: Sequence[str]
    ) -> None:
        self._bus = bus
        self._database = database
        self._group = group
        self._topics = list(topics)
        self._next: dict[str, int] | None = None
        self._closed = False

    async def poll(self, *, most: int, wait: timedelta) -> Sequence[Received]:
        """Return up to ``most`` records after the position, waiting up to ``wait``."""
        # Listen before looking: what is published in between must wake this very poll.
        with self._bus.listening() as published:
            received = await self._read(most)
            if not received and wait and not self._closed:
                with suppress(TimeoutError):
                    async with asyncio.timeout(wait.total_seconds()):
                        await published.wait()
                received = await self._read(most)
            return received

    async def _read(self, most: int) -> Sequence[Received]:
        following = self._next if self._next is not None else await self._positions()
        self._next = following
        received: list[Received] = []
        async with self._database.reading() as view:
            for topic in self._topics:
                rows = await view.all(
                    select(log.c.offset, log.c.key, log.c.body, log.c.headers)
                    .where(log.c.topic == topic, log.c.offset >= following[topic])
                    .order_by(log.c.offset)
                    .limit(most - len(received))
                )
                received += [
                    Received(
                        topic=topic,
                        key=row.key,
                        value=row.body,
                        headers=row.headers,
                        partition=0,
                        offset=row.offset,
                    )
                    for row in rows
                ]
                if len(received) >= most:
                    break
        for record in received:
            following[record.topic] = record.offset + 1
        # The topic that filled this poll waits its turn in the next one.
        self._topics.append(self._topics.pop(0))
        return received

    async def _positions(self) -> dict[str, int]:
        """Return the committed positions; a new group gets the earliest ones."""
        async with self._database.reading() as view:
            there = {row.topic for row in await view.all(select(log_heads.c.topic))}
            for topic in self._topics:
                if topic not in there:
                    _log.error("bus.topic_missing", topic=topic)
                    raise _missing(topic)
            known = await self._committed(view)
        fresh = [topic for topic in self._topics if topic not in known]
        if fresh:
            # From now on ``forget`` waits for this group.
            async with self._database.transaction() as tx:
                for topic in fresh:
                    earliest = select(
                        literal(self._group),
                        log_heads.c.topic,
                        func.coalesce(
                            select(func.min(log.c.offset))
                            .where(log.c.topic == topic)
                            .scalar_subquery(),
                            log_heads.c.next_offset,
                        ),
                    ).where(log_heads.c.topic == topic)
                    await tx.execute(
                        tx.insert(log_positions)
                        .from_select(["consumer", "topic", "next_offset"], earliest)
                        .on_conflict_do_nothing()
                    )
                known = await self._committed(tx)
        return known

    async def _committed(self, view: Reading) -> dict[str, int]:
        rows = await view.all(
            select(log_positions.c.topic, log_positions.c.next_offset).where(
                log_positions.c.consumer == self._group,
                log_positions.c.topic.in_(self._topics),
            )
        )
        return {row.topic: row.next_offset for row in rows}

    async def commit(self, records: Sequence[Received]) -> None:
        """Make the position durable behind these records; it never moves back."""
        behind: dict[str, int] = {}
        for record in records:
            behind[record.topic] = max(behind.get(record.topic, 0), record.offset + 1)
        if not behind:
            return
        async with self._database.transaction() as tx:
            for topic, offset in sorted(behind.items()):
                await tx.execute(
                    update(log_positions)
                    .where(
                        log_positions.c.consumer == self._group,
                        log_positions.c.topic == topic,
                        log_positions.c.next_offset < offset,
                    )
                    .values(next_offset=offset)
                )

    async def rewind(self) -> None:
        """Read again from the last commit on."""
        self._next = None

    async def lag(self) -> int:
        """Return how many records lie behind the last commit."""
        async with self._database.reading() as view:
            committed = await self._committed(view)
            heads = await view.all(
                select(
                    log_heads.c.topic,
                    log_heads.c.next_offset,
                    select(func.min(log.c.offset))
                    .where(log.c.topic == log_heads.c.topic)
                    .scalar_subquery()
                    .label("earliest"),
                ).where(log_heads.c.topic.in_(self._topics))
            )
        return sum(
            head.next_offset
            - max(
                committed.get(head.topic, 0),
                head.next_offset if head.earliest is None else head.earliest,
            )
            for head in heads
        )

    async def close(self) -> None:
        """Let a waiting poll return."""
        self._closed = True
        self._bus.wake()
