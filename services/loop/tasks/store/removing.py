"""Taking a task away with everything that was kept of it: sample data only."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import delete, select

from services.loop.tasks.domain.task import FollowUpTask
from services.loop.tasks.tables import (
    escalations,
    search,
    task_history,
    task_responses,
    task_viewers,
    tasks,
)
from shared.db.base import among
from shared.db.transaction import Reading, Transaction


async def remove_answers(tx: Transaction, response_ids: Sequence[str]) -> None:
    """Forget what these answers' tasks are found by, and that they joined a case."""
    for table in (search, task_responses):
        await tx.execute(
            delete(table).where(among(table.c.response_id, response_ids, tx.dialect))
        )


async def remove_tasks(tx: Transaction, gone: Sequence[FollowUpTask]) -> None:
    """Forget these tasks, their histories, and whatever waits for them."""
    ids = [task.id for task in gone]
    timers = tx.plumbing.timers
    for table in (task_history, escalations, task_viewers, task_responses):
        await tx.execute(delete(table).where(among(table.c.task_id, ids, tx.dialect)))
    for task in gone:
        # A timer's subject is the task's id, with the number of a warning or a promise behind.
        await tx.execute(
            delete(timers).where(timers.c.subject.startswith(task.id, autoescape=True))
        )
    await tx.execute(delete(tasks).where(among(tasks.c.id, ids, tx.dialect)))


async def owners_of_tasks(view: Reading) -> frozenset[str]:
    """Return everybody who has or had a task."""
    rows = await view.all(select(tasks.c.owner_id).distinct())
    return frozenset(row.owner_id for row in rows)
