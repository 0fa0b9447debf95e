"""What follows an attempt: rows, announcements, and an endpoint that asks for silence."""

from __future__ import annotations

from collections.abc import Sequence
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
    tx: Transaction, group: Sequence[store.Settlement], *, keyring: Keyring, now: datetime
) -> Sequence[bool]:
    """Write down attempts and what follows; announce the verdicts that are final.

    False stands for a delivery that another worker has taken over meanwhile: nothing of it is
    changed.
    """
    ours = await store.settle(tx, group, now=now)
    for done in group:
        if done.delivery.id not in ours:
            continue
        # The announcement belongs to the request that the alert goes back to.
        before = correlation_id.set(done.delivery.correlation_id)
        _announce(tx, done, now=now)
        correlation_id.reset(before)
        if done.outcome.verdict is Verdict.GONE:
            await _fall_silent(tx, done.delivery.target, keyring=keyring, now=now)
    return [done.delivery.id in ours for done in group]


async def _fall_silent(
    tx: Transaction, webhook_id: str, *, keyring: Keyring, now: datetime
) -> None:
    """Switch an endpoint off that said it is gone; what waits for it is held."""
    webhook = await store.webhook_of(tx, webhook_id, keyring, locked=True)
    if webhook is None or not webhook.is_enabled:
        return
    off = await switched(tx, webhook, on=False, reason="receiver_gone", now=now)
    await store.save_webhook(tx, replace(off, changed_at=now), keyring)
    reason = {"reason": "receiver_gone"}
    await audit.record(tx, audit.SYSTEM, "webhook.disabled", webhook_id, reason, now=now)


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
                    import_id=one.import_id,
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
                    import_id=one.import_id,
                    attempts=one.attempts,
                    at=now,
                    reason=reason,
                ),
                key=one.person_ref or one.id,
                at=now,
            )
        case RetryAt():
            pass
