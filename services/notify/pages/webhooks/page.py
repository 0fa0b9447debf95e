"""What the pages of webhooks show: the names that their templates may use."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from services.notify.store import Attempt, Tally
from shared.web.forms import Form, Option


@dataclass(frozen=True, kw_only=True)
class WebhookLine:
    """One endpoint, as it is listed."""

    id: str
    href: str
    name: str
    """Its URL for those who may set it up, else its host: a path may be a secret."""
    events: Sequence[str]
    full: bool
    is_enabled: bool
    disabled_at: datetime | None
    disabled_because: str
    by_itself: bool
    """Whether nobody of the staff switched it off."""
    failing_since: datetime | None
    share: float | None
    tally: Tally


@dataclass(frozen=True, kw_only=True)
class WebhooksPage:
    """What the list of webhooks shows."""

    done: str
    lines: Sequence[WebhookLine]
    troubled: Sequence[WebhookLine]
    newer: str | None
    older: str | None
    may_write: bool
    form: Form
    events: Sequence[Option]
    details: Sequence[Option]


@dataclass(frozen=True, kw_only=True)
class SecretLine:
    """One signing secret, never its value."""

    until: datetime | None


@dataclass(frozen=True, kw_only=True)
class DeliveryLine:
    """One delivery, as it is listed."""

    id: str
    href: str
    event: str
    event_type: str
    state: str
    look: str
    why: str
    attempts: int
    created_at: datetime
    next_attempt_at: datetime | None
    in_doubt: bool


@dataclass(frozen=True, kw_only=True)
class WebhookPage:
    """What the page of one webhook shows."""

    now: datetime
    done: str
    webhook: WebhookLine
    secrets: Sequence[SecretLine]
    changed: str
    """When it was changed last: a form that is sent again is known by it."""
    held: int
    held_since: datetime | None
    deliveries: Sequence[DeliveryLine]
    state: str
    """The state that the list is narrowed to, or nothing."""
    states: Sequence[Option]
    newer: str | None
    older: str | None
    may_write: bool
    may_send: bool
    form: Form
    events: Sequence[Option]
    details: Sequence[Option]
    rotate: Form
    overlaps: Sequence[Option]
    recover: Form
    recoveries: Sequence[Option]
    delete: Form
    sure: Sequence[Option]
    act: Form
    """What stands in the way of switching it on or off or trying it out."""


@dataclass(frozen=True, kw_only=True)
class WebhookShownPage:
    """The answer to making a secret: the only page that ever holds it."""

    webhook: WebhookLine
    plain: str = field(repr=False)
    former_until: datetime | None


@dataclass(frozen=True, kw_only=True)
class TryLine:
    """One try of a delivery."""

    attempt: Attempt
    why: str
    look: str


@dataclass(frozen=True, kw_only=True)
class DeliveryPage:
    """What the page of one delivery shows."""

    done: str
    webhook_href: str
    webhook_name: str
    delivery: DeliveryLine
    settled_at: datetime | None
    task_href: str
    message_id: str
    body: str = field(repr=False)
    body_note: str
    tries: Sequence[TryLine]
    may_resend: bool
    form: Form
