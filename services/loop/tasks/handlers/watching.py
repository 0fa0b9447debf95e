"""The timers that watch over a task: one for every reminder and escalation, one for the breach.

The first of a kind has the task's id as its subject, the others a number behind it, so that
each rings once and for itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from services.loop.tasks import store
from services.loop.tasks.domain.pausing import put_off
from services.loop.tasks.domain.schemes import RecoveryScheme
from services.loop.tasks.domain.task import FollowUpTask
from shared.db import timers
from shared.db.timers import Timer
from shared.db.transaction import Transaction
from shared.events.loop import TaskDueSoon, TaskEscalated, TaskOverdue

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
    """Let timers ring for what is promised now; none rings later than it would have.

    A task is watched by the version of its scheme; one that is paused when it goes on.
    """
    running = [task for task in tasks if task.paused_since is None]
    for task in running:
        known = schemes.get(task.scheme.id)
        if known is None or known.version != task.scheme.version:
            scheme = await store.scheme_of(tx, task.scheme.id, task.scheme.version)
            wanted = list(_timers(task, scheme))
        else:
            wanted = list(_timers(task, known))
        await timers.set_all(tx, wanted)
        await timers.bring_forward(tx, wanted)


async def keep_watch(
    tx: Transaction, before: FollowUpTask, after: FollowUpTask, *, now: datetime
) -> None:
    """Let the timers of one task follow what was done to it.

    They are silent while it is done or paused; after a pause they ring as much later as the
    deadline moved. What has rung once stays rung.
    """
    was_watched = before.is_open and before.paused_since is None
    is_watched = after.is_open and after.paused_since is None
    if was_watched and not is_watched:
        await silence(tx, [after.id], now=now)
    elif is_watched and not was_watched:
        await wake(tx, [after.id])
        if before.paused_since is not None:
            await _move(tx, after, since=before.paused_since, now=now)
            await tighten(tx, [after], {})


async def silence(tx: Transaction, task_ids: Sequence[str], *, now: datetime) -> None:
    """Keep every timer of these tasks from ringing."""
    await timers.cancel(tx, _subjects(task_ids), now=now)


async def wake(tx: Transaction, task_ids: Sequence[str]) -> None:
    """Take back the silence; what has rung once stays rung."""
    await timers.wake(tx, _subjects(task_ids))


def task_id_of(timer: Timer) -> str:
    """Return whose timer it is."""
    return timer.subject.partition("#")[0]


def place_of(timer: Timer) -> int:
    """Return which of its kind a timer is, the first being 0."""
    return int(timer.subject.partition("#")[2] or 0)


async def _move(tx: Transaction, task: FollowUpTask, *, since: datetime, now: datetime) -> None:
    scheme = await store.scheme_of(tx, task.scheme.id, task.scheme.version)
    waiting = await timers.waiting(tx, tx.plumbing.timers, _subjects([task.id]))
    await timers.move(
        tx,
        [
            replace(one, due_at=put_off(one.due_at, scheme.breaching, since=since, now=now))
            for one in waiting
            if one.kind in KINDS
        ],
    )


def _wanted(
    tasks: Sequence[FollowUpTask], schemes: Mapping[str, RecoveryScheme]
) -> Sequence[Timer]:
    return [timer for task in tasks for timer in _timers(task, schemes.get(task.scheme.id))]


def _timers(task: FollowUpTask, scheme: RecoveryScheme | None) -> Iterator[Timer]:
    yield Timer(kind=TaskOverdue.TYPE, subject=task.id, due_at=task.due_at)
    if scheme is None:
        # Of a scheme that is gone nothing is known but the deadlines that the task keeps.
        yield Timer(kind=TaskDueSoon.TYPE, subject=task.id, due_at=task.due_at)
        return
    promised = scheme.deadlines(task.opened_at)
    clock = scheme.breaching
    # What pauses have put the deadline off by, they have put all of these off by.
    paused = clock.between(promised.due_at, task.due_at)
    for n, at in enumerate(promised.reminders):
        subject, due_at = _subject(task.id, n), clock.add(at, paused)
        yield Timer(kind=TaskDueSoon.TYPE, subject=subject, due_at=due_at)
    for n, (at, _) in enumerate(promised.escalations):
        subject, due_at = _subject(task.id, n), clock.add(at, paused)
        yield Timer(kind=TaskEscalated.TYPE, subject=subject, due_at=due_at)


KINDS = frozenset({TaskDueSoon.TYPE, TaskOverdue.TYPE, TaskEscalated.TYPE})
"""The timers of the clock of the resolution."""


def _subjects(task_ids: Sequence[str]) -> Sequence[str]:
    return [_subject(task_id, n) for task_id in task_ids for n in range(MOST_OF_A_KIND)]


def _subject(task_id: str, n: int) -> str:
    return f"{task_id}#{n}" if n else task_id
