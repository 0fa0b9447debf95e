"""A poll of responses becomes tasks, or reasons why not; safe to repeat."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from services.loop.journey.domain import OwnerRef
from services.loop.journey.store import named
from services.loop.responses.domain import Response
from services.loop.tasks import store
from services.loop.tasks.domain.rules import NoAction, OpenTask, RuleBook, decide
from services.loop.tasks.domain.schemes import DEFAULT_SCHEME, RecoveryScheme
from services.loop.tasks.domain.task import Acted, FollowUpTask, opened, revised
from services.loop.tasks.handlers.announcing import members_of
from shared.db.timers import Timer, set_all
from shared.db.transaction import Transaction
from shared.events.envelope import Envelope
from shared.events.loop import TaskDueSoon, TaskOpened, TaskOverdue
from shared.identity.groups import DEFAULT_TEAM
from shared.ids import new_id

DEFAULT_OWNER = OwnerRef(id=DEFAULT_TEAM, kind="team")


@dataclass(frozen=True, kw_only=True)
class Opened:
    """A response has a task: opened just now, or known from before."""

    task_id: str
    is_open: bool = True
    is_new: bool = True


async def open_tasks(
    tx: Transaction,
    responses: Sequence[Response],
    *,
    owners: Mapping[str, OwnerRef],
    causes: Mapping[str, Envelope],
    now: datetime,
) -> Mapping[str, Opened | NoAction]:
    """Open the tasks that the rules call for; tell for each response what became of it.

    ``owners`` is by touchpoint code, ``causes`` by response id. A response that has a task
    keeps it, whatever the rules say of its revision; the task then follows the revision.
    """
    latest = {response.id: response for response in responses}
    book = await store.current_rules(tx)
    schemes = await store.current_schemes(tx)
    known = dict(await store.of_responses(tx, list(latest)))

    decisions = {response.id: decide(response, book) for response in latest.values()}
    fresh = [
        opened(
            latest[response_id],
            task_id=new_id("tsk"),
            rule=decision.rule,
            scheme=_scheme_of(decision, schemes),
            owner=owners.get(latest[response_id].touchpoint or "", DEFAULT_OWNER),
            now=now,
        )
        for response_id, decision in decisions.items()
        if isinstance(decision, OpenTask) and response_id not in known
    ]

    added = await store.add(tx, fresh)
    if len(added) < len(fresh):
        # Somebody else opened one at the same moment: theirs is the task then.
        others = [one.task.response_id for one in fresh if one.task.id not in added]
        known |= await store.of_responses(tx, others)
    known |= await _follow(tx, known, latest, book, now=now)

    ours = [one.task for one in fresh if one.task.id in added]
    await set_all(tx, [timer for task in ours for timer in _timers(task, schemes)])
    names = await named(tx) if ours else {}
    for task in ours:
        tx.announce(
            TaskOpened(**members_of(task, names)),
            key=task.person_ref,
            at=now,
            cause=causes.get(task.response_id),
        )
    return {
        **{r: decision for r, decision in decisions.items() if isinstance(decision, NoAction)},
        **{
            task.response_id: Opened(task_id=task.id, is_open=task.is_open, is_new=False)
            for task in known.values()
        },
        **{task.response_id: Opened(task_id=task.id) for task in ours},
    }


def _scheme_of(decision: OpenTask, schemes: Mapping[str, RecoveryScheme]) -> RecoveryScheme:
    # A rule that names a scheme nobody knows must not cost a customer the call.
    return schemes.get(decision.rule.scheme) or schemes[DEFAULT_SCHEME["id"]]


async def _follow(
    tx: Transaction,
    known: Mapping[str, FollowUpTask],
    latest: Mapping[str, Response],
    book: RuleBook,
    *,
    now: datetime,
) -> Mapping[str, FollowUpTask]:
    """Bring the tasks of revised responses up to date; return those that changed."""
    behind = [
        task.id
        for response_id, task in known.items()
        if latest[response_id].revision > task.response_revision
    ]
    if not behind:
        return {}
    changes: list[Acted] = []
    for task in (await store.lock_many(tx, behind)).values():
        response = latest[task.response_id]
        still_calls = isinstance(decide(response, book), OpenTask)
        change = revised(task, response, still_calls=still_calls, now=now)
        if change is not None:
            await store.save(tx, change, key=None)
            changes.append(change)
    return {change.task.response_id: change.task for change in changes}


def _timers(task: FollowUpTask, schemes: Mapping[str, RecoveryScheme]) -> Sequence[Timer]:
    remind_at = schemes[task.scheme.id].deadlines(task.opened_at).remind_at
    return (
        Timer(kind=TaskDueSoon.TYPE, subject=task.id, due_at=remind_at),
        Timer(kind=TaskOverdue.TYPE, subject=task.id, due_at=task.due_at),
    )
