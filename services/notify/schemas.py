"""The shapes of notify on the wire: what may be posted, and what is answered."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Final, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from services.notify.domain.alerts import EVENT_TYPES, pattern_problem, rfc3339
from services.notify.domain.deliveries import Channel
from services.notify.store import Attempt, Delivery, Suppression, Webhook
from shared.errors import Finding, Invalid

Url = Annotated[str, Field(min_length=1, max_length=2_048)]
Pattern = Annotated[str, Field(min_length=1, max_length=80)]
Patterns = Annotated[list[Pattern], Field(min_length=1, max_length=20)]

_FIRST: Final = datetime(2000, 1, 1, tzinfo=UTC)


class WebhookIn(BaseModel):
    """A new endpoint."""

    model_config = ConfigDict(extra="forbid", strict=True)

    url: Url = Field(examples=["https://crm.example.com/hooks/closed-loop"])
    events: Patterns = Field(
        default=["task.*"],
        description="exact types such as task.opened, a prefix such as task.*, or * for all",
    )
    detail: Literal["thin", "full"] = Field(
        default="thin",
        description="full adds the customer and the comment; the choice is audited",
    )


class WebhookChange(BaseModel):
    """What to change of an endpoint; members left out stay as they are."""

    model_config = ConfigDict(extra="forbid", strict=True)

    url: Url | None = None
    events: Patterns | None = None
    detail: Literal["thin", "full"] | None = None
    state: Literal["enabled", "disabled"] | None = Field(
        default=None, description="disabled holds what waits; recover sends it later"
    )


class RotateIn(BaseModel):
    """How long the former secrets go on signing."""

    model_config = ConfigDict(extra="forbid", strict=True)

    overlap_hours: Annotated[int, Field(ge=0, le=168)] = 24


class RecoverIn(BaseModel):
    """From when on deliveries are to be sent that were held or failed."""

    model_config = ConfigDict(extra="forbid", strict=True)

    since: Annotated[
        AwareDatetime,
        Field(strict=False, ge=_FIRST, description="deliveries made at this moment or later"),
    ]
    skip: bool = Field(default=False, description="give up what is held instead of sending it")


def checked_patterns(patterns: Sequence[str]) -> tuple[str, ...]:
    """Return the patterns without repetition; raise ``Invalid`` for one that never matches."""
    findings = [
        Finding(
            pointer=f"/events/{place}",
            code=problem,
            detail="no event of this installation has such a type",
            fix=f"send * for all, task.*, or one of {', '.join(EVENT_TYPES)}",
        )
        for place, pattern in enumerate(patterns)
        if (problem := pattern_problem(pattern))
    ]
    if findings:
        raise Invalid("Some events are not known.", findings)
    return tuple(dict.fromkeys(patterns))


def webhook_out(webhook: Webhook, *, secret: str | None = None) -> dict[str, Any]:
    """Return an endpoint as it is shown; ``secret`` only right after it was made."""
    shown: dict[str, Any] = {
        "id": webhook.id,
        "url": webhook.url,
        "events": list(webhook.events),
        "detail": webhook.detail,
        "state": "enabled" if webhook.is_enabled else "disabled",
        "disabled_reason": webhook.disabled_reason,
        "disabled_at": _moment(webhook.disabled_at),
        "failing_since": _moment(webhook.health.failing_since),
        "created_at": rfc3339(webhook.created_at),
        "changed_at": rfc3339(webhook.changed_at),
    }
    return shown if secret is None else {**shown, "secret": secret}


def delivery_out(one: Delivery, attempts: Sequence[Attempt] | None = None) -> dict[str, Any]:
    """Return a delivery as it is shown; with its attempts and its body where asked for."""
    is_webhook = one.channel is Channel.WEBHOOK
    shown: dict[str, Any] = {
        "id": one.id,
        "state": one.state.value,
        "reason": one.reason,
        "channel": one.channel.value,
        "webhook": one.target if is_webhook else None,
        "recipient": None if is_webhook else one.target,
        "instead_of": one.instead_of,
        "purpose": one.purpose,
        "event_id": one.event_id,
        "event_type": one.event_type,
        "task_id": one.task_id,
        "import_id": one.import_id,
        "attempt_count": one.attempts,
        "possible_duplicate": one.in_doubt,
        "created_at": rfc3339(one.created_at),
        "next_attempt_at": _moment(one.next_attempt_at),
        "settled_at": _moment(one.settled_at),
    }
    if attempts is None:
        return shown
    return {
        **shown,
        # As stored, without personal members; "full" endpoints get those added on the way.
        "body": json.loads(one.payload) if is_webhook else None,
        "attempts": [attempt_out(attempt) for attempt in attempts],
    }


def suppression_out(one: Suppression) -> dict[str, Any]:
    """Return a mailbox that nothing is sent to."""
    return {
        "id": one.id,
        "address": one.address,
        "reason": one.reason,
        "code": one.code,
        "delivery_id": one.delivery_id,
        "created_at": rfc3339(one.created_at),
    }


def attempt_out(attempt: Attempt) -> dict[str, Any]:
    """Return one try as it is shown."""
    return {
        "n": attempt.n,
        "started_at": rfc3339(attempt.started_at),
        "milliseconds": attempt.milliseconds,
        "result": attempt.result,
        "reason": attempt.reason,
        "code": attempt.code,
        "reply": attempt.reply,
    }


def _moment(moment: datetime | None) -> str | None:
    return rfc3339(moment) if moment else None
