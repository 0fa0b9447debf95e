"""What the rest of the program knows of a bus, whichever one it is.

Semantics, held by ``tests/contracts/bus.py`` for every adapter: a published record is durable;
records of one topic and key are delivered in the order of their publication; a consumer group
gets every record at least once, from the last committed position on; two groups do not see
each other. Nothing is delivered exactly once: that is the inbox's work.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import timedelta


@dataclass(frozen=True, kw_only=True)
class Record:
    """What is published: the key decides order, the value is the event's bytes."""

    topic: str
    key: str
    value: bytes | None
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Received(Record):
    """A record as it was read, with its origin."""

    partition: int
    offset: int

    @property
    def origin(self) -> str:
        """Return ``topic/partition/offset`` for logs."""
        return f"{self.topic}/{self.partition}/{self.offset}"


class RecordRefused(Exception):  # noqa: N818 - reads as what happened
    """The bus will never take this record (too large, not authorised, not encodable)."""


class Publisher(Protocol):
    """Appends records durably."""

    async def publish(self, records: Sequence[Record]) -> Sequence[Exception | None]:
        """Append records; return per record None (durable) or what went wrong.

        An error other than ``RecordRefused`` means unknown: it may or may not be in the log.
        Never takes longer than the adapter's own deadline.
        """
        ...

    async def close(self) -> None:
        """Let go of the connection within a few seconds, whatever the broker does."""
        ...


class Subscription(Protocol):
    """One member of a consumer group."""

    async def poll(self, *, most: int, wait: timedelta) -> Sequence[Received]:
        """Return up to ``most`` records after the position, waiting up to ``wait``."""
        ...

    async def commit(self, records: Sequence[Received]) -> None:
        """Make the position durable behind these records (a whole poll).

        A lost partition is no error: its new owner reads the records again.
        """
        ...

    async def rewind(self) -> None:
        """Forget what was polled and not committed, so that it is delivered again."""
        ...

    async def lag(self) -> int:
        """Return how many records wait behind the position; raise ``TryLater`` if unknown."""
        ...

    async def close(self) -> None:
        """Leave the group within a few seconds, whatever the broker does."""
        ...


class Bus(Protocol):
    """The way in and out."""

    async def publisher(self) -> Publisher:
        """Return a publisher."""
        ...

    async def subscribe(self, *, group: str, topics: Sequence[str]) -> Subscription:
        """Join the consumer group ``group`` on these topics, from the earliest record on."""
        ...

    async def create_topics(self, topics: Sequence[str]) -> None:
        """Create missing topics; existing ones stay as they are."""
        ...

    async def ping(self) -> None:
        """Raise ``TryLater`` unless the bus answers and every topic of ours exists."""
        ...

    async def close(self) -> None:
        """Let go of everything."""
        ...
