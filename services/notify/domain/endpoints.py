"""An endpoint that fails: when somebody is told of it, and when it is switched off.

Nothing is dropped with it: what is for an endpoint that was switched off by itself is held,
and goes out once somebody has switched it on and said from when.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from services.notify.domain.alerts import compact, rfc3339

if TYPE_CHECKING:
    from collections.abc import Mapping

WARN_AFTER: Final = timedelta(hours=24)
DISABLE_AFTER: Final = timedelta(hours=120)
FEWEST_FAILURES: Final = 10
"""An endpoint that is rarely called is not judged by one call."""

HELD_FOR: Final = timedelta(days=30)
"""For how long something new is still held for an endpoint that was switched off by itself."""

NO_SUCCESS: Final = "no_success"
RECEIVER_GONE: Final = "receiver_gone"
SWITCHED_OFF: Final = "switched_off"
BY_ITSELF: Final = (NO_SUCCESS, RECEIVER_GONE)
"""The reasons for which nobody of the staff switched it off."""

HELD: Final = "endpoint_disabled"
"""Why a delivery is held whose endpoint is off."""


class Trouble(StrEnum):
    """What is to be done about an endpoint that fails."""

    WARN = "warn"
    DISABLE = "disable"


@dataclass(frozen=True, kw_only=True)
class Health:
    """How an endpoint does: since when nothing got through, how often it failed since."""

    failing_since: datetime | None = None
    failures: int = 0
    warned_at: datetime | None = None


def trouble_of(health: Health, now: datetime) -> Trouble | None:
    """Say what an endpoint's health calls for now, or None."""
    if health.failing_since is None:
        return None
    lasting = now - health.failing_since
    if lasting >= DISABLE_AFTER and health.failures >= FEWEST_FAILURES:
        return Trouble.DISABLE
    if lasting >= WARN_AFTER and health.warned_at is None:
        return Trouble.WARN
    return None


ENDPOINT_MAIL_KINDS: Final[Mapping[str, str]] = {
    "webhook.failing": "webhook_failing",
    "webhook.disabled": "webhook_disabled",
}
"""What administrators get a mail about, and the mail's kind."""


@dataclass(frozen=True, kw_only=True)
class EndpointFacts:
    """What a mail about an endpoint says; of its URL the host alone, the rest may be secret."""

    webhook_id: str
    host: str
    reason: str
    failing_since: datetime | None
    disabled_at: datetime | None
    failures: int


def endpoint_link(webhook_id: str, *, public_url: str) -> str:
    """Return the address of an endpoint's page."""
    return f"{public_url}/settings/webhooks/{webhook_id}"


def endpoint_document(facts: EndpointFacts) -> bytes:
    """Return what a mail is made of later."""
    return compact(
        {
            name: rfc3339(value) if isinstance(value, datetime) else value
            for name, value in asdict(facts).items()
        }
    )


def endpoint_facts_from(document: bytes) -> EndpointFacts:
    """Read what ``endpoint_document`` wrote."""
    members = json.loads(document)
    for name in ("failing_since", "disabled_at"):
        if members[name] is not None:
            members[name] = datetime.fromisoformat(members[name])
    return EndpointFacts(**members)
