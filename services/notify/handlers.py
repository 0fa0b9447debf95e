"""What notify does: tell about tasks, look after webhooks, settle attempts.

Load, decide, save, announce; whoever opened the transaction commits it.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from services.notify import store
from services.notify.channels.webhook import Rules
from services.notify.domain.alerts import (
    MAIL_KINDS,
    TaskFacts,
    facts_document,
    is_wanted,
    ping_body,
    webhook_body,
)
from services.notify.domain.deliveries import Channel, GiveUp, RetryAt, Sent, Verdict
from services.notify.store import Delivery, Detail, Mailbox, NewDelivery, Secret, Webhook
from shared.clock import Clock
from shared.db.transaction import Database, Reading, Transaction
from shared.errors import Conflict, Finding, Invalid, NotFound
from shared.events.notify import AlertDelivered, AlertUndeliverable
from shared.faults import fault_point
from shared.identity import audit
from shared.identity.people import Recipient, addresses_of
from shared.identity.person_keys import PersonKeys
from shared.identity.principal import Principal
from shared.ids import new_id
from shared.logs import correlation_id, get_logger
from shared.sealing import Keyring

ROTATION_GRACE = timedelta(hours=24)
MOST_FORMER_SECRETS = 10

_log = get_logger(__name__)


@dataclass(frozen=True, kw_only=True)
class Notify:
    """What the routes of notify work with."""

    clock: Clock
    database: Database
    keyring: Keyring = field(repr=False)
    person_keys: PersonKeys
    rules: Rules
    wake: Callable[[], None] = lambda: None
    """Tells the dispatcher of this process that something is due."""


# ---------------------------------------------------------------- telling about tasks


async def tell(
    tx: Transaction, events: Sequence[TaskFacts], *, public_url: str, now: datetime
) -> int:
    """Make one delivery per event and recipient or endpoint; return how many were asked for.

    Twins are impossible by key. Which tasks are done is noted, so that mails about them which
    still wait are held when their turn comes.
    """
    endpoints = await store.enabled_webhooks(tx)
    owners = {
        (one.owner_id, one.owner_kind): await addresses_of(
            tx, one.owner_id, "person" if one.owner_kind == "person" else "team"
        )
        for one in {
            (each.owner_id, each.owner_kind): each for each in events if _mail_kind(each)
        }.values()
    }
    fresh = [
        delivery
        for one in events
        for delivery in (
            *_mails(one, owners.get((one.owner_id, one.owner_kind), ())),
            *_posts(one, endpoints, public_url=public_url),
        )
    ]
    await store.add_deliveries(tx, fresh, now=now)
    await store.note_task_states(tx, _latest_states(events))
    fault_point("notify.fanned_out")
    return len(fresh)


def _mail_kind(one: TaskFacts) -> str | None:
    return None if one.is_done else MAIL_KINDS.get(one.type)


def _mails(one: TaskFacts, recipients: Sequence[Recipient]) -> Sequence[NewDelivery]:
    kind = _mail_kind(one)
    if kind is None:
        return []
    if not recipients:
        _log.warning("alert.nobody_to_tell", task_id=one.task_id, event_type=one.type)
    return [
        NewDelivery(
            event_id=one.event_id,
            event_type=one.type,
            channel=Channel.EMAIL,
            target=recipient.staff_id or one.owner_id,
            purpose=kind,
            payload=facts_document(one),
            task_id=one.task_id,
            response_id=one.response_id,
            correlation_id=one.correlation_id,
            person_ref=one.person_ref,
            sealed_person=one.person,
            recipient=Mailbox(
                email=recipient.email,
                language=recipient.language,
                time_zone=recipient.time_zone,
            ),
        )
        for recipient in recipients
    ]


def _posts(
    one: TaskFacts,
    endpoints: Sequence[tuple[str, tuple[str, ...], Detail]],
    *,
    public_url: str,
) -> Sequence[NewDelivery]:
    wanting = [
        (webhook_id, detail)
        for webhook_id, patterns, detail in endpoints
        if is_wanted(one.type, patterns)
    ]
    if not wanting:
        return []
    body = webhook_body(one, public_url=public_url)
    return [
        NewDelivery(
            event_id=one.event_id,
            event_type=one.type,
            channel=Channel.WEBHOOK,
            target=webhook_id,
            purpose="event",
            payload=body,
            task_id=one.task_id,
            response_id=one.response_id,
            correlation_id=one.correlation_id,
            person_ref=one.person_ref,
            sealed_person=one.person if detail == "full" else None,
        )
        for webhook_id, detail in wanting
    ]


def _latest_states(events: Sequence[TaskFacts]) -> Mapping[str, tuple[int, bool]]:
    latest: dict[str, tuple[int, bool]] = {}
    for one in events:
        if one.version >= latest.get(one.task_id, (0, False))[0]:
            latest[one.task_id] = (one.version, one.is_done)
    return latest


# ---------------------------------------------------------------- webhooks


@dataclass(frozen=True, kw_only=True)
class CreateWebhook:
    """A new endpoint."""

    url: str
    events: tuple[str, ...]
    detail: Detail


@dataclass(frozen=True, kw_only=True)
class ChangeWebhook:
    """What to change of an endpoint; None leaves it."""

    webhook_id: str
    url: str | None = None
    events: tuple[str, ...] | None = None
    detail: Detail | None = None
    is_enabled: bool | None = None


async def create_webhook(
    tx: Transaction,
    command: CreateWebhook,
    *,
    notify: Notify,
    by: Principal,
    now: datetime,
) -> tuple[Webhook, str]:
    """Add an endpoint; return it with its secret, which is shown this once."""
    _check_url(command.url, notify.rules)
    secret = _new_secret()
    webhook = Webhook(
        id=new_id("whk"),
        url=command.url,
        events=command.events,
        detail=command.detail,
        is_enabled=True,
        disabled_reason=None,
        secrets=(Secret(value=secret),),
        created_at=now,
        created_by=by.id,
        changed_at=now,
    )
    await store.add_webhook(tx, webhook, notify.keyring)
    await audit.record(
        tx, by, "webhook.created", webhook.id, {"detail": webhook.detail}, now=now
    )
    return webhook, secret


async def change_webhook(
    tx: Transaction,
    command: ChangeWebhook,
    *,
    notify: Notify,
    by: Principal,
    now: datetime,
) -> Webhook:
    """Change an endpoint; switching it off holds what waits, switching it on releases it."""
    webhook = await _wanted(tx, command.webhook_id, notify, locked=True)
    if command.url is not None:
        _check_url(command.url, notify.rules)
    changed = replace(
        webhook,
        url=command.url if command.url is not None else webhook.url,
        events=command.events if command.events is not None else webhook.events,
        detail=command.detail or webhook.detail,
        changed_at=now,
    )
    if command.is_enabled is not None and command.is_enabled is not webhook.is_enabled:
        changed = await _switched(
            tx, changed, on=command.is_enabled, reason="switched_off", now=now
        )
    await store.save_webhook(tx, changed, notify.keyring)
    names = sorted(
        name
        for name in ("url", "events", "detail", "is_enabled")
        if getattr(changed, name) != getattr(webhook, name)
    )
    detail = {"changed": names, "detail": changed.detail}
    await audit.record(tx, by, "webhook.changed", webhook.id, detail, now=now)
    return changed


async def delete_webhook(
    tx: Transaction, webhook_id: str, *, notify: Notify, by: Principal, now: datetime
) -> None:
    """Forget an endpoint and its secrets; what waited for it is given up, its history stays."""
    await _wanted(tx, webhook_id, notify, locked=True)
    await store.drop_webhook(tx, webhook_id)
    await store.drop_lane(tx, webhook_id, reason="endpoint_deleted", now=now)
    await audit.record(tx, by, "webhook.deleted", webhook_id, now=now)


async def rotate_secret(
    tx: Transaction, webhook_id: str, *, notify: Notify, by: Principal, now: datetime
) -> tuple[Webhook, str]:
    """Give an endpoint a new secret; the former one signs as well for 24 hours."""
    webhook = await _wanted(tx, webhook_id, notify, locked=True)
    secret = _new_secret()
    former = [
        one if one.until else replace(one, until=now + ROTATION_GRACE)
        for one in webhook.secrets
        if one.until is None or one.until > now
    ]
    changed = replace(
        webhook,
        secrets=(Secret(value=secret), *former[:MOST_FORMER_SECRETS]),
        changed_at=now,
    )
    await store.save_webhook(tx, changed, notify.keyring)
    await audit.record(tx, by, "webhook.rotated", webhook_id, now=now)
    return changed, secret


async def enable_webhook(
    tx: Transaction, webhook_id: str, *, notify: Notify, by: Principal, now: datetime
) -> Webhook:
    """Switch an endpoint on again and send what was held for it. Again is no change."""
    return await change_webhook(
        tx,
        ChangeWebhook(webhook_id=webhook_id, is_enabled=True),
        notify=notify,
        by=by,
        now=now,
    )


async def send_test(tx: Transaction, webhook_id: str, *, notify: Notify, now: datetime) -> str:
    """Send a test event to an enabled endpoint; return the delivery's id."""
    webhook = await _wanted(tx, webhook_id, notify)
    if not webhook.is_enabled:
        raise Conflict(
            "This webhook is switched off. Enable it first.",
            slug="webhook-disabled",
            extra={"state": "disabled", "allowed_by": "enable"},
        )
    event_id = new_id("evt")
    test = NewDelivery(
        event_id=event_id,
        event_type="webhook.test",
        channel=Channel.WEBHOOK,
        target=webhook_id,
        purpose="test",
        payload=ping_body(now=now, webhook_id=webhook_id),
    )
    (delivery_id,) = await store.add_deliveries(tx, [test], now=now)
    return delivery_id


async def resend(
    tx: Transaction, delivery_id: str, *, notify: Notify, by: Principal, now: datetime
) -> Delivery:
    """Send a settled delivery once more; while it is on its way that is a conflict."""
    found = await store.delivery_of(tx, delivery_id)
    if found is None:
        raise NotFound("There is no such delivery.")
    if found.channel is Channel.WEBHOOK:
        webhook = await store.webhook_of(tx, found.target, notify.keyring)
        if webhook is None or not webhook.is_enabled:
            raise Conflict(
                "The webhook of this delivery is switched off or deleted.",
                slug="webhook-disabled",
                extra={"state": found.state.value, "allowed_by": "enable"},
            )
    if not await store.make_due_again(tx, delivery_id, now=now):
        raise Conflict(
            "This delivery is on its way already.",
            slug="delivery-under-way",
            extra={"state": found.state.value, "allowed_by": "wait"},
        )
    await audit.record(tx, by, "delivery.resent", delivery_id, now=now)
    again = await store.delivery_of(tx, delivery_id)
    return again or found


async def webhook_of(view: Reading, webhook_id: str, *, notify: Notify) -> Webhook:
    """Return one endpoint, or raise ``NotFound``."""
    return await _wanted(view, webhook_id, notify)


async def _wanted(
    view: Reading, webhook_id: str, notify: Notify, *, locked: bool = False
) -> Webhook:
    webhook = await store.webhook_of(view, webhook_id, notify.keyring, locked=locked)
    if webhook is None:
        raise NotFound("There is no such webhook.")
    return webhook


async def _switched(
    tx: Transaction, webhook: Webhook, *, on: bool, reason: str, now: datetime
) -> Webhook:
    if on:
        await store.release_lane(tx, webhook.id, now=now)
        return replace(webhook, is_enabled=True, disabled_reason=None)
    await store.hold_lane(tx, webhook.id, reason="endpoint_disabled", now=now)
    return replace(webhook, is_enabled=False, disabled_reason=reason)


def _check_url(url: str, rules: Rules) -> None:
    refused = rules.refuse(url)
    if refused is not None:
        raise Invalid(
            "Webhooks cannot be sent to this URL.",
            [
                Finding(
                    pointer="/url",
                    code=refused.code,
                    detail="not a URL that may be called from here",
                    fix=refused.fix,
                )
            ],
        )


def _new_secret() -> str:
    """Return a secret as Standard Webhooks writes it: 32 random bytes."""
    return f"whsec_{base64.b64encode(os.urandom(32)).decode()}"


# ---------------------------------------------------------------- settling attempts


async def settle(
    tx: Transaction, done: store.Settlement, *, keyring: Keyring, now: datetime
) -> bool:
    """Write down an attempt and what follows; announce a verdict that is final.

    False when another worker has taken the delivery over meanwhile: then nothing is changed.
    """
    one = done.delivery
    if not await store.settle(tx, done, now=now):
        return False
    # The announcement belongs to the request that the alert goes back to.
    before = correlation_id.set(one.correlation_id)
    _announce(tx, done, now=now)
    correlation_id.reset(before)
    if done.outcome.verdict is Verdict.GONE:
        webhook = await store.webhook_of(tx, one.target, keyring, locked=True)
        if webhook is not None and webhook.is_enabled:
            off = await _switched(tx, webhook, on=False, reason="receiver_gone", now=now)
            await store.save_webhook(tx, replace(off, changed_at=now), keyring)
            await audit.record(
                tx,
                audit.SYSTEM,
                "webhook.disabled",
                webhook.id,
                {"reason": "receiver_gone"},
                now=now,
            )
    return True


def _announce(tx: Transaction, done: store.Settlement, *, now: datetime) -> None:
    one = done.delivery
    match done.step:
        case Sent():
            tx.announce(
                AlertDelivered(
                    delivery_id=one.id,
                    channel=one.channel.value,
                    event_type=one.event_type,
                    event_id=one.event_id,
                    task_id=one.task_id,
                    attempts=one.attempts,
                    at=now,
                    possible_duplicate=one.in_doubt,
                ),
                key=one.person_ref or one.id,
                at=now,
            )
        case GiveUp(reason):
            tx.announce(
                AlertUndeliverable(
                    delivery_id=one.id,
                    channel=one.channel.value,
                    event_type=one.event_type,
                    event_id=one.event_id,
                    task_id=one.task_id,
                    attempts=one.attempts,
                    at=now,
                    reason=reason,
                ),
                key=one.person_ref or one.id,
                at=now,
            )
        case RetryAt():
            pass
