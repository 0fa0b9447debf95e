"""A poll of responses becomes tasks, or reasons why not; safe to repeat."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from services.loop.journey.domain import OwnerRef
from services.loop.journey.store import named
from services.loop.responses.domain import Personal, Response
from services.loop.tasks import store
from services.loop.tasks.domain.conditions import Circumstances
from services.loop.tasks.domain.facts import (
    Acted,
)
from services.loop.tasks.domain.joining import joined
from services.loop.tasks.domain.opening import (
    opened,
)
from services.loop.tasks.domain.planning import (
    Case,
    Cases,
    Joined,
    New,
    Plan,
    burst_of,
    is_unhappy,
    plan,
    scheme_for,
)
from services.loop.tasks.domain.revising import Call
from services.loop.tasks.domain.rules import (
    NoAction,
    OpenTask,
    RuleBook,
    decide,
    decide_at_any_age,
)
from services.loop.tasks.domain.schemes import RecoveryScheme
from services.loop.tasks.domain.task import (
    FollowUpTask,
)
from services.loop.tasks.handlers.announcing import event_of, members_of
from services.loop.tasks.handlers.following import follow, rewatch
from services.loop.tasks.handlers.placing import circumstances_of, desks_of
from services.loop.tasks.handlers.watching import tighten, watch
from shared.db.transaction import Transaction
from shared.events.envelope import Envelope
from shared.events.loop import TaskOpened
from shared.ids import new_id


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
    themes: Mapping[str, Collection[str]] | None = None,
    persons: Mapping[str, Personal] | None = None,
) -> Mapping[str, Opened | NoAction]:
    """Open the tasks that the rules call for; tell for each response what became of it.

    All mappings are by response id. A response that has a task keeps it, and the task follows
    the revision; one of a customer whose case is open joins that. Of ``erased`` persons nobody
    can be called: no task of theirs is opened, and the answer says nothing of those that have
    none.
    """
    latest = {response.id: response for response in responses}
    book = await store.current_rules(tx)
    schemes = await store.current_schemes(tx)
    known = dict(await store.of_responses(tx, list(latest)))
    around = await circumstances_of(
        tx,
        list(latest.values()),
        book,
        themes=themes or {},
        persons=persons or {},
        now=now,
    )

    new = [response for response in latest.values() if response.id not in known]
    plans = await _planned(
        tx, new, book, schemes, around=around, owners=owners, now=now, erased=erased
    )
    fresh = {
        one.task_id: (one, _opened(one, now)) for one in plans.values() if isinstance(one, New)
    }
    added = await store.add(tx, [acted for _, acted in fresh.values()])
    instead: dict[str, str] = {}
    if len(added) < len(fresh):
        # Somebody else opened one at the same moment: theirs is the task then.
        late = {one.response.id: i for i, (one, _) in fresh.items() if i not in added}
        theirs = await store.of_responses(tx, list(late))
        instead = {late[response_id]: task.id for response_id, task in theirs.items()}
        known |= theirs
    ours = [acted.task for i, (_, acted) in fresh.items() if i in added]
    for one, acted in fresh.values():
        if acted.task.id in added:
            await watch(tx, [acted.task], {**schemes, one.scheme.id: one.scheme})

    joining = [one for one in plans.values() if isinstance(one, Joined)]
    cases = await _join(tx, joining, schemes, instead=instead, now=now)
    calls = {
        r: _call_of(latest[r], book, schemes, around[r], erased, repeat=known[r].repeat)
        for r in known
    }
    followed = await follow(tx, known, calls, latest, now=now)
    await rewatch(tx, followed, schemes, now=now)
    after = {acted.task.id: acted.task for acted in followed}
    known = {r: after.get(task.id, task) for r, task in known.items()}

    bursts = await _bursts(tx, ours, book, now=now)
    await _announce(tx, ours, followed, causes, bursts=bursts, now=now)
    return {
        **{r: one for r, one in plans.items() if isinstance(one, NoAction)},
        **{
            r: Opened(task_id=task.id, is_open=task.is_open, is_new=False)
            for r, task in {**known, **cases}.items()
        },
        **{task.response_id: Opened(task_id=task.id) for task in ours},
    }


async def _planned(
    tx: Transaction,
    responses: Sequence[Response],
    book: RuleBook,
    schemes: Mapping[str, RecoveryScheme],
    *,
    around: Mapping[str, Circumstances],
    owners: Mapping[str, OwnerRef],
    now: datetime,
    erased: Collection[str],
) -> Mapping[str, Plan]:
    """Plan what becomes of responses that have no task yet."""
    if not responses:
        return {}
    cases = Cases()
    if book.repeat_within:
        refs = sorted({response.person_ref for response in responses})
        for task in await store.cases_of(tx, refs, since=now - book.repeat_within):
            if is_unhappy(task.metric, task.score):
                case = Case(task_id=task.id, opened_at=task.opened_at, ended_at=task.ended_at)
                cases.add(task.person_ref, case)
    contacts = [around[response.id].contact for response in responses]
    desks = await desks_of(tx, book, contacts, owners=owners.values(), first=now, last=now)
    return plan(
        responses,
        book=book,
        schemes=schemes,
        around=around,
        owners=owners,
        desks=desks,
        cases=cases,
        at=lambda _: now,
        task_id=lambda _: new_id("tsk"),
        erased=erased,
    )


def _opened(one: New, now: datetime) -> Acted:
    return opened(
        one.response,
        task_id=one.task_id,
        rule=one.rule,
        scheme=one.scheme,
        owner=one.routed.owner,
        because=one.routed.because,
        repeat=one.repeat,
        now=now,
    )


async def _join(
    tx: Transaction,
    answers: Sequence[Joined],
    schemes: Mapping[str, RecoveryScheme],
    *,
    instead: Mapping[str, str],
    now: datetime,
) -> Mapping[str, FollowUpTask]:
    """Take further answers into the cases of their customers; return those by response."""
    ids = {one.response.id: instead.get(one.task_id, one.task_id) for one in answers}
    cases = dict(await store.lock_many(tx, sorted(set(ids.values()))))
    for one in answers:
        acted = joined(cases[ids[one.response.id]], one, now=now)
        await store.save(tx, acted, key=None)
        await store.join(tx, acted.task.id, one.response.id, one.response.revision, now=now)
        await tighten(tx, [acted.task], {**schemes, acted.task.scheme.id: one.scheme})
        cases[acted.task.id] = acted.task
    return {response_id: cases[task_id] for response_id, task_id in ids.items()}


def _call_of(
    response: Response,
    book: RuleBook,
    schemes: Mapping[str, RecoveryScheme],
    around: Circumstances,
    erased: Collection[str],
    *,
    repeat: bool,
) -> Call | None:
    """Return what the rules say of an answer whose customer was promised a call before."""
    around = replace(around, repeat=repeat)
    decision = decide_at_any_age(response, book, around)
    if isinstance(decision, NoAction):
        return None
    opens = isinstance(decide(response, book, around), OpenTask) and response.id not in erased
    return Call(rule=decision.rule, scheme=scheme_for(decision, schemes), may_open=opens)


async def _bursts(
    tx: Transaction, ours: Sequence[FollowUpTask], book: RuleBook, *, now: datetime
) -> Mapping[str, str]:
    """Return the touchpoints at which many customers are unhappy at once, with its name."""
    touchpoints = sorted({t.touchpoint for t in ours if t.touchpoint is not None})
    if not book.burst_at_least or not touchpoints:
        return {}
    since = now - book.burst_within
    counts = await store.opened_lately(tx, touchpoints, since=since)
    return {code: burst_of(code) for code, n in counts.items() if n >= book.burst_at_least}


async def _announce(
    tx: Transaction,
    ours: Sequence[FollowUpTask],
    followed: Sequence[Acted],
    causes: Mapping[str, Envelope],
    *,
    bursts: Mapping[str, str],
    now: datetime,
) -> None:
    names = await named(tx) if ours or any(acted.fact for acted in followed) else {}
    for acted in followed:
        if acted.fact is not None:
            tx.announce(
                event_of(acted.task, acted.fact, names, now=now),
                key=acted.task.person_ref,
                at=now,
                cause=_cause(acted.task, causes),
            )
    for task in ours:
        tx.announce(
            TaskOpened(**members_of(task, names), burst=bursts.get(task.touchpoint or "")),
            key=task.person_ref,
            at=now,
            cause=causes.get(task.response_id),
        )


def _cause(task: FollowUpTask, causes: Mapping[str, Envelope]) -> Envelope | None:
    """Return the event of this poll that changed a case."""
    answers = (task.response_id, *task.other_responses)
    return next((causes[one] for one in answers if one in causes), None)
