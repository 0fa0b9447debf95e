"""Alerts that nobody could be told yet: kept, found again, given an address, or too late."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime

from sqlalchemy import exists, func, literal_column, select, update

from services.notify.domain.deliveries import NOBODY_TO_TELL, TOO_LATE, State
from services.notify.store.deliveries import Delivery, Mailbox, delivery_from
from services.notify.tables import deliveries, summary_items, tasks_done
from shared.db.transaction import Reading, Transaction

# Literally, as the index of these rows says it.
_UNADDRESSED = deliveries.c.reason == literal_column(f"'{NOBODY_TO_TELL}'")


async def unaddressed_owners(view: Reading) -> Sequence[Delivery]:
    """Return the oldest unaddressed alert of every owner that has any."""
    oldest = select(func.min(deliveries.c.id)).where(_UNADDRESSED).group_by(deliveries.c.target)
    rows = await view.all(
        select(deliveries).where(deliveries.c.id.in_(oldest)).order_by(deliveries.c.id)
    )
    return [delivery_from(row) for row in rows]


async def unaddressed_of(
    tx: Transaction, targets: Sequence[str], *, limit: int
) -> Sequence[Delivery]:
    """Return unaddressed alerts of these owners, oldest first, locked until the commit."""
    rows = await tx.all(
        select(deliveries)
        .where(_UNADDRESSED, deliveries.c.target.in_(targets))
        .order_by(deliveries.c.id)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    return [delivery_from(row) for row in rows]


async def drop_unaddressed_of_done(tx: Transaction, *, now: datetime) -> int:
    """Keep what is about tasks that are done from being sent later; return how many."""
    done = exists().where(tasks_done.c.task_id == deliveries.c.task_id)
    result = await tx.execute(
        update(deliveries).where(_UNADDRESSED, done).values(reason=TOO_LATE, settled_at=now)
    )
    return result.rowcount


async def address(
    tx: Transaction, found: Mapping[str, tuple[str, Mailbox]], *, now: datetime
) -> None:
    """Make unaddressed alerts due to these targets and mailboxes, by delivery id."""
    for delivery_id, (target, mailbox) in found.items():
        await tx.execute(
            update(deliveries)
            .where(deliveries.c.id == delivery_id, _UNADDRESSED)
            .values(
                target=target,
                recipient=asdict(mailbox),
                state=State.DUE,
                reason=None,
                settled_at=None,
                next_attempt_at=now,
            )
        )
        await tx.execute(
            update(summary_items)
            .where(summary_items.c.delivery_id == delivery_id)
            .values(target=target)
        )
