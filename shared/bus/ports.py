"""What the rest of the program knows of a bus, whichever one it is.

Semantics, held by ``tests/contracts/bus.py`` for every adapter: a published record is durable;
records of one topic and key are delivered in the order of their publication; a consumer group
gets every record at least once, from the last committed position on; two groups do not see
each other. Nothing is delivered exactly once: that is the inbox's work.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Final, Protocol

from shared.events.envelope import MAX_BYTES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

LOG_KEPT: Final = timedelta(days=30)
"""How long the log keeps a record, whichever bus it is."""


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


class RecordRefused(Exception):
    """The bus will never take this record: too large, or not to be written down at all.

    A missing topic or a missing right is not the record's fault: it is held and sent later.
    """


TOPIC_MISSING = "topic-missing"
"""The slug of a ``TryLater`` about a topic that nobody has created."""

MAX_KEY = 80


def refusal(record: Record) -> RecordRefused | None:
    """Say why no bus of ours takes this record, or None; both adapters ask here first."""
    if record.value is not None and len(record.value) > MAX_BYTES:
        return RecordRefused(f"the record is longer than {MAX_BYTES} bytes")
    if not 0 < len(record.key) <= MAX_KEY or not record.key.isprintable():
        return RecordRefused(f"the key is not 1 to {MAX_KEY} printable characters")
    return None


class Publisher(Protocol):
    """Appends records durably."""

    async def publish(self, records: Sequence[Record]) -> Sequence[Exception | None]:
        """Append records; return per record None (durable) or what went wrong.

        An error other than ``RecordRefused`` means unknown: it may or may not be in the log.
        Never raises for a bus that is away, and never takes longer than the adapter's own
        deadline. Records of one call may be appended in any order between keys; whoever needs
        the order of a key to survive a failure has one record of it on its way at a time.
        """
        ...

    async def close(self) -> None:
        """Let go of the connection within a few seconds, whatever the broker does."""
        ...


class Subscription(Protocol):
    """One member of a consumer group."""

    async def poll(self, *, most: int, wait: timedelta) -> Sequence[Received]:
        """Return up to ``most`` records after the position, waiting up to ``wait``.

        Raises ``TryLater`` when the bus does not answer or a topic is missing.
        """
        ...

    async def commit(self, records: Sequence[Received]) -> None:
        """Make the position durable behind these records: a whole poll, or its beginning.

        A lost partition is no error: its new owner reads the records again. Raises
        ``TryLater`` when the bus does not answer; committing the same records again is right.
        """
        ...

    async def rewind(self) -> None:
        """Forget what was polled and not committed, so that it is delivered again."""
        ...

    async def lag(self) -> int:
        """Return how many records lie behind the last commit; raise ``TryLater`` if unknown.

        Counts the part of the topics that this member reads.
        """
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
        """Join the consumer group ``group`` on these topics, from the earliest record on.

        Returns at once and connects with the first poll.
        """
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
