"""Reads what the pages of webhooks show."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from services.notify.domain.deliveries import State, Verdict
from services.notify.domain.endpoints import BY_ITSELF
from services.notify.domain.urls import host_of
from services.notify.pages.webhooks.page import DeliveryLine, TryLine, WebhookLine
from services.notify.pages.webhooks.words import DISABLED, EVENTS, STATES, reason_in_words
from services.notify.store import Attempt, Delivery, Tally, Webhook
from shared.i18n import Reader, marked
from shared.identity.principal import Principal, Scope
from shared.web.forms import Option

SHARE_OVER: Final = timedelta(days=7)
"""Over how many days the share of success is counted."""

EVENT: Final = "event:"


def path_of(webhook_id: str, *parts: str) -> str:
    """Return the address of an endpoint's page, or of one below it."""
    return "/".join(["/settings/webhooks", webhook_id, *parts])


def line_of(
    webhook: Webhook, tally: Tally | None, reader: Reader, caller: Principal
) -> WebhookLine:
    """Return an endpoint as it is listed."""
    reason = webhook.disabled_reason or ""
    return WebhookLine(
        id=webhook.id,
        href=path_of(webhook.id),
        name=webhook.url if caller.may(Scope.WEBHOOKS) else host_of(webhook.url),
        events=[reader.gettext(EVENTS.get(one, one)) for one in webhook.events],
        full=webhook.detail == "full",
        is_enabled=webhook.is_enabled,
        disabled_at=webhook.disabled_at,
        disabled_because=reader.gettext(DISABLED[reason]) if reason in DISABLED else "",
        by_itself=reason in BY_ITSELF,
        failing_since=webhook.health.failing_since if webhook.is_enabled else None,
        share=tally.share if tally else None,
        tally=tally or Tally(),
    )


def delivery_line(one: Delivery, reader: Reader) -> DeliveryLine:
    """Return a delivery as it is listed."""
    state, look = STATES[one.state]
    event = EVENTS.get(one.event_type) or (
        marked("A test event") if one.event_type == "webhook.test" else ""
    )
    return DeliveryLine(
        id=one.id,
        href=path_of(one.target, "deliveries", one.id),
        event=reader.gettext(event) if event else one.event_type,
        event_type=one.event_type,
        state=reader.gettext(state),
        look=look,
        why=reason_in_words(one.reason, reader),
        attempts=one.attempts,
        created_at=one.created_at,
        next_attempt_at=one.next_attempt_at if one.state is State.DUE else None,
        in_doubt=one.in_doubt,
    )


def try_lines(attempts: Sequence[Attempt], reader: Reader) -> Sequence[TryLine]:
    """Return the tries of a delivery, the latest first."""
    return [
        TryLine(
            attempt=one,
            why=reason_in_words(one.reason, reader),
            look="done" if one.result == Verdict.ACCEPTED else "late",
        )
        for one in reversed(attempts)
    ]


def event_options(reader: Reader, chosen: Sequence[str] = ()) -> Sequence[Option]:
    """Return what may be asked for, and what else an endpoint asks for already."""
    others = [one for one in chosen if one not in EVENTS]
    return [
        Option(
            value=f"{EVENT}{name}",
            label=f"{reader.gettext(EVENTS[name])} ({name})" if name in EVENTS else name,
        )
        for name in (*EVENTS, *others)
    ]


def detail_options(reader: Reader) -> Sequence[Option]:
    """Return how much may be told."""
    return [
        Option(value="thin", label=reader.gettext("What is to be done, without personal data")),
        Option(
            value="full",
            label=reader.gettext("Also the customer and the comment; the choice is audited"),
        ),
    ]


def overlap_options(reader: Reader) -> Sequence[Option]:
    """Return for how long former secrets may go on."""
    return [
        Option(
            value=str(hours),
            label=reader.span(timedelta(hours=hours))
            if hours
            else reader.gettext("they end at once"),
        )
        for hours in (0, 1, 24, 168)
    ]


def on_the_readers_clock(moment: datetime, reader: Reader) -> str:
    """Return a moment as a field for day and time takes it, never later than it was."""
    return f"{reader.local(moment):%Y-%m-%dT%H:%M}"
