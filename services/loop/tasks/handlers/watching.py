"""The timers that watch over a task: one for every reminder and escalation, one for the breach.

The first of a kind has the task's id as its subject, the others a number behind it, so that
each rings once and for itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from services.loop.tasks.domain.schemes import RecoveryScheme
from services.loop.tasks.domain.task import FollowUpTask
from shared.db import timers
from shared.db.timers import Timer
from shared.db.transaction import Transaction
from shared.events.loop import TaskDueSoon, TaskOverdue

MOST_OF_A_KIND = 5
"""How many reminders, and how many escalations, a scheme may have."""


async def watch(
    tx: Transaction, tasks: Sequence[FollowUpTask], schemes: Mapping[str, RecoveryScheme]
) -> None:
    """Set the timers of tasks that have just opened."""
    await timers.set_all(tx, _wanted(tasks, schemes))


async def tighten(
    tx: Transaction, tasks: Sequence[FollowUpTask], schemes: Mapping[str, RecoveryScheme]
) -> None:
    """Let timers ring for what is promised now; none rings later than it would have."""
    wanted = _wanted(tasks, schemes)
    await timers.set_all(tx, wanted)
    await timers.bring_forward(tx, wanted)


async def silence(tx: Transaction, task_ids: Sequence[str], *, now: datetime) -> None:
    """Keep every timer of these tasks from ringing."""
    await timers.cancel(tx, _subjects(task_ids), now=now)


async def wake(tx: Transaction, task_ids: Sequence[str]) -> None:
    """Take back the silence; what has rung once stays rung."""
    await timers.wake(tx, _subjects(task_ids))


def task_id_of(timer: Timer) -> str:
    """Return whose timer it is."""
    return timer.subject.partition("#")[0]


def _wanted(
    tasks: Sequence[FollowUpTask], schemes: Mapping[str, RecoveryScheme]
) -> Sequence[Timer]:
    return [timer for task in tasks for timer in _timers(task, schemes.get(task.scheme.id))]


def _timers(task: FollowUpTask, scheme: RecoveryScheme | None) -> Sequence[Timer]:
    # Of a scheme that is gone nothing is known but the deadlines that the task keeps.
    reminders = (task.due_at,) if scheme is None else scheme.deadlines(task.opened_at).reminders
    return [
        *(
            Timer(kind=TaskDueSoon.TYPE, subject=_subject(task.id, n), due_at=at)
            for n, at in enumerate(reminders)
        ),
        Timer(kind=TaskOverdue.TYPE, subject=task.id, due_at=task.due_at),
    ]


def _subjects(task_ids: Sequence[str]) -> Sequence[str]:
    return [_subject(task_id, n) for task_id in task_ids for n in range(MOST_OF_A_KIND)]


def _subject(task_id: str, n: int) -> str:
    return f"{task_id}#{n}" if n else task_id
