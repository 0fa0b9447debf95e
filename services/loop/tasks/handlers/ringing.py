"""A timer rings: the owner is reminded, the broken promise told, others drawn in, each once.

Nothing rings for a task that is done or whose clock stands still, and nothing at night unless
the scheme asks for it: what comes due then waits until somebody is at work. Who is told is
looked up when it rings, so that a task that was handed on is told of where it is now.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from services.loop.journey import domain as journey
from services.loop.journey.domain.calendars import waking_hours
from services.loop.journey.store import named
from services.loop.tasks import store
from services.loop.tasks.domain.facts import (
    Entry,
)
from services.loop.tasks.domain.schemes import RecoveryScheme
from services.loop.tasks.domain.task import (
    SYSTEM,
    FollowUpTask,
)
from services.loop.tasks.handlers.announcing import members_of
from services.loop.tasks.handlers.chasing import KINDS as PROMISES
from services.loop.tasks.handlers.chasing import ring_promises
from services.loop.tasks.handlers.escalating import told_of
from services.loop.tasks.handlers.watching import place_of, task_id_of
from shared.db.timers import DueTimer, postpone, settle
from shared.db.transaction import Reading, Transaction
from shared.events.envelope import Event
from shared.events.loop import OwnerRef, TaskDueSoon, TaskEscalated, TaskOverdue
from shared.identity.owners import addresses_of


async def ring(tx: Transaction, timers: Sequence[DueTimer], *, now: datetime) -> int:
    """Announce what these claimed timers warn of; return how many rang.

    Silent are those of a task that is done, a reminder that the deadline or the next reminder
    has overtaken (the program was down, or it was night), and one that another worker has taken
    over meanwhile.
    """
    promises = [timer for timer in timers if timer.kind in PROMISES]
    timers = [timer for timer in timers if timer.kind not in PROMISES]
    tasks = await store.lock_many(tx, sorted({task_id_of(timer) for timer in timers}))
    schemes = await store.schemes_of(tx, [task.scheme for task in tasks.values()])
    names = await named(tx) if tasks else {}
    latest = {
        task_id_of(timer): place_of(timer)
        for timer in sorted(timers, key=place_of)
        if timer.kind == TaskDueSoon.TYPE
    }
    entries: list[tuple[FollowUpTask, Entry]] = []
    for timer in timers:
        task = tasks.get(task_id_of(timer))
        outcome = _outcome(timer, task, latest, now)
        if task is None or outcome != "rung":
            await settle(tx, timer, now=now, outcome=outcome)
            continue
        scheme = schemes[task.scheme]
        if place_of(timer) >= _number(timer, scheme):
            # A later answer put the task under another scheme, which warns less often.
            await settle(tx, timer, now=now, outcome="overtaken")
            continue
        morning = await _next_at_work(tx, task, scheme, now)
        if morning > now:
            await postpone(tx, timer, until=morning)
            continue
        told = await _told(tx, timer, task, scheme, now=now)
        if told is not None and not told:
            await settle(tx, timer, now=now, outcome="nobody-to-tell")
            continue
        if await settle(tx, timer, now=now, outcome=outcome):
            event, detail = await _warning(tx, timer, task, scheme, told, now=now, names=names)
            tx.announce(event, key=task.person_ref, at=now)
            act = timer.kind.split(".")[1]
            entry = Entry(version=task.version, act=act, at=now, by=SYSTEM, detail=detail)
            entries.append((task, entry))
    await store.add_entries(tx, entries)

    async def at_work(task: FollowUpTask) -> datetime:
        scheme = await store.scheme_of(tx, task.scheme.id, task.scheme.version)
        return await _next_at_work(tx, task, scheme, now)

    return len(entries) + await ring_promises(tx, promises, at_work=at_work, now=now)


def _outcome(
    timer: DueTimer, task: FollowUpTask | None, latest: Mapping[str, int], now: datetime
) -> str:
    if task is None:
        return "no-task"
    if not task.is_open:
        return "done-before"
    if timer.kind == TaskDueSoon.TYPE and (
        now >= task.due_at or place_of(timer) < latest[task.id]
    ):
        return "overtaken"
    return "rung"


def _number(timer: DueTimer, scheme: RecoveryScheme) -> int:
    of_kind = {TaskDueSoon.TYPE: scheme.reminders, TaskEscalated.TYPE: scheme.escalations}
    return len(of_kind.get(timer.kind, (timer,)))


async def _told(
    view: Reading, timer: DueTimer, task: FollowUpTask, scheme: RecoveryScheme, *, now: datetime
) -> Sequence[journey.OwnerRef] | None:
    """Return who is told besides the owner; None where this is for the owner alone."""
    if timer.kind != TaskEscalated.TYPE:
        return None
    return await told_of(view, task, scheme.escalations[place_of(timer)].to, now=now)


async def _warning(
    tx: Transaction,
    timer: DueTimer,
    task: FollowUpTask,
    scheme: RecoveryScheme,
    told: Sequence[journey.OwnerRef] | None,
    *,
    names: Mapping[str, str],
    now: datetime,
) -> tuple[Event, Mapping[str, object]]:
    members = members_of(task, names)
    owner = {"owner": task.owner.id}
    if timer.kind == TaskDueSoon.TYPE:
        return TaskDueSoon(**members), owner
    if told is None:
        return TaskOverdue(**members), owner
    level = scheme.escalations[place_of(timer)].to
    await store.note_escalated(tx, [(task.id, one.id) for one in told], at=now)
    refs = [OwnerRef(id=one.id, kind=one.kind) for one in told]
    return (
        TaskEscalated(**members, level=level, to=refs),
        {**owner, "level": level, "told": [one.id for one in told]},
    )


async def _next_at_work(
    view: Reading, task: FollowUpTask, scheme: RecoveryScheme, now: datetime
) -> datetime:
    """Return when this task may be told of: now, or when somebody is at work again."""
    if scheme.night:
        return now
    if scheme.hours is not None:
        return scheme.hours.next_open(now)
    reached = await addresses_of(view, task.owner.id, task.owner.kind)
    zone = reached[0].time_zone if reached else "UTC"
    return waking_hours(zone).next_open(now)
