"""A timer rings: the owner is reminded, or the broken promise is told, once."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from services.loop.journey.store import named
from services.loop.tasks import store
from services.loop.tasks.domain.task import SYSTEM, Entry, FollowUpTask
from services.loop.tasks.handlers.announcing import members_of
from services.loop.tasks.handlers.watching import task_id_of
from shared.db.timers import DueTimer, settle
from shared.db.transaction import Transaction
from shared.events.loop import TaskDueSoon, TaskOverdue

KINDS = {TaskDueSoon.TYPE: TaskDueSoon, TaskOverdue.TYPE: TaskOverdue}


async def ring(tx: Transaction, timers: Sequence[DueTimer], *, now: datetime) -> int:
    """Announce what these claimed timers warn of; return how many rang.

    Silent are those of a task that is done, a reminder that comes after the deadline itself
    (the program was down), and one that another worker has taken over meanwhile.
    """
    tasks = await store.lock_many(tx, sorted({task_id_of(timer) for timer in timers}))
    names = await named(tx) if tasks else {}
    entries: list[tuple[FollowUpTask, Entry]] = []
    for timer in timers:
        task = tasks.get(task_id_of(timer))
        outcome = _outcome(timer, task, now)
        if not await settle(tx, timer, now=now, outcome=outcome):
            continue
        if task is not None and outcome == "rung":
            kind = KINDS[timer.kind]
            tx.announce(kind(**members_of(task, names)), key=task.person_ref, at=now)
            entry = Entry(
                version=task.version,
                act=timer.kind.split(".")[1],
                at=now,
                by=SYSTEM,
                detail={"owner": task.owner.id},
            )
            entries.append((task, entry))
    await store.add_entries(tx, entries)
    return len(entries)


def _outcome(timer: DueTimer, task: FollowUpTask | None, now: datetime) -> str:
    if task is None:
        return "no-task"
    if not task.is_open:
        return "done-before"
    if timer.kind == TaskDueSoon.TYPE and now >= task.due_at:
        return "overtaken"
    return "rung"
