"""What was promised to a customer is chased like a task, also where another department does it.

An agreed action has an owner and a due time of its own: whoever does it is told when it is
given to them, halfway, and when it is late. A promised further contact is told of when it is
due. Each rings once, and none for what is done.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from typing import Final

from services.loop.journey.store import named
from services.loop.tasks import store
from services.loop.tasks.domain.facts import (
    Contacted,
    Entry,
    Fact,
    Promised,
)
from services.loop.tasks.domain.task import (
    SYSTEM,
    AgreedAction,
    FollowUpTask,
)
from services.loop.tasks.handlers.announcing import contact_event, promise_event
from shared.db.timers import DueTimer, Timer, postpone, set_all, settle
from shared.db.transaction import Transaction
from shared.events.envelope import Event

_SOON: Final = "task.action-due-soon"
_LATE: Final = "task.action-overdue"
_CONTACT: Final = "task.contact-due"
KINDS: Final = frozenset({_SOON, _LATE, _CONTACT})
"""The timers of promises; those of the task's own clocks are other ones."""

AtWork = Callable[[FollowUpTask], Awaitable[datetime]]
"""Returns when somebody may be told of a task: now, or when they are at work again."""


async def watch_promises(
    tx: Transaction, task: FollowUpTask, fact: Fact | None, *, now: datetime
) -> None:
    """Set the timers of what an act promised to the customer."""
    if isinstance(fact, Promised):
        action, subject = fact.action, f"{task.id}/{fact.action.n}"
        halfway = now + (action.due_at - now) / 2
        await set_all(
            tx,
            [
                Timer(kind=_SOON, subject=subject, due_at=halfway),
                Timer(kind=_LATE, subject=subject, due_at=action.due_at),
            ],
        )
    elif isinstance(fact, Contacted) and fact.attempt.next_contact_at is not None:
        attempt, at = fact.attempt, fact.attempt.next_contact_at
        subject = f"{task.id}/{attempt.entry}"
        await set_all(tx, [Timer(kind=_CONTACT, subject=subject, due_at=at)])


async def ring_promises(
    tx: Transaction, timers: Sequence[DueTimer], *, at_work: AtWork, now: datetime
) -> int:
    """Tell whoever promised something that it is due; return how many were told."""
    ids = {timer.subject.partition("/")[0] for timer in timers}
    tasks = await store.lock_many(tx, sorted(ids))
    names = await named(tx) if tasks else {}
    entries: list[tuple[FollowUpTask, Entry]] = []
    for timer in timers:
        task_id, _, number = timer.subject.partition("/")
        task = tasks.get(task_id)
        event = None if task is None else _event(timer, task, int(number), names, now)
        if task is None or event is None:
            await settle(tx, timer, now=now, outcome="done-before")
            continue
        # A contact was promised for this very hour, whatever the hour is.
        if timer.kind != _CONTACT and (morning := await at_work(task)) > now:
            await postpone(tx, timer, until=morning)
            continue
        if await settle(tx, timer, now=now):
            tx.announce(event, key=task.person_ref, at=now)
            detail = {"promise": timer.kind.removeprefix("task."), "n": int(number)}
            entry = Entry(
                version=task.version, act="promise-due", at=now, by=SYSTEM, detail=detail
            )
            entries.append((task, entry))
    await store.add_entries(tx, entries)
    return len(entries)


def _event(
    timer: DueTimer, task: FollowUpTask, number: int, names: Mapping[str, str], now: datetime
) -> Event | None:
    """Return what is to be told, or None where it is done or promised otherwise by now."""
    if not task.is_open:
        return None
    if timer.kind == _CONTACT:
        latest = task.record.attempts[-1] if task.record.attempts else None
        at = task.next_contact_at
        kept = at is None or latest is None or latest.entry != number
        return None if kept or at is None else contact_event(task, at, names)
    action = _unfinished(task, number)
    if action is None or (timer.kind == _SOON and now >= action.due_at):
        return None
    stage = "due_soon" if timer.kind == _SOON else "overdue"
    return promise_event(task, action, stage, names)  # type: ignore[arg-type] # one of the two


def _unfinished(task: FollowUpTask, n: int) -> AgreedAction | None:
    return next(
        (each for each in task.record.actions if each.n == n and each.finished is None), None
    )
