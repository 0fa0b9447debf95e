"""Calls of the endpoints that asked for an event about no task."""

from __future__ import annotations

from collections.abc import Sequence

from services.notify.domain.alerts import is_wanted
from services.notify.domain.deliveries import Channel
from services.notify.store import Listener, NewDelivery


def posts(
    endpoints: Sequence[Listener],
    *,
    event_id: str,
    event_type: str,
    body: bytes,
    correlation_id: str | None,
) -> Sequence[NewDelivery]:
    """Return one delivery per endpoint that wants events of this type."""
    return [
        NewDelivery(
            event_id=event_id,
            event_type=event_type,
            channel=Channel.WEBHOOK,
            target=each.id,
            purpose="event",
            payload=body,
            correlation_id=correlation_id,
            withheld=each.withheld,
        )
        for each in endpoints
        if is_wanted(event_type, each.events)
    ]
