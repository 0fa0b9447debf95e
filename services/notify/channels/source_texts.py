"""The words of a mail about a source that fell silent."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime

from services.notify.channels.texts import (
    LONGEST_NAME,
    Rendered,
    in_full,
    rendered,
    shortly,
)
from services.notify.domain.mail import header_safe
from services.notify.domain.sources import SourceFacts, source_link
from shared.i18n import SOURCE, Reader, supported


@dataclass(frozen=True, kw_only=True)
class _Values:
    """Everything that the templates may name."""

    language: str
    source: str
    hours: int
    since: str
    since_in_full: str
    has_delivered: bool
    link: str


def render_source(
    kind: str,
    facts: SourceFacts,
    *,
    language: str,
    time_zone: str,
    public_url: str,
    now: datetime,
    in_place_of: str | None = None,
) -> Rendered:
    """Return a mail about a source."""
    reader = Reader(language=supported(language) or SOURCE, time_zone=time_zone)
    values = _Values(
        language=reader.catalogue,
        source=header_safe(facts.source, longest=LONGEST_NAME),
        hours=facts.silent_after_hours or 0,
        since=shortly(reader, facts.silent_since, now),
        since_in_full=in_full(reader, facts.silent_since),
        has_delivered=facts.last_response_at is not None,
        link=source_link(facts.source, public_url=public_url),
    )
    return rendered(kind, asdict(values), language=reader.catalogue, in_place_of=in_place_of)
