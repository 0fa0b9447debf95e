"""What follows an attempt: rows, announcements, and an endpoint that asks for silence."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from services.notify import store
from services.notify.domain.deliveries import GiveUp, RetryAt, Sent, Verdict
from services.notify.handlers.endpoints import switched
from shared.db.transaction import Transaction
from shared.events.notify import AlertDelivered, AlertUndeliverable
from shared.identity import audit
from shared.logs import correlation_id
from shared.sealing import Keyring


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
            off = await switched(tx, webhook, on=False, reason="receiver_gone", now=now)
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
