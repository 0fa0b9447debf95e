"""What ingest does with what it was given; the doors import from here."""

from __future__ import annotations

from services.ingest.handlers.announcing import ANNOUNCE_AGAIN_AFTER, announce, envelope_of
from services.ingest.handlers.commands import Ingest, Outcome, Recorded, RecordResponse
from services.ingest.handlers.counting import (
    AGAIN,
    Counted,
    count,
    count_many,
    count_recorded,
    count_refusal,
    refusal_reason,
)
from services.ingest.handlers.promises import key_digest, meanings, opened, sealed
from services.ingest.handlers.recording import record_many, record_responses
from services.ingest.handlers.sources import Namespaces, source_named

__all__ = [
    "AGAIN",
    "ANNOUNCE_AGAIN_AFTER",
    "Counted",
    "Ingest",
    "Namespaces",
    "Outcome",
    "RecordResponse",
    "Recorded",
    "announce",
    "count",
    "count_many",
    "count_recorded",
    "count_refusal",
    "envelope_of",
    "key_digest",
    "meanings",
    "opened",
    "record_many",
    "record_responses",
    "refusal_reason",
    "sealed",
    "source_named",
]
