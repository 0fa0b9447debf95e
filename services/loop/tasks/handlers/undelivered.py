"""A mail about a task reached nobody: its history says so, and who is told instead."""

from __future__ import annotations

from collections.abc import Sequence

from services.loop.tasks import store
from services.loop.tasks.domain.facts import (
    Entry,
)
from services.loop.tasks.domain.task import (
    SYSTEM,
)
from shared.db.transaction import Transaction
from shared.events.notify import AlertUndeliverable


async def note_undelivered(tx: Transaction, alerts: Sequence[AlertUndeliverable]) -> None:
    """Write down which mails could not be delivered; calls to other programs are not noted."""
    mails = [
        (task_id, alert)
        for alert in alerts
        if alert.channel == "email"
        for task_id in (alert.task_ids if alert.task_id is None else [alert.task_id])
    ]
    tasks = await store.lock_many(tx, sorted({task_id for task_id, _ in mails}))
    await store.add_entries(
        tx,
        [
            (
                tasks[task_id],
                Entry(
                    version=tasks[task_id].version,
                    act="undeliverable",
                    at=alert.at,
                    by=SYSTEM,
                    detail={
                        "alert": alert.event_type,
                        "reason": alert.reason,
                        "target": alert.target,
                        "told": alert.passed_on_to,
                    },
                ),
            )
            for task_id, alert in mails
            if task_id in tasks
        ],
    )
