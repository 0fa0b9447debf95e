"""A poll of responses becomes tasks, or reasons why not; safe to repeat."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from services.loop.journey.domain import OwnerRef
from services.loop.journey.store import named
from services.loop.responses.domain import Response
from services.loop.tasks import store
from services.loop.tasks.domain.revising import Call, revised
from services.loop.tasks.domain.rules import (
    NoAction,
    OpenTask,
    RuleBook,
    decide,
    decide_at_any_age,
)
from services.loop.tasks.domain.schemes import DEFAULT_SCHEME, RecoveryScheme
from services.loop.tasks.domain.task import Acted, Closed, FollowUpTask, Reopened, opened
from services.loop.tasks.handlers.announcing import event_of, members_of
from services.loop.tasks.handlers.watching import silence, tighten, wake, watch
from shared.db.transaction import Transaction
from shared.events.envelope import Envelope
from shared.events.loop import TaskOpened
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
    erased: Collection[str] = (),
) -> Mapping[str, Opened | NoAction]:
    """Open the tasks that the rules call for; tell for each response what became of it.

    ``owners`` and ``causes`` are by response id. A response that has a task
    keeps it, and the task follows the revision. Of ``erased`` persons nobody can be called:
    no task of theirs is opened, and the answer says nothing of those that have none.
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
            owner=owners.get(response_id, DEFAULT_OWNER),
            now=now,
        )
        for response_id, decision in decisions.items()
        if isinstance(decision, OpenTask)
        and response_id not in known
        and response_id not in erased
    ]

    added = await store.add(tx, fresh)
    if len(added) < len(fresh):
        # Somebody else opened one at the same moment: theirs is the task then.
        others = [one.task.response_id for one in fresh if one.task.id not in added]
        known |= await store.of_responses(tx, others)
    followed = await _follow(
        tx,
        known,
        {r: _call_of(latest[r], book, schemes, erased) for r in known},
        latest,
        now=now,
    )
    known |= {acted.task.response_id: acted.task for acted in followed}
    await _watch(tx, followed, schemes, now=now)

    ours = [one.task for one in fresh if one.task.id in added]
    await watch(tx, ours, schemes)
    names = await named(tx) if ours or any(acted.fact for acted in followed) else {}
    for acted in followed:
        if acted.fact is not None:
            tx.announce(
                event_of(acted.task, acted.fact, names, now=now),
                key=acted.task.person_ref,
                at=now,
                cause=causes.get(acted.task.response_id),
            )
    for task in ours:
        tx.announce(
            TaskOpened(**members_of(task, names)),
            key=task.person_ref,
            at=now,
            cause=causes.get(task.response_id),
        )
    return {
        **{
            r: decision
            for r, decision in decisions.items()
            if isinstance(decision, NoAction) and r not in erased
        },
        **{
            task.response_id: Opened(task_id=task.id, is_open=task.is_open, is_new=False)
            for task in known.values()
        },
        **{task.response_id: Opened(task_id=task.id) for task in ours},
    }


def _scheme_of(decision: OpenTask, schemes: Mapping[str, RecoveryScheme]) -> RecoveryScheme:
    # A rule that names a scheme nobody knows must not cost a customer the call.
    return schemes.get(decision.rule.scheme) or schemes[DEFAULT_SCHEME["id"]]


def _call_of(
    response: Response,
    book: RuleBook,
    schemes: Mapping[str, RecoveryScheme],
    erased: Collection[str],
) -> Call | None:
    """Return what the rules say of an answer whose customer was promised a call before."""
    decision = decide_at_any_age(response, book)
    if isinstance(decision, NoAction):
        return None
    opens = isinstance(decide(response, book), OpenTask) and response.id not in erased
    scheme = _scheme_of(decision, schemes)
    return Call(rule=decision.rule, scheme=scheme, may_open=opens)


async def _follow(
    tx: Transaction,
    known: Mapping[str, FollowUpTask],
    calls: Mapping[str, Call | None],
    latest: Mapping[str, Response],
    *,
    now: datetime,
) -> Sequence[Acted]:
    """Bring the tasks of revised responses up to date; return every change, in order."""
    behind = [
        task.id
        for response_id, task in known.items()
        if latest[response_id].revision > task.response_revision
    ]
    changes: list[Acted] = []
    for task in (await store.lock_many(tx, behind)).values():
        response_id = task.response_id
        for acted in revised(task, latest[response_id], call=calls[response_id], now=now):
            await store.save(tx, acted, key=None)
            changes.append(acted)
    return changes


async def _watch(
    tx: Transaction,
    changes: Sequence[Acted],
    schemes: Mapping[str, RecoveryScheme],
    *,
    now: datetime,
) -> None:
    """Let the timers of revised tasks ring for what is promised now, or not at all."""
    latest = {acted.task.id: acted.task for acted in changes}
    reopened = {a.task.id for a in changes if isinstance(a.fact, Reopened)}
    closed = {a.task.id for a in changes if isinstance(a.fact, Closed)}
    await silence(tx, sorted(closed), now=now)
    await wake(tx, sorted(reopened))
    await tighten(tx, [task for task in latest.values() if task.is_open], schemes)
