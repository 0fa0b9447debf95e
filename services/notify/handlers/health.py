"""Endpoints that fail: administrators are told, and after days they are switched off."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from services.notify import store
from services.notify.domain.deliveries import Channel
from services.notify.domain.endpoints import (
    ENDPOINT_MAIL_KINDS,
    NO_SUCCESS,
    WARN_AFTER,
    EndpointFacts,
    Trouble,
    endpoint_document,
    trouble_of,
)
from services.notify.domain.urls import host_of
from services.notify.handlers.addressing import mailbox_of
from services.notify.handlers.endpoints import switched_off
from services.notify.store import NewDelivery, Webhook
from shared.db.transaction import Reading, Transaction
from shared.identity import audit
from shared.identity.owners import recipients_with
from shared.identity.principal import Role
from shared.ids import new_id
from shared.logs import get_logger
from shared.sealing import Keyring

_log = get_logger(__name__)


async def endpoints_in_trouble(
    view: Reading, *, keyring: Keyring, now: datetime
) -> Sequence[str]:
    """Return the endpoints about which something is to be done now."""
    found = await store.failing_webhooks(view, keyring, since=now - WARN_AFTER)
    return [one.id for one in found if trouble_of(one.health, now)]


async def look_after_endpoint(
    tx: Transaction, webhook_id: str, *, keyring: Keyring, now: datetime
) -> bool:
    """Warn of an endpoint, or switch it off; False when it has recovered meanwhile."""
    webhook = await store.webhook_of(tx, webhook_id, keyring, locked=True)
    if webhook is None or not webhook.is_enabled:
        return False
    match trouble_of(webhook.health, now):
        case Trouble.DISABLE:
            await disable(tx, webhook_id, reason=NO_SUCCESS, keyring=keyring, now=now)
        case Trouble.WARN:
            warned = replace(webhook, health=replace(webhook.health, warned_at=now))
            await store.save_webhook(tx, warned, keyring)
            await _tell(tx, warned, "webhook.failing", reason=NO_SUCCESS, now=now)
        case None:
            return False
    return True


async def disable(
    tx: Transaction, webhook_id: str, *, reason: str, keyring: Keyring, now: datetime
) -> None:
    """Switch an endpoint off and tell the administrators; what waits for it is held."""
    webhook = await store.webhook_of(tx, webhook_id, keyring, locked=True)
    if webhook is None or not webhook.is_enabled:
        return
    off = await switched_off(tx, webhook, reason=reason, now=now)
    off = replace(off, changed_at=now)
    await store.save_webhook(tx, off, keyring)
    why = {"reason": reason}
    await audit.record(tx, audit.SYSTEM, "webhook.disabled", webhook_id, why, now=now)
    await _tell(tx, off, "webhook.disabled", reason=reason, now=now)


async def _tell(
    tx: Transaction, webhook: Webhook, event_type: str, *, reason: str, now: datetime
) -> None:
    """Make one mail about an endpoint to every administrator."""
    administrators = await recipients_with(tx, [Role.ADMIN])
    if not administrators:
        _log.warning("webhooks.nobody_to_tell", webhook_id=webhook.id)
    facts = EndpointFacts(
        webhook_id=webhook.id,
        host=host_of(webhook.url),
        reason=reason,
        failing_since=webhook.health.failing_since,
        disabled_at=webhook.disabled_at,
        failures=webhook.health.failures,
    )
    event_id = new_id("evt")
    await store.add_deliveries(
        tx,
        [
            NewDelivery(
                event_id=event_id,
                event_type=event_type,
                channel=Channel.EMAIL,
                target=each.staff_id or each.email,
                purpose=ENDPOINT_MAIL_KINDS[event_type],
                payload=endpoint_document(facts),
                recipient=mailbox_of(each),
            )
            for each in administrators
        ],
        now=now,
    )
