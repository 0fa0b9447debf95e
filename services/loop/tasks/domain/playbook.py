"""What each act leads to: the task after it, its line of history, the fact to announce.

The first five steps of RESOLVED come in any order; verify comes before eliminate, and both
before the end. A refusal names the state and what would allow the act.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import assert_never
from zoneinfo import ZoneInfo

from services.loop.journey.domain import OwnerRef
from services.loop.tasks.domain.acts import (
    ALLOWED_FROM,
    Act,
    AddNote,
    Agree,
    Approve,
    Assign,
    Claim,
    Close,
    Confirm,
    Decline,
    FinishAction,
    Grant,
    HandAction,
    LogContact,
    PromiseAction,
    Recognise,
    Reopen,
    Resolve,
    Resume,
    ShareExample,
    Snooze,
    TakeStep,
    Wait,
)
from services.loop.tasks.domain.attempts import attempts_left
from services.loop.tasks.domain.changes import (
    Change,
    members_of_done,
    present,
    refusal,
    said,
    text_of,
    with_step,
)
from services.loop.tasks.domain.facts import (
    Acted,
    Assigned,
    Closed,
    Confirmed,
    Contacted,
    Entry,
    Reopened,
    Resolved,
)
from services.loop.tasks.domain.pausing import paused, resumed
from services.loop.tasks.domain.promising import finish, hand_on, promise
from services.loop.tasks.domain.remedies import decide, grant
from services.loop.tasks.domain.schemes import AttemptPolicy, RecoveryScheme
from services.loop.tasks.domain.sharing import share
from services.loop.tasks.domain.task import (
    Actor,
    Agreement,
    Closure,
    ContactAttempt,
    Done,
    FollowUpTask,
    KnownBy,
    Record,
    Resolution,
    Step,
    TaskState,
)
from shared.errors import Finding, Invalid

_UTC = ZoneInfo("UTC")


def carry_out(  # noqa: C901, PLR0912 - one line per act: the table itself
    task: FollowUpTask,
    act: Act,
    *,
    by: Actor,
    now: datetime,
    scheme: RecoveryScheme | None = None,
    zone: ZoneInfo = _UTC,
) -> Acted:
    """Return what ``act`` leads to, or raise ``Conflict`` saying what would allow it.

    ``scheme`` is the task's own, as it stood when the task was opened; the program's acts need
    none. ``zone`` is the customer's, as far as it is known.
    """
    if task.state not in ALLOWED_FROM[act.NAME]:
        raise refusal(task, act, f"This is not possible while the task is {said(task)}.")
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
            change = promise(task, act, done)
        case FinishAction():
            change = finish(task, act, done)
        case HandAction():
            change = hand_on(task, act)
        case Wait():
            change = _wait(task, act, done, scheme)
        case Resume():
            change = _resume(task)
        case Snooze():
            change = _snooze(task, act, done)
        case Grant():
            change = grant(task, act, done, scheme)
        case Approve() | Decline():
            change = decide(task, act, done)
        case AddNote():
            change = Change(task, words={"text": act.text})
        case Resolve():
            change = _resolve(task, act, done, scheme)
        case Confirm():
            change = _confirm(task, done)
        case Close():
            change = _close(task, act, done, scheme, zone)
        case Recognise() | ShareExample():
            change = share(task, act, done)
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


def _claim(task: FollowUpTask, act: Claim, done: Done) -> Change:
    if task.is_claimed:
        whose = "yours already" if task.owner.id == done.by.id else "a colleague's already"
        raise refusal(
            task, act, f"This task is {whose}. Assign it to change its owner.", ["team_owner"]
        )
    return _owned_by(task, OwnerRef(id=done.by.id, kind="person"))


def _assign(task: FollowUpTask, act: Assign) -> Change:
    if act.owner == task.owner:
        raise refusal(task, act, "The task has this owner already.", ["another_owner"])
    change = _owned_by(task, act.owner)
    return replace(change, words={"reason": act.reason})


def _owned_by(task: FollowUpTask, owner: OwnerRef) -> Change:
    return Change(
        replace(task, owner=owner),
        detail={"from": task.owner.id, "to": owner.id},
        fact=Assigned(former_owner=task.owner),
    )


def _log_contact(task: FollowUpTask, act: LogContact, done: Done) -> Change:
    attempt = ContactAttempt(
        **members_of_done(done),
        mode=act.mode,
        result=act.result,
        next_contact_at=act.next_contact_at,
        emotion_before=act.emotion_before,
        emotion_after=act.emotion_after,
    )
    record = replace(task.record, attempts=(*task.record.attempts, attempt))
    if act.result == "reached" and not task.has_step(Step.RESPOND):
        record = with_step(record, Step.RESPOND, done)
    return Change(
        replace(
            task,
            state=TaskState.IN_PROGRESS,
            first_contact_at=task.first_contact_at or done.at,
            next_contact_at=act.next_contact_at,
            waiting_until=None,
            record=record,
        ),
        detail=present(
            mode=act.mode,
            result=act.result,
            next_contact_at=text_of(act.next_contact_at),
            emotion_before=act.emotion_before,
            emotion_after=act.emotion_after,
        ),
        words={"note": act.note},
        fact=Contacted(attempt=attempt, first=task.first_contact_at is None),
    )


def _take_step(task: FollowUpTask, act: TakeStep, done: Done) -> Change:
    if act.step is Step.DOCUMENT:
        raise refusal(task, act, "Documenting is part of resolving: use resolve.", ["resolve"])
    if act.step is Step.ELIMINATE and not task.has_step(Step.VERIFY):
        raise refusal(
            task,
            act,
            "Eliminate comes after verify: first record what was agreed with the customer.",
            [Step.VERIFY.value],
        )
    return Change(
        replace(task, record=with_step(task.record, act.step, done)),
        detail={"step": act.step.value},
        words={"note": act.note},
    )


def _agree(task: FollowUpTask, act: Agree, done: Done) -> Change:
    agreement = Agreement(**members_of_done(done), agreed_at=act.at or done.at)
    record = with_step(replace(task.record, agreement=agreement), Step.VERIFY, done)
    return Change(
        replace(task, record=record),
        detail={"agreed_at": text_of(agreement.agreed_at)},
        words={"asked_for": act.asked_for, "agreed": act.agreed, "with": act.agreed_with},
    )


def _wait(task: FollowUpTask, act: Wait, done: Done, scheme: RecoveryScheme | None) -> Change:
    state = {
        "customer": TaskState.WAITING_CUSTOMER,
        "internal": TaskState.WAITING_INTERNAL,
    }[act.waiting_for]
    waiting = replace(task, state=state, waiting_until=act.until)
    return Change(
        paused(waiting, scheme, now=done.at),
        detail=present(**{"for": act.waiting_for, "until": text_of(act.until)}),
        words={"note": act.note},
    )


def _resume(task: FollowUpTask) -> Change:
    return Change(replace(task, state=TaskState.IN_PROGRESS, waiting_until=None))


def _snooze(task: FollowUpTask, act: Snooze, done: Done) -> Change:
    if act.until <= done.at:
        finding = Finding(
            pointer="/until",
            code="in_the_past",
            detail="not in the future",
            fix="send a later time",
        )
        raise Invalid("A task can only be put off to a later time.", [finding])
    return Change(replace(task, snoozed_until=act.until), detail={"until": text_of(act.until)})


def _resolve(
    task: FollowUpTask, act: Resolve, done: Done, scheme: RecoveryScheme | None
) -> Change:
    if missing := task.missing_to_resolve():
        said = ", ".join(_MISSING.get(name, name) for name in missing)
        raise refusal(task, act, f"Before this can be resolved, record: {said}.", missing)
    resolution = Resolution(
        **members_of_done(done),
        outcome=act.outcome,
        cause_area=act.cause_area,
        content=act.content,
        avoidable=act.avoidable,
        within_deadline=done.at <= task.due_at,
        asking=act.asking,
        saved_until=None if scheme is None else done.at + scheme.saved_within,
        benefits=act.benefits,
        content_known_by=_known_by(act),
        worth=None if act.worth is None else f"{act.worth:f}",
        currency=act.currency,
    )
    record = task.record
    if not task.has_step(Step.ELIMINATE):
        record = with_step(record, Step.ELIMINATE, done)
    record = with_step(record, Step.DOCUMENT, done)
    return Change(
        _ended(task, TaskState.RESOLVED, replace(record, resolution=resolution), done),
        detail={
            "outcome": act.outcome,
            "root_cause_area": act.cause_area,
            "content": act.content,
            "content_known_by": resolution.content_known_by,
            "avoidable": act.avoidable,
        },
        words={"root_cause": act.cause, "lesson": act.lesson},
        fact=Resolved(resolution=resolution),
    )


def _known_by(act: Resolve) -> KnownBy:
    """Return how it is known whether the customer is content; nothing is known by no way."""
    if act.content == "unknown":
        return "none"
    return act.content_known_by or "said"


_MISSING = {
    "reached_contact": "a contact in which the customer was reached",
    "verify": "what was agreed with the customer (verify)",
    "eliminate": "that the solution was carried out (eliminate)",
}


def _confirm(task: FollowUpTask, done: Done) -> Change:
    record = replace(task.record, confirmation=done)
    if record.resolution is not None and done.by.kind != "staff":
        asked = replace(record.resolution, content="yes", content_known_by="survey")
        record = replace(record, resolution=asked)
    return Change(
        replace(task, state=TaskState.CONFIRMED, record=record),
        fact=Confirmed(confirmation=done),
    )


def _close(
    task: FollowUpTask,
    act: Close,
    done: Done,
    scheme: RecoveryScheme | None,
    zone: ZoneInfo,
) -> Change:
    policy = scheme.attempt_policy if scheme else AttemptPolicy(number=task.scheme.attempts)
    if act.reason == "unreachable" and (left := attempts_left(task, policy, zone)):
        missing = ", ".join(_LEFT[name].format(n=n) for name, n in left.items())
        raise refusal(
            task,
            act,
            f"The customer counts as unreachable after {policy.number} tries without success;"
            f" still missing: {missing}.",
            [f"{name}:{n}" for name, n in left.items()],
        )
    closure = Closure(**members_of_done(done), reason=act.reason)
    return Change(
        _ended(task, TaskState.CLOSED, replace(task.record, closure=closure), done),
        detail={"reason": act.reason},
        words={"note": act.note},
        fact=Closed(closure=closure),
    )


_LEFT = {
    "attempts": "{n} more tries",
    "days": "tries on {n} more days",
    "channels": "tries by {n} more ways",
}


def _ended(task: FollowUpTask, state: TaskState, record: Record, done: Done) -> FollowUpTask:
    return replace(
        task,
        state=state,
        record=record,
        ended_at=done.at,
        waiting_until=None,
        next_contact_at=None,
        snoozed_until=None,
    )


_UNDONE = {Step.VERIFY, Step.ELIMINATE, Step.DOCUMENT}


def _reopen(task: FollowUpTask, act: Reopen, done: Done) -> Change:
    record = task.record
    denials = (*record.denials, done) if done.by.kind == "customer" else record.denials
    return Change(
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
                example=None,
            ),
        ),
        detail={"from": task.state.value},
        words={"reason": act.reason},
        fact=Reopened(former_state=task.state, by=done.by),
    )
