"""What a record from the bus is to a consumer: an event it wants, one it passes over, or junk.

Reading never fails: what nobody can read becomes an ``Undeliverable`` with a reason that holds
none of its content.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from shared.db import dead_letter
from shared.db.dead_letter import Undeliverable
from shared.errors import Malformed
from shared.events.envelope import Envelope, Event, decode, read
from shared.events.registry import EVENTS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from shared.bus.ports import Received


@dataclass(frozen=True, kw_only=True)
class Arrived:
    """One event as it came from the bus, to be handled once."""

    envelope: Envelope
    event: Event
    key: str


@dataclass(frozen=True, kw_only=True)
class Arrival:
    """A record of one poll: ``arrived``, or ``unusable``, or neither when it is not for us."""

    record: Received
    arrived: Arrived | None = None
    unusable: Undeliverable | None = None


def arrival(record: Received, kinds: Mapping[str, type[Event]]) -> Arrival:
    """Read one record for a consumer that handles these types."""
    envelope = None
    try:
        envelope = decode(record.value)
        if check(envelope) not in kinds:
            return Arrival(record=record)
        event = read(envelope, kinds[envelope.type])
    except Malformed as error:
        return Arrival(record=record, unusable=undeliverable(record, error, envelope, tries=1))
    return Arrival(
        record=record, arrived=Arrived(envelope=envelope, event=event, key=record.key)
    )


def check(envelope: Envelope) -> str:
    """Return the event's type; raise ``Malformed`` when no consumer here could handle it."""
    if not envelope.id.isprintable():
        raise Malformed("the event's id has characters that no id has")
    if envelope.type not in EVENTS:
        raise Malformed("the event's type is unknown here")
    return envelope.type


def undeliverable(
    record: Received, error: Exception, envelope: Envelope | None, *, tries: int
) -> Undeliverable:
    """Return a record as it is to be parked after that error."""
    said, digest = dead_letter.describe(error)
    return Undeliverable(
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        key=record.key,
        body=record.value,
        headers=record.headers,
        error=said,
        digest=digest,
        tries=tries,
        event_id=envelope.id if envelope else None,
        event_type=envelope.type if envelope else None,
    )
