"""Looking after webhooks: adding, changing, rotating, trying out, sending again."""

from __future__ import annotations

import base64
import os
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from services.notify import store
from services.notify.channels.webhook import Rules
from services.notify.domain.alerts import ping_body
from services.notify.domain.deliveries import Channel
from services.notify.domain.endpoints import HELD, SWITCHED_OFF, Health
from services.notify.handlers.addressing import mailbox_now
from services.notify.store import Delivery, Detail, NewDelivery, Secret, Webhook
from shared.clock import Clock
from shared.db.transaction import Database, Reading, Transaction
from shared.errors import Conflict, Finding, Invalid, NotFound, Stale
from shared.identity import audit
from shared.identity.person_keys import PersonKeys
from shared.identity.principal import Principal
from shared.ids import new_id
from shared.sealing import Keyring

ROTATION_GRACE = timedelta(hours=24)
MOST_FORMER_SECRETS = 10
SKIPPED = "skipped"


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
    """Change an endpoint; switching it off holds what waits. ``recover`` sends it later."""
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
    if changed.url != webhook.url:
        changed = replace(changed, health=Health())  # another receiver begins anew
    if command.is_enabled is False and webhook.is_enabled:
        changed = await switched_off(tx, changed, reason=SWITCHED_OFF, now=now)
    elif command.is_enabled and not webhook.is_enabled:
        changed = replace(
            changed,
            is_enabled=True,
            disabled_reason=None,
            disabled_at=None,
            health=Health(),
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
    tx: Transaction,
    webhook_id: str,
    *,
    overlap: timedelta = ROTATION_GRACE,
    notify: Notify,
    by: Principal,
    now: datetime,
    expected: datetime | None = None,
) -> tuple[Webhook, str]:
    """Give an endpoint a new secret; the former ones sign as well, none longer than this.

    With ``expected`` it is refused when the endpoint was changed since then. None of the former
    ones is dropped before its time: a receiver that still holds it would refuse us.
    """
    webhook = await _wanted(tx, webhook_id, notify, locked=True)
    if expected is not None and webhook.changed_at != expected:
        raise Stale("The webhook was changed meanwhile. Read it again.")
    secret = _new_secret()
    ends = now + overlap
    former = [
        replace(one, until=ends if one.until is None else min(one.until, ends))
        for one in webhook.secrets
    ]
    former = [one for one in former if one.until and one.until > now]
    if len(former) > MOST_FORMER_SECRETS:
        raise Conflict(
            f"{MOST_FORMER_SECRETS} former secrets still sign. Wait until one has ended, or"
            " send overlap_hours 0 to end all of them at once.",
            slug="too-many-secrets",
            extra={"state": "rotated", "allowed_by": "wait"},
        )
    changed = replace(webhook, secrets=(Secret(value=secret), *former), changed_at=now)
    await store.save_webhook(tx, changed, notify.keyring)
    hours = {"overlap_hours": round(overlap / timedelta(hours=1))}
    await audit.record(tx, by, "webhook.rotated", webhook_id, hours, now=now)
    return changed, secret


async def enable_webhook(
    tx: Transaction, webhook_id: str, *, notify: Notify, by: Principal, now: datetime
) -> Webhook:
    """Switch an endpoint on again; what was held waits for ``recover``. Again is no change."""
    return await change_webhook(
        tx,
        ChangeWebhook(webhook_id=webhook_id, is_enabled=True),
        notify=notify,
        by=by,
        now=now,
    )


async def send_test(tx: Transaction, webhook_id: str, *, notify: Notify, now: datetime) -> str:
    """Send a test event to an enabled endpoint; return the delivery's id."""
    _refuse_if_off(await _wanted(tx, webhook_id, notify))
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


async def recover(
    tx: Transaction,
    webhook_id: str,
    *,
    since: datetime,
    skip: bool,
    notify: Notify,
    by: Principal,
    now: datetime,
) -> int:
    """Send what was held for an endpoint or failed since then; return how many.

    With ``skip`` give up what is held instead. What is on its way or has arrived is left alone,
    so that asking twice changes nothing.
    """
    webhook = await _wanted(tx, webhook_id, notify, locked=True)
    if since > now:
        raise Invalid(
            "Nothing can be recovered from a time to come.",
            [
                Finding(
                    pointer="/since",
                    code="in_future",
                    detail="lies in the future",
                    fix="send the moment from which on deliveries are to be sent again",
                )
            ],
        )
    if skip:
        count = await store.skip_lane(tx, webhook_id, since=since, reason=SKIPPED, now=now)
    else:
        _refuse_if_off(webhook)
        count = await store.recover_lane(tx, webhook_id, since=since, now=now)
    if count:
        did = "webhook.skipped" if skip else "webhook.recovered"
        detail = {"since": since.isoformat(), "deliveries": count}
        await audit.record(tx, by, did, webhook_id, detail, now=now)
    return count


async def resend(
    tx: Transaction, delivery_id: str, *, notify: Notify, by: Principal, now: datetime
) -> Delivery:
    """Send a settled delivery once more; while it is on its way that is a conflict.

    A mail goes to the address that its recipient has by now.
    """
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
    if found.channel is Channel.EMAIL and found.recipient is None:
        raise Conflict(
            "Nobody could be told: the owner of the task has no address. Give the team an"
            " address or members, or add an administrator; it is sent then by itself.",
            slug="nobody-to-tell",
            extra={"state": found.state.value, "allowed_by": "address"},
        )
    box = found.recipient and (await mailbox_now(tx, found.target) or found.recipient)
    if not await store.make_due_again(tx, delivery_id, recipient=box, now=now):
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


async def switched_off(
    tx: Transaction, webhook: Webhook, *, reason: str, now: datetime
) -> Webhook:
    """Return the endpoint switched off, after holding what waits for it."""
    await store.hold_lane(tx, webhook.id, reason=HELD, now=now)
    return replace(webhook, is_enabled=False, disabled_reason=reason, disabled_at=now)


def _refuse_if_off(webhook: Webhook) -> None:
    if not webhook.is_enabled:
        raise Conflict(
            "This webhook is switched off. Enable it first.",
            slug="webhook-disabled",
            extra={"state": "disabled", "allowed_by": "enable"},
        )


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
