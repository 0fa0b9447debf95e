"""What is told about a source that fell silent, or delivers again."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from services.notify.domain.alerts import compact, rfc3339

if TYPE_CHECKING:
    from collections.abc import Mapping

SOURCE_MAIL_KINDS: Final[Mapping[str, str]] = {"source.silent": "source_silent"}
"""The events of a source that are worth a mail, and the mail's kind."""


@dataclass(frozen=True, kw_only=True)
class SourceFacts:
    """One event of a source; nothing of it is about a person."""

    event_id: str
    type: str
    happened_at: datetime
    source: str
    silent_since: datetime
    silent_after_hours: int | None = None
    last_response_at: datetime | None = None
    correlation_id: str | None = None


def source_link(source: str, *, public_url: str) -> str:
    """Return the address of a source's page."""
    return f"{public_url}/settings/sources/{quote(source, safe='')}"


def source_body(facts: SourceFacts, *, public_url: str) -> bytes:
    """Return the body of a webhook, compact, as it will be signed."""
    last = facts.last_response_at
    return compact(
        {
            "type": facts.type,
            "timestamp": rfc3339(facts.happened_at),
            "data": {
                "source": facts.source,
                "silent_since": rfc3339(facts.silent_since),
                "silent_after_hours": facts.silent_after_hours,
                "last_response_at": None if last is None else rfc3339(last),
                "links": {
                    "source": source_link(facts.source, public_url=public_url),
                    "api": f"{public_url}/v1/sources/{quote(facts.source, safe='')}",
                },
            },
        }
    )


def source_document(facts: SourceFacts) -> bytes:
    """Return what a mail is made of later."""
    last = facts.last_response_at
    return compact(
        {
            "event_id": facts.event_id,
            "type": facts.type,
            "happened_at": rfc3339(facts.happened_at),
            "source": facts.source,
            "silent_since": rfc3339(facts.silent_since),
            "silent_after_hours": facts.silent_after_hours,
            "last_response_at": None if last is None else rfc3339(last),
        }
    )


def source_facts_from(document: bytes) -> SourceFacts:
    """Read what ``source_document`` wrote."""
    members = json.loads(document)
    for name in ("happened_at", "silent_since", "last_response_at"):
        if members[name] is not None:
            members[name] = datetime.fromisoformat(members[name])
    return SourceFacts(**members)
