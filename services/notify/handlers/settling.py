"""What follows an attempt: rows, announcements, and how its endpoint does."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime

from services.notify import store
from services.notify.domain.deliveries import Channel, GiveUp, RetryAt, Sent, Verdict
from services.notify.domain.endpoints import RECEIVER_GONE
from services.notify.handlers.health import disable
from services.notify.handlers.undelivered import announce_undeliverable, follow_up
from shared.db.transaction import Transaction
from shared.events.notify import AlertDelivered
from shared.figures import deliveries
from shared.logs import correlation_id
from shared.sealing import Keyring


async def settle(
    tx: Transaction,
    group: Sequence[store.Settlement],
    *,
    keyring: Keyring,
    mail_settings: str,
    now: datetime,
) -> Sequence[bool]:
    """Write down attempts and what follows; announce the verdicts that are final.

    False stands for a delivery that another worker has taken over meanwhile: nothing of it is
    changed.
    """
    ours = await store.settle(tx, group, now=now)
    await _note_health(tx, [each for each in group if each.delivery.id in ours], now=now)
    for done in group:
        if done.delivery.id not in ours:
            continue
        # The announcement belongs to the request that the alert goes back to.
        before = correlation_id.set(done.delivery.correlation_id)
        instead = await follow_up(tx, done, mail_settings=mail_settings, now=now)
        await _announce(tx, done, instead=instead, now=now)
        correlation_id.reset(before)
        if done.outcome.verdict is Verdict.GONE:
            await disable(
                tx, done.delivery.target, reason=RECEIVER_GONE, keyring=keyring, now=now
            )
    tx.after_commit(lambda: _number(group))
    return [done.delivery.id in ours for done in group]


def _number(group: Sequence[store.Settlement]) -> None:
    """Add to the numbers that operators watch what came of these attempts."""
    for done in group:
        deliveries.labels(done.delivery.channel.value, done.outcome.verdict.value).inc()


async def _note_health(
    tx: Transaction, settled: Sequence[store.Settlement], *, now: datetime
) -> None:
    """Note what this says of the endpoints: one success makes good for what failed before."""
    calls = [each for each in settled if each.delivery.channel is Channel.WEBHOOK]
    well = {each.delivery.target for each in calls if isinstance(each.step, Sent)}
    failed = Counter(each.delivery.target for each in calls if each.delivery.target not in well)
    await store.note_health(tx, well=sorted(well), failed=failed, now=now)


async def _announce(
    tx: Transaction, done: store.Settlement, *, instead: Sequence[str], now: datetime
) -> None:
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
            await announce_undeliverable(
                tx, one, reason=reason, attempts=one.attempts, instead=instead, now=now
            )
        case RetryAt():
            pass
