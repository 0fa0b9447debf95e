"""Remedies: what the owner may grant alone, and what somebody else has to approve.

The limits are the scheme's, as it stood when the task was opened. Who asks does not approve.
"""

from __future__ import annotations

from dataclasses import replace

from services.loop.tasks.domain.acts import Approve, Decline, Grant
from services.loop.tasks.domain.changes import Change, members_of_done, present, refusal
from services.loop.tasks.domain.facts import (
    ApprovalAsked,
)
from services.loop.tasks.domain.schemes import RecoveryScheme, Remedy
from services.loop.tasks.domain.task import (
    Done,
    FollowUpTask,
    GrantedRemedy,
    RemedyState,
)
from shared.errors import Finding, Invalid, NotFound


def grant(task: FollowUpTask, act: Grant, done: Done, scheme: RecoveryScheme | None) -> Change:
    """Grant a remedy within its limit; beyond it ask for approval."""
    remedy = _offered(act, scheme)
    record = task.record
    granted = GrantedRemedy(
        **members_of_done(done),
        n=len(record.remedies) + 1,
        remedy=remedy.id,
        name=remedy.name,
        state="granted" if may_grant_alone(remedy, act) else "asked",
        amount=None if act.amount is None else str(act.amount),
        currency=act.currency,
    )
    return Change(
        replace(task, record=replace(record, remedies=(*record.remedies, granted))),
        detail=present(
            n=granted.n,
            remedy=granted.name,
            amount=granted.amount,
            currency=granted.currency,
            remedy_state=granted.state,
        ),
        words={"note": act.note},
        fact=ApprovalAsked(remedy=granted) if granted.state == "asked" else None,
    )


def may_grant_alone(remedy: Remedy, act: Grant) -> bool:
    """Tell whether a remedy needs nobody's approval.

    Money without a limit always needs it; what is given in kind without one never does.
    """
    if remedy.limit is None:
        return remedy.kind == "kind"
    if act.amount is None:
        return remedy.kind == "kind"
    return act.currency == remedy.limit.currency and act.amount <= remedy.limit.amount


def decide(task: FollowUpTask, act: Approve | Decline, done: Done) -> Change:
    """Approve or decline a remedy that somebody else asked for."""
    waiting = [each for each in task.record.remedies if each.state == "asked"]
    chosen = [each for each in waiting if act.n in {None, each.n}]
    if act.n is not None and not any(each.n == act.n for each in task.record.remedies):
        raise NotFound(f"This task has no remedy {act.n}.")
    if not chosen:
        raise refusal(task, act, "No remedy of this task waits for approval.", ["remedies"])
    if len(chosen) > 1:
        raise refusal(
            task,
            act,
            "Several remedies wait for approval: say which one, by its number n.",
            [f"remedies/{each.n}" for each in chosen],
        )
    asked = chosen[0]
    if done.by.kind == "staff" and asked.by.id == done.by.id:
        raise refusal(
            task, act, "Who asked for a remedy does not decide on it.", ["another_person"]
        )
    state: RemedyState = "approved" if isinstance(act, Approve) else "declined"
    decided = replace(asked, state=state, decided=done)
    remedies = tuple(decided if each.n == asked.n else each for each in task.record.remedies)
    return Change(
        replace(task, record=replace(task.record, remedies=remedies)),
        detail={"n": asked.n, "remedy": asked.name},
        words={"note": act.note} if isinstance(act, Approve) else {"reason": act.reason},
    )


def _offered(act: Grant, scheme: RecoveryScheme | None) -> Remedy:
    offered = {remedy.id: remedy for remedy in (scheme.remedies if scheme else ())}
    remedy = offered.get(act.remedy)
    if remedy is None:
        raise _invalid(
            "/remedy",
            "not_a_choice",
            "not a remedy that the task's scheme offers",
            f"send one of: {', '.join(offered)}"
            if offered
            else "add remedies to the scheme first",
        )
    if remedy.kind == "money" and act.amount is None:
        raise _invalid(
            "/value", "required", "this member is missing", "send the amount and its currency"
        )
    return remedy


def _invalid(pointer: str, code: str, detail: str, fix: str) -> Invalid:
    return Invalid(
        "The remedy cannot be granted as it was sent.",
        [Finding(pointer=pointer, code=code, detail=detail, fix=fix)],
    )
