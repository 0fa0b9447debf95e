"""What every bus promises. The embedded one and Kafka are held to the same suite.

A test class of an adapter inherits ``BusContract`` and gives it a fixture ``bus``, whose topics
exist, and ``topic``, one of them that is empty.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import timedelta
from typing import Any

import pytest
import pytest_asyncio

from shared.bus.ports import (
    TOPIC_MISSING,
    Bus,
    Publisher,
    Received,
    Record,
    RecordRefused,
    Subscription,
)
from shared.clock import SystemClock
from shared.errors import TryLater
from shared.events.envelope import MAX_BYTES

NOW = timedelta(0)
SOON = timedelta(milliseconds=250)
PATIENCE = 30.0
HEADERS = {"ce_id": "evt_1", "ce_type": "response.received.v1", "city": "Zürich ☂"}


async def collect(subscription: Subscription, count: int, *, most: int = 500) -> list[Received]:
    """Poll until so many records came, without committing."""
    received: list[Received] = []
    async with asyncio.timeout(PATIENCE):
        while len(received) < count:
            received += await subscription.poll(most=most, wait=SOON)
    return received


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    """Wait until something is so; fail when it never is."""
    async with asyncio.timeout(PATIENCE):
        while not await condition():  # noqa: ASYNC110 - it happens in another process
            await asyncio.sleep(0.05)


def values(records: Sequence[Record]) -> list[bytes | None]:
    return [record.value for record in records]


class BusContract:
    """Durable, in order per key, at least once, group by group."""

    @pytest_asyncio.fixture
    async def publisher(self, bus: Bus) -> AsyncIterator[Publisher]:
        made = await bus.publisher()
        yield made
        await made.close()

    @pytest.fixture
    def group(self, unique: str) -> str:
        return f"group-{unique}"

    @staticmethod
    def records(topic: str, count: int, *, key: str | None = None) -> list[Record]:
        return [
            Record(topic=topic, key=key or f"per_{n}", value=f"value {n}".encode())
            for n in range(count)
        ]

    async def test_what_was_published_before_anybody_listened_is_delivered(
        self, bus: Bus, publisher: Publisher, topic: str, group: str
    ) -> None:
        assert await publisher.publish(self.records(topic, 50)) == [None] * 50

        received = await collect(await bus.subscribe(group=group, topics=[topic]), 50)

        assert set(values(received)) == set(values(self.records(topic, 50)))
        assert len(received) == 50

    async def test_records_of_one_key_keep_their_order(
        self, bus: Bus, publisher: Publisher, topic: str, group: str
    ) -> None:
        sent = [
            Record(topic=topic, key=f"per_{n % 7}", value=str(n).encode()) for n in range(300)
        ]
        for start in range(0, 300, 60):
            await publisher.publish(sent[start : start + 60])

        received = await collect(await bus.subscribe(group=group, topics=[topic]), 300, most=40)

        for person in range(7):
            mine = [int(r.value or b"") for r in received if r.key == f"per_{person}"]
            assert mine == list(range(person, 300, 7))

    async def test_a_record_comes_with_its_key_headers_and_origin(
        self, bus: Bus, publisher: Publisher, topic: str, group: str
    ) -> None:
        await publisher.publish(
            [Record(topic=topic, key="per_ä", value=b"\x00\xff", headers=HEADERS)]
        )

        (received,) = await collect(await bus.subscribe(group=group, topics=[topic]), 1)

        assert received.key == "per_ä"
        assert received.value == b"\x00\xff"
        assert received.headers == HEADERS
        assert received.origin == f"{topic}/{received.partition}/{received.offset}"

    async def test_a_record_without_a_value_is_a_record(
        self, bus: Bus, publisher: Publisher, topic: str, group: str
    ) -> None:
        assert await publisher.publish([Record(topic=topic, key="per_1", value=None)]) == [None]

        (received,) = await collect(await bus.subscribe(group=group, topics=[topic]), 1)

        assert received.value is None

    async def test_what_was_not_committed_is_delivered_again_after_a_restart(
        self, bus: Bus, publisher: Publisher, topic: str, group: str
    ) -> None:
        await publisher.publish(self.records(topic, 10, key="per_1"))
        first = await bus.subscribe(group=group, topics=[topic])
        begun = await collect(first, 4, most=4)
        await first.commit(begun[:4])
        await collect(first, 10 - len(begun))
        await first.close()

        second = await bus.subscribe(group=group, topics=[topic])
        again = await collect(second, 6)

        assert values(again) == [f"value {n}".encode() for n in range(4, 10)]

    async def test_what_was_committed_is_not_delivered_again(
        self, bus: Bus, publisher: Publisher, topic: str, group: str
    ) -> None:
        await publisher.publish(self.records(topic, 5))
        first = await bus.subscribe(group=group, topics=[topic])
        await first.commit(await collect(first, 5))
        await first.close()
        await publisher.publish([Record(topic=topic, key="per_9", value=b"new")])

        second = await bus.subscribe(group=group, topics=[topic])

        assert values(await collect(second, 1)) == [b"new"]

    async def test_a_rewind_delivers_again_from_the_last_commit_on(
        self, bus: Bus, publisher: Publisher, topic: str, group: str
    ) -> None:
        await publisher.publish(self.records(topic, 6, key="per_1"))
        subscription = await bus.subscribe(group=group, topics=[topic])
        received = await collect(subscription, 6, most=3)
        await subscription.commit(received[:2])

        await subscription.rewind()

        again = await collect(subscription, 4)
        assert values(again) == [f"value {n}".encode() for n in range(2, 6)]

    async def test_a_rewind_before_any_commit_delivers_everything_again(
        self, bus: Bus, publisher: Publisher, topic: str, group: str
    ) -> None:
        await publisher.publish(self.records(topic, 8))
        subscription = await bus.subscribe(group=group, topics=[topic])
        received = await collect(subscription, 8)

        await subscription.rewind()

        again = await collect(subscription, 8)
        assert sorted(r.origin for r in again) == sorted(r.origin for r in received)

    async def test_two_groups_do_not_see_each_other(
        self, bus: Bus, publisher: Publisher, topic: str, group: str
    ) -> None:
        await publisher.publish(self.records(topic, 3))
        mine = await bus.subscribe(group=group, topics=[topic])
        theirs = await bus.subscribe(group=f"{group}-other", topics=[topic])
        await mine.commit(await collect(mine, 3))

        assert len(await collect(theirs, 3)) == 3
        assert await mine.poll(most=10, wait=NOW) == []

    async def test_a_waiting_poll_returns_when_a_record_is_published(
        self, bus: Bus, publisher: Publisher, topic: str, group: str
    ) -> None:
        subscription = await bus.subscribe(group=group, topics=[topic])
        await subscription.poll(most=1, wait=NOW)

        async with asyncio.TaskGroup() as tasks:
            waiting = tasks.create_task(
                subscription.poll(most=10, wait=timedelta(seconds=PATIENCE))
            )
            await asyncio.sleep(0)
            await publisher.publish(self.records(topic, 1))

        assert values(await waiting) == [b"value 0"]

    async def test_a_poll_without_news_returns_in_time(
        self, bus: Bus, topic: str, group: str
    ) -> None:
        subscription = await bus.subscribe(group=group, topics=[topic])
        async with asyncio.timeout(PATIENCE):
            assert await subscription.poll(most=10, wait=NOW) == []
            assert await subscription.poll(most=10, wait=SOON) == []

    async def test_the_lag_counts_what_is_not_committed(
        self, bus: Bus, publisher: Publisher, topic: str, group: str
    ) -> None:
        await publisher.publish(self.records(topic, 9, key="per_1"))
        subscription = await bus.subscribe(group=group, topics=[topic])

        before = await subscription.lag()
        received = await collect(subscription, 9)
        polled = await subscription.lag()
        await subscription.commit(received[:6])
        halfway = await subscription.lag()
        await subscription.commit(received)

        assert (before, polled, halfway, await subscription.lag()) == (9, 9, 3, 0)

    async def test_committing_the_same_records_twice_is_harmless(
        self, bus: Bus, publisher: Publisher, topic: str, group: str
    ) -> None:
        await publisher.publish(self.records(topic, 2))
        subscription = await bus.subscribe(group=group, topics=[topic])
        received = await collect(subscription, 2)

        await subscription.commit(received)
        await subscription.commit(received)
        await subscription.commit([])

        assert await subscription.lag() == 0

    async def test_a_group_reads_several_topics(
        self, bus: Bus, publisher: Publisher, topic: str, other_topic: str, group: str
    ) -> None:
        await publisher.publish([*self.records(topic, 4), *self.records(other_topic, 4)])

        subscription = await bus.subscribe(group=group, topics=[topic, other_topic])
        received = await collect(subscription, 8, most=3)
        await subscription.commit(received)

        assert {r.topic for r in received} == {topic, other_topic}
        assert await subscription.lag() == 0

    @pytest.mark.parametrize(
        "unfit",
        [
            {"value": b"x" * (MAX_BYTES + 1)},
            {"key": ""},
            {"key": "k" * 81},
            {"key": "nul\x00"},
            {"key": "half \ud83d"},
        ],
        ids=["oversize", "no key", "long key", "nul", "surrogate"],
    )
    async def test_an_unfit_record_is_refused_and_its_neighbours_are_not(
        self, bus: Bus, publisher: Publisher, topic: str, group: str, unfit: dict[str, Any]
    ) -> None:
        good = self.records(topic, 2)
        bad = Record(**{"topic": topic, "key": "per_1", "value": b"bad", **unfit})

        first, refused, last = await publisher.publish([good[0], bad, good[1]])

        assert (first, last) == (None, None)
        assert isinstance(refused, RecordRefused)
        subscription = await bus.subscribe(group=group, topics=[topic])
        assert set(values(await collect(subscription, 2))) == set(values(good))

    async def test_the_largest_record_arrives(
        self, bus: Bus, publisher: Publisher, topic: str, group: str
    ) -> None:
        large = Record(topic=topic, key="per_1", value=b"x" * MAX_BYTES)

        assert await publisher.publish([large, large]) == [None, None]

        subscription = await bus.subscribe(group=group, topics=[topic])
        assert values(await collect(subscription, 2)) == [large.value] * 2

    async def test_a_record_for_a_missing_topic_is_neither_lost_nor_refused(
        self, publisher: Publisher, topic: str, unique: str
    ) -> None:
        """Its topic is created by the operator; until then the outbox keeps it."""
        stray = Record(topic=f"missing-{unique}", key="per_1", value=b"1")

        fine, held = await publisher.publish([*self.records(topic, 1), stray])

        assert fine is None
        assert isinstance(held, TryLater)
        assert held.slug == TOPIC_MISSING

    async def test_reading_a_missing_topic_says_so(
        self, bus: Bus, unique: str, group: str
    ) -> None:
        subscription = await bus.subscribe(group=group, topics=[f"missing-{unique}"])
        with pytest.raises(TryLater) as caught:
            await subscription.poll(most=1, wait=NOW)
        assert caught.value.slug == TOPIC_MISSING

    async def test_topics_are_created_once(
        self, bus: Bus, publisher: Publisher, unique: str, group: str
    ) -> None:
        topic = f"fresh-{unique}"
        await bus.create_topics([topic])
        await publisher.publish(self.records(topic, 1))
        await bus.create_topics([topic, topic])

        subscription = await bus.subscribe(group=group, topics=[topic])
        assert len(await collect(subscription, 1)) == 1

    async def test_the_bus_answers_when_its_topics_exist(self, bus: Bus) -> None:
        await bus.ping()

    async def test_the_bus_says_when_a_topic_of_ours_is_missing(
        self, bus_missing_a_topic: Bus
    ) -> None:
        with pytest.raises(TryLater) as caught:
            await bus_missing_a_topic.ping()
        assert caught.value.slug == TOPIC_MISSING

    async def test_closing_is_quick_and_may_happen_twice(
        self, bus: Bus, publisher: Publisher, topic: str, group: str
    ) -> None:
        await publisher.publish(self.records(topic, 1))
        subscription = await bus.subscribe(group=group, topics=[topic])
        await subscription.poll(most=1, wait=SOON)

        started = SystemClock().monotonic()
        for _ in range(2):
            await subscription.close()
            await publisher.close()
            await bus.close()

        assert SystemClock().monotonic() - started < 10
