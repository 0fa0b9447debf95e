"""Sample responses are taken away: what they led to goes, as if they had never come."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime

from services.loop.journey.domain import KINDS
from services.loop.journey.handlers import count_emotion
from services.loop.journey.handlers.sample import remove_brought, remove_seen
from services.loop.responses import store as responses
from services.loop.responses.domain import Response
from services.loop.responses.handlers import remove_responses
from services.loop.tasks import store
from services.loop.tasks.domain.task import FollowUpTask
from services.loop.tasks.store.removing import owners_of_tasks, remove_answers, remove_tasks
from services.loop.themes.handlers import forget_mentions
from services.loop.themes.handlers.editing import unassign
from shared.db.transaction import Transaction
from shared.events.ingest import ResponseRemoved
from shared.events.loop import TaskRemoved


async def take_out(
    tx: Transaction, removed: Sequence[ResponseRemoved], *, now: datetime
) -> None:
    """Forget a poll's removed responses; again is no change."""
    ids = sorted({event.response_id for event in removed})
    cases = await store.of_responses(tx, ids)
    gone = await remove_responses(tx, ids)
    await forget_mentions(tx, gone)
    await _remove_tasks(tx, cases, {response.id: response for response in gone}, now=now)

    async def still_named(kind: str, codes: Collection[str]) -> frozenset[str]:
        return await responses.still_named(tx, kind, codes)  # type: ignore[arg-type] # one of them

    named: dict[str, Collection[str]] = {
        kind: {code for response in gone if (code := getattr(response, kind))}
        for kind in ("touchpoint", *KINDS)
    }
    await remove_seen(tx, named, still_named)
    gone_with = await remove_brought(tx, still_named, owners=await owners_of_tasks(tx))
    await unassign(tx, gone_with, now=now)


async def _remove_tasks(
    tx: Transaction,
    cases: Mapping[str, FollowUpTask],
    gone: Mapping[str, Response],
    *,
    now: datetime,
) -> None:
    """Remove the tasks that no answer is left of; one with somebody's own answer stays."""
    if not cases:
        return
    locked = await store.lock_many(tx, sorted({task.id for task in cases.values()}))
    answers = {task.id: (task.response_id, *task.other_responses) for task in locked.values()}
    left = await responses.find_all(tx, [one for ids in answers.values() for one in ids])
    empty = [task for task in locked.values() if left.keys().isdisjoint(answers[task.id])]
    await remove_answers(tx, sorted(cases))
    for task in empty:
        await _take_back_emotions(tx, task, gone.get(task.response_id))
    await remove_tasks(tx, empty)
    for task in empty:
        event = TaskRemoved(task_id=task.id, person_ref=task.person_ref)
        tx.announce(event, key=task.person_ref, at=now)


async def _take_back_emotions(
    tx: Transaction, task: FollowUpTask, answer: Response | None
) -> None:
    """Take out of the counts what staff heard from the customer of a sample."""
    for attempt in task.record.attempts:
        if attempt.emotion_before is not None:
            await count_emotion(
                tx,
                reason=answer.reason if answer else None,
                emotion=attempt.emotion_before,
                day=attempt.at.astimezone(UTC).date(),
                n=-1,
            )
