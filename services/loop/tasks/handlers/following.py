"""What later revisions of answers do to the tasks that they have, a whole poll at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from services.loop.responses.domain import Response
from services.loop.responses.store import find_all
from services.loop.tasks import store
from services.loop.tasks.domain.facts import (
    Acted,
    Closed,
    Reopened,
)
from services.loop.tasks.domain.joining import revised_again
from services.loop.tasks.domain.revising import Call, revised
from services.loop.tasks.domain.schemes import RecoveryScheme
from services.loop.tasks.domain.task import (
    FollowUpTask,
)
from services.loop.tasks.handlers.watching import silence, tighten, wake
from shared.db.transaction import Transaction


async def follow(
    tx: Transaction,
    known: Mapping[str, FollowUpTask],
    calls: Mapping[str, Call | None],
    latest: Mapping[str, Response],
    *,
    now: datetime,
) -> Sequence[Acted]:
    """Bring the tasks of revised responses up to date; return every change, in order.

    ``known``, ``calls`` and ``latest`` are by response id.
    """
    joined = await store.joined_to(
        tx, [one for one, task in known.items() if task.response_id != one]
    )
    behind = {
        one: task.id
        for one, task in known.items()
        if latest[one].revision > (joined[one][1] if one in joined else task.response_revision)
    }
    tasks = await store.lock_many(tx, sorted(set(behind.values())))
    several = [task for task in tasks.values() if task.other_responses]
    ids = [one for task in several for one in (task.response_id, *task.other_responses)]
    answers = {**await find_all(tx, ids), **latest}
    changes: list[Acted] = []
    for response_id in sorted(behind, key=lambda one: (behind[one], one)):
        task = tasks[behind[response_id]]
        response, call = latest[response_id], calls[response_id]
        others_call = any(
            answers[other].is_low
            for other in (task.response_id, *task.other_responses)
            if other != response_id and other in answers
        )
        if response_id in joined:
            acts = revised_again(task, response, call=call, others_call=others_call, now=now)
            await store.join(tx, task.id, response_id, response.revision, now=now)
        else:
            acts = revised(task, response, call=call, others_call=others_call, now=now)
        for acted in acts:
            await store.save(tx, acted, key=None)
            changes.append(acted)
            tasks = {**tasks, task.id: acted.task}
    return changes


async def rewatch(
    tx: Transaction,
    changes: Sequence[Acted],
    schemes: Mapping[str, RecoveryScheme],
    *,
    now: datetime,
) -> None:
    """Let the timers of changed tasks ring for what is promised now, or not at all."""
    latest = {acted.task.id: acted.task for acted in changes}
    reopened = {a.task.id for a in changes if isinstance(a.fact, Reopened)}
    closed = {a.task.id for a in changes if isinstance(a.fact, Closed)}
    await silence(tx, sorted(closed), now=now)
    await wake(tx, sorted(reopened))
    await tighten(tx, [task for task in latest.values() if task.is_open], schemes)
