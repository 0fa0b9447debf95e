"""Telling the others: the event of a response as it stands."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from services.ingest.domain.merging import measurement_of
from services.ingest.domain.sources import is_test
from shared.events.envelope import Envelope, wrap
from shared.events.ingest import ResponseReceived, ResponseRevised

if TYPE_CHECKING:
    from services.ingest.store import StoredResponse
    from shared.db.transaction import Transaction

ANNOUNCE_AGAIN_AFTER: Final = timedelta(minutes=15)
"""So long an announcement may go unanswered by the loop."""


def announce(
    tx: Transaction, envelope: Envelope, response: StoredResponse, *, at: datetime
) -> None:
    """Publish a response's event under its own id; the person is the key that orders."""
    tx.announce_again(envelope, topic=ResponseReceived.TOPIC, key=response.person_ref, at=at)


def envelope_of(
    response: StoredResponse, *, first: bool, correlation_id: str | None = None
) -> Envelope:
    """Return the announcement of a response as it stands, under its own event id."""
    clear = response.clear
    kind = ResponseReceived if first else ResponseRevised
    event = kind(
        response_id=response.id,
        revision=response.announced,
        source=response.source,
        **{
            "measurement": measurement_of(clear),
            "metric": "nps",
            "score": None,
            **clear,
        },
        answered_at=response.answered_at,
        received_at=response.received_at,
        as_new=response.as_new,
        test=is_test(response.source),
        import_id=response.import_id,
        person_ref=response.person_ref,
        has_comment=response.has_comment,
        person=response.sealed_person,
    )
    return wrap(
        event,
        event_id=response.event_id,
        at=response.announced_at,
        correlation_id=correlation_id,
    )
