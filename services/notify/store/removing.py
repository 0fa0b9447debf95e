"""Taking away what was told of tasks that are no more: sample data only."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import delete, select

from services.notify.tables import (
    attempts,
    captured_mails,
    deliveries,
    summary_items,
    tasks_done,
)
from shared.db.base import among
from shared.db.transaction import Transaction


async def remove_deliveries(tx: Transaction, task_ids: Sequence[str]) -> None:
    """Forget what was told of these tasks, and summaries that tell of nothing else.

    What is being sent at this moment arrives, and leaves no trace here.
    """
    summaries = await tx.all(
        select(summary_items.c.delivery_id)
        .where(among(summary_items.c.task_id, task_ids, tx.dialect))
        .distinct()
    )
    await tx.execute(
        delete(summary_items).where(among(summary_items.c.task_id, task_ids, tx.dialect))
    )
    touched = sorted(row.delivery_id for row in summaries)
    left = await tx.all(
        select(summary_items.c.delivery_id)
        .where(among(summary_items.c.delivery_id, touched, tx.dialect))
        .distinct()
    )
    found = await tx.all(
        select(deliveries.c.id).where(among(deliveries.c.task_id, task_ids, tx.dialect))
    )
    gone = sorted({*touched} - {row.delivery_id for row in left} | {row.id for row in found})
    for column in (
        attempts.c.delivery_id,
        captured_mails.c.delivery_id,
        summary_items.c.delivery_id,
        deliveries.c.id,
    ):
        await tx.execute(delete(column.table).where(among(column, gone, tx.dialect)))
    await tx.execute(
        delete(tasks_done).where(among(tasks_done.c.task_id, task_ids, tx.dialect))
    )
