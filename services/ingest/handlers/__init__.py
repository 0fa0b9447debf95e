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
from services.ingest.handlers.sealing import external_ids_of, seal_earlier
from services.ingest.handlers.silence import has_news, notice_silence
from services.ingest.handlers.sources import (
    Namespaces,
    SourceChange,
    add_secret,
    change_source,
    drop_secret,
    mapping_of,
    open_payload,
    source_named,
)
from services.ingest.handlers.standing import (
    Figures,
    Standing,
    list_standing,
    source_names,
    standing_of,
)
from services.ingest.handlers.trying import try_many

__all__ = [
    "AGAIN",
    "ANNOUNCE_AGAIN_AFTER",
    "Counted",
    "Figures",
    "Ingest",
    "Namespaces",
    "Outcome",
    "RecordResponse",
    "Recorded",
    "SourceChange",
    "Standing",
    "add_secret",
    "announce",
    "change_source",
    "count",
    "count_many",
    "count_recorded",
    "count_refusal",
    "drop_secret",
    "envelope_of",
    "external_ids_of",
    "has_news",
    "key_digest",
    "list_standing",
    "mapping_of",
    "meanings",
    "notice_silence",
    "open_payload",
    "opened",
    "record_many",
    "record_responses",
    "refusal_reason",
    "seal_earlier",
    "sealed",
    "source_named",
    "source_names",
    "standing_of",
    "try_many",
]
