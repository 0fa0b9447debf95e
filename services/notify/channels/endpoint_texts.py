"""The words of a mail about an endpoint that fails, or was switched off."""

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
from services.notify.domain.endpoints import (
    DISABLE_AFTER,
    HELD_FOR,
    RECEIVER_GONE,
    EndpointFacts,
    endpoint_link,
)
from services.notify.domain.mail import header_safe
from shared.i18n import SOURCE, Reader, supported


@dataclass(frozen=True, kw_only=True)
class _Values:
    """Everything that the templates may name."""

    language: str
    host: str
    since: str
    since_in_full: str
    failures: int
    is_gone: bool
    ends: str
    days: int
    link: str


def render_endpoint(
    kind: str,
    facts: EndpointFacts,
    *,
    language: str,
    time_zone: str,
    public_url: str,
    now: datetime,
    in_place_of: str | None = None,
) -> Rendered:
    """Return a mail about an endpoint."""
    reader = Reader(language=supported(language) or SOURCE, time_zone=time_zone)
    since = facts.failing_since or facts.disabled_at or now
    values = _Values(
        language=reader.catalogue,
        host=header_safe(facts.host, longest=LONGEST_NAME),
        since=shortly(reader, since, now),
        since_in_full=in_full(reader, since),
        failures=facts.failures,
        is_gone=facts.reason == RECEIVER_GONE,
        ends=in_full(reader, since + DISABLE_AFTER),
        days=HELD_FOR.days,
        link=endpoint_link(facts.webhook_id, public_url=public_url),
    )
    return rendered(kind, asdict(values), language=reader.catalogue, in_place_of=in_place_of)
