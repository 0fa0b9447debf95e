"""What each act leads to: the task after it, its line of history, the fact to announce.

The first five steps of RESOLVED come in any order; verify comes before eliminate, and both
before the end. A refusal names the state and what would allow the act.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, assert_never

from services.loop.journey.domain import OwnerRef
from services.loop.tasks.domain.acts import (
    ALLOWED_FROM,
    Act,
    AddNote,
    Agree,
    Assign,
    Claim,
    Close,
    Confirm,
    FinishAction,
    LogContact,
    PromiseAction,
    Reopen,
    Resolve,
    Resume,
    TakeStep,
    Wait,
)
from services.loop.tasks.domain.pausing import paused, resumed
from services.loop.tasks.domain.schemes import RecoveryScheme
from services.loop.tasks.domain.task import (
    Acted,
    Actor,
    AgreedAction,
    Agreement,
    Assigned,
    Closed,
    Closure,
    Confirmed,
    ContactAttempt,
    Contacted,
    Done,
    Entry,
    Fact,
    FollowUpTask,
    Record,
    Reopened,
    Resolution,
    Resolved,
    Step,
    StepDone,
    TaskState,
)
from shared.errors import Conflict, NotFound


def carry_out(  # noqa: C901, PLR0912 - one line per act: the table itself
    task: FollowUpTask,
    act: Act,
    *,
    by: Actor,
    now: datetime,
    scheme: RecoveryScheme | None = None,
) -> Acted:
    """Return what ``act`` leads to, or raise ``Conflict`` saying what would allow it.

    ``scheme`` is the task's own, as it stood when the task was opened; the program's acts need
    none.
    """
    if task.state not in ALLOWED_FROM[act.NAME]:
        raise _refusal(task, act, f"This is not possible while the task is {_said(task)}.")
    done = Done(entry=task.version + 1, at=now, by=by)
    if isinstance(act, LogContact | Resume | Resolve | Close):
        # These end a wait, so that what they lead to is judged by the clock that runs again.
        task = resumed(task, scheme, now=now)
    match act:
        case Claim():
            change = _claim(task, act, done)
        case Assign():
            change = _assign(task, act)
        case LogContact():
            change = _log_contact(task, act, done)
        case TakeStep():
            change = _take_step(task, act, done)
        case Agree():
            change = _agree(task, act, done)
        case PromiseAction():
            change = _promise_action(task, act, done)
        case FinishAction():
            change = _finish_action(task, act, done)
        case Wait():
            change = _wait(task, act, done, scheme)
        case Resume():
            change = _resume(task)
        case AddNote():
            change = _Change(task, words={"text": act.text})
        case Resolve():
            change = _resolve(task, act, done, scheme)
        case Confirm():
            change = _confirm(task, done)
        case Close():
            change = _close(task, act, done)
        case Reopen():
            change = _reopen(task, act, done)
        case unreachable:
            assert_never(unreachable)
    return Acted(
        task=replace(change.task, version=done.entry),
        entry=Entry(
            version=done.entry,
            act=act.NAME,
            at=now,
            by=by,
            detail=change.detail,
            words={name: words for name, words in change.words.items() if words},
        ),
        fact=change.fact,
    )


@dataclass(frozen=True)
class _Change:
    task: FollowUpTask
    detail: Mapping[str, object] = field(default_factory=dict)
    words: Mapping[str, str | None] = field(default_factory=dict)
    fact: Fact | None = None


def _claim(task: FollowUpTask, act: Claim, done: Done) -> _Change:
    if task.is_claimed:
        whose = "yours already" if task.owner.id == done.by.id else "a colleague's already"
        raise _refusal(
            task, act, f"This task is {whose}. Assign it to change its owner.", ["team_owner"]
        )
    return _owned_by(task, OwnerRef(id=done.by.id, kind="person"))


def _assign(task: FollowUpTask, act: Assign) -> _Change:
    if act.owner == task.owner:
        raise _refusal(task, act, "The task has this owner already.", ["another_owner"])
    change = _owned_by(task, act.owner)
    return replace(change, words={"reason": act.reason})


def _owned_by(task: FollowUpTask, owner: OwnerRef) -> _Change:
    return _Change(
        replace(task, owner=owner),
        detail={"from": task.owner.id, "to": owner.id},
        fact=Assigned(former_owner=task.owner),
    )


def _log_contact(task: FollowUpTask, act: LogContact, done: Done) -> _Change:
    attempt = ContactAttempt(
        **_done(done),
        mode=act.mode,
        result=act.result,
        next_contact_at=act.next_contact_at,
        emotion_before=act.emotion_before,
        emotion_after=act.emotion_after,
    )
    record = replace(task.record, attempts=(*task.record.attempts, attempt))
    if act.result == "reached" and not task.has_step(Step.RESPOND):
        record = _with_step(record, Step.RESPOND, done)
    return _Change(
        replace(
            task,
            state=TaskState.IN_PROGRESS,
            first_contact_at=task.first_contact_at or done.at,
            next_contact_at=act.next_contact_at,
            waiting_until=None,
            record=record,
        ),
        detail=_present(
            mode=act.mode,
            result=act.result,
            next_contact_at=_text(act.next_contact_at),
            emotion_before=act.emotion_before,
            emotion_after=act.emotion_after,
        ),
        words={"note": act.note},
        fact=Contacted(attempt=attempt, first=task.first_contact_at is None),
    )


def _take_step(task: FollowUpTask, act: TakeStep, done: Done) -> _Change:
    if act.step is Step.DOCUMENT:
        raise _refusal(task, act, "Documenting is part of resolving: use resolve.", ["resolve"])
    if act.step is Step.ELIMINATE and not task.has_step(Step.VERIFY):
        raise _refusal(
            task,
            act,
            "Eliminate comes after verify: first record what was agreed with the customer.",
            [Step.VERIFY.value],
        )
    return _Change(
        replace(task, record=_with_step(task.record, act.step, done)),
        detail={"step": act.step.value},
        words={"note": act.note},
    )


def _agree(task: FollowUpTask, act: Agree, done: Done) -> _Change:
    agreement = Agreement(**_done(done), agreed_at=act.at or done.at)
    record = _with_step(replace(task.record, agreement=agreement), Step.VERIFY, done)
    return _Change(
        replace(task, record=record),
        detail={"agreed_at": _text(agreement.agreed_at)},
        words={"asked_for": act.asked_for, "agreed": act.agreed, "with": act.agreed_with},
    )


def _promise_action(task: FollowUpTask, act: PromiseAction, done: Done) -> _Change:
    record = task.record
    action = AgreedAction(
        **_done(done),
        n=len(record.actions) + 1,
        round=record.round,
        owner=act.owner,
        due_at=act.due_at,
    )
    return _Change(
        replace(task, record=replace(record, actions=(*record.actions, action))),
        detail={"n": action.n, "owner": act.owner.id, "due_at": _text(act.due_at)},
        words={"what": act.what},
    )


def _finish_action(task: FollowUpTask, act: FinishAction, done: Done) -> _Change:
    record = task.record
    if not 1 <= act.n <= len(record.actions):
        raise NotFound(f"This task has no agreed action {act.n}.")
    if record.actions[act.n - 1].finished is not None:
        raise _refusal(task, act, f"Action {act.n} has been carried out already.")
    actions = tuple(
        replace(action, finished=done) if action.n == act.n else action
        for action in record.actions
    )
    record = replace(record, actions=actions)
    if task.has_step(Step.VERIFY) and all(action.finished for action in actions):
        # Everything that was agreed is done: that is the step eliminate.
        record = _with_step(record, Step.ELIMINATE, done)
    return _Change(replace(task, record=record), detail={"n": act.n})


def _wait(
    task: FollowUpTask, act: Wait, done: Done, scheme: RecoveryScheme | None
) -> _Change:
    state = {
        "customer": TaskState.WAITING_CUSTOMER,
        "internal": TaskState.WAITING_INTERNAL,
    }[act.waiting_for]
    waiting = replace(task, state=state, waiting_until=act.until)
    return _Change(
        paused(waiting, scheme, now=done.at),
        detail=_present(**{"for": act.waiting_for, "until": _text(act.until)}),
        words={"note": act.note},
    )


def _resume(task: FollowUpTask) -> _Change:
    return _Change(replace(task, state=TaskState.IN_PROGRESS, waiting_until=None))


def _resolve(
    task: FollowUpTask, act: Resolve, done: Done, scheme: RecoveryScheme | None
) -> _Change:
    if missing := task.missing_to_resolve():
        said = ", ".join(_MISSING.get(name, name) for name in missing)
        raise _refusal(task, act, f"Before this can be resolved, record: {said}.", missing)
    resolution = Resolution(
        **_done(done),
        outcome=act.outcome,
        cause_area=act.cause_area,
        content=act.content,
        avoidable=act.avoidable,
        within_deadline=done.at <= task.due_at,
        asking=act.asking,
        saved_until=None if scheme is None else done.at + scheme.saved_within,
    )
    record = task.record
    if not task.has_step(Step.ELIMINATE):
        record = _with_step(record, Step.ELIMINATE, done)
    record = _with_step(record, Step.DOCUMENT, done)
    return _Change(
        _ended(task, TaskState.RESOLVED, replace(record, resolution=resolution), done),
        detail={
            "outcome": act.outcome,
            "root_cause_area": act.cause_area,
            "content": act.content,
            "avoidable": act.avoidable,
        },
        words={"root_cause": act.cause, "lesson": act.lesson},
        fact=Resolved(resolution=resolution),
    )


_MISSING = {
    "reached_contact": "a contact in which the customer was reached",
    "verify": "what was agreed with the customer (verify)",
    "eliminate": "that the solution was carried out (eliminate)",
}


def _confirm(task: FollowUpTask, done: Done) -> _Change:
    record = replace(task.record, confirmation=done)
    return _Change(
        replace(task, state=TaskState.CONFIRMED, record=record),
        fact=Confirmed(confirmation=done),
    )


def _close(task: FollowUpTask, act: Close, done: Done) -> _Change:
    if act.reason == "unreachable" and (left := task.scheme.attempts - task.failed_tries) > 0:
        raise _refusal(
            task,
            act,
            f"The customer counts as unreachable after {task.scheme.attempts} tries"
            f" without success; {left} to go.",
            [f"attempts:{left}"],
        )
    closure = Closure(**_done(done), reason=act.reason)
    return _Change(
        _ended(task, TaskState.CLOSED, replace(task.record, closure=closure), done),
        detail={"reason": act.reason},
        words={"note": act.note},
        fact=Closed(closure=closure),
    )


def _ended(task: FollowUpTask, state: TaskState, record: Record, done: Done) -> FollowUpTask:
    return replace(
        task,
        state=state,
        record=record,
        ended_at=done.at,
        waiting_until=None,
        next_contact_at=None,
    )


_UNDONE = {Step.VERIFY, Step.ELIMINATE, Step.DOCUMENT}


def _reopen(task: FollowUpTask, act: Reopen, done: Done) -> _Change:
    record = task.record
    denials = (*record.denials, done) if done.by.kind == "customer" else record.denials
    return _Change(
        replace(
            task,
            state=TaskState.IN_PROGRESS,
            ended_at=None,
            # What was agreed did not hold, so it has to be agreed and carried out anew.
            record=replace(
                record,
                round=record.round + 1,
                steps=tuple(done for done in record.steps if done.step not in _UNDONE),
                agreement=None,
                resolution=None,
                confirmation=None,
                closure=None,
                denials=denials,
            ),
        ),
        detail={"from": task.state.value},
        words={"reason": act.reason},
        fact=Reopened(former_state=task.state, by=done.by),
    )


def _with_step(record: Record, step: Step, done: Done) -> Record:
    return replace(record, steps=(*record.steps, StepDone(**_done(done), step=step)))


def _done(done: Done) -> dict[str, Any]:
    return {"entry": done.entry, "at": done.at, "by": done.by}


def _present(**members: object) -> dict[str, object]:
    return {name: value for name, value in members.items() if value is not None}


def _text(moment: datetime | None) -> str | None:
    if moment is None:
        return None
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _said(task: FollowUpTask) -> str:
    return task.state.value.replace("_", " ")


def _refusal(
    task: FollowUpTask, act: Act, detail: str, missing: Iterable[str] = ()
) -> Conflict:
    return Conflict(
        detail,
        extra={
            "state": task.state.value,
            "allowed_from": [
                state.value for state in TaskState if state in ALLOWED_FROM[act.NAME]
            ],
            "missing": list(missing),
        },
    )
