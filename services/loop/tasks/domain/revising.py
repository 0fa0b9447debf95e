"""What a customer's later answer does to the task that the former one opened.

An answer that still calls keeps the task and never gives it more time. One that calls no more
closes it, unless the customer was promised something; one that calls again opens again what was
closed so. What staff ended stays ended, and the history says what came.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from services.loop.responses.domain import Response
from services.loop.tasks.domain.acts import Close, Reopen
from services.loop.tasks.domain.facts import (
    Acted,
    Entry,
)
from services.loop.tasks.domain.playbook import carry_out
from services.loop.tasks.domain.rules import OpeningRule
from services.loop.tasks.domain.schemes import RecoveryScheme
from services.loop.tasks.domain.task import (
    SYSTEM,
    FollowUpTask,
)


@dataclass(frozen=True, kw_only=True)
class Call:
    """The rules call for follow-up of an answer: by this rule, under this scheme."""

    rule: OpeningRule
    scheme: RecoveryScheme
    may_open: bool = True
    """Whether the answer would open a task; old ones and those of erased persons do not."""


def revised(
    task: FollowUpTask,
    response: Response,
    *,
    call: Call | None,
    now: datetime,
    others_call: bool = False,
) -> Sequence[Acted]:
    """Follow the later answer; return nothing when the task knows it already.

    ``call`` is None when the rules do not call for follow-up any more; ``others_call`` tells
    whether another answer that joined the case still does. The task belongs to
    whoever the answer now says the customer is; what was said before stays under the person of
    that moment.
    """
    if response.revision <= task.response_revision:
        return ()
    reopens = task.is_closed_as_revised and call is not None and call.may_open
    is_kept = task.is_open and call is None and (task.owes or others_call)
    followed = _followed(
        task,
        response,
        call=call,
        is_worked_on=task.is_open or reopens,
        is_kept=is_kept,
        now=now,
    )
    if reopens:
        return (followed, carry_out(followed.task, Reopen(reason=""), by=SYSTEM, now=now))
    if task.is_open and call is None and not is_kept:
        close = Close(reason="customer_revised", note="")
        return (followed, carry_out(followed.task, close, by=SYSTEM, now=now))
    return (followed,)


def _followed(
    task: FollowUpTask,
    response: Response,
    *,
    call: Call | None,
    is_worked_on: bool,
    is_kept: bool,
    now: datetime,
) -> Acted:
    """Return the task with the facts of the later answer, and what its history says."""
    changed = replace(
        task,
        version=task.version + 1,
        response_revision=response.revision,
        metric=response.metric,
        score=response.score,
        touchpoint=response.touchpoint,
        segment=response.segment,
        product=response.product,
        # Together, always: the one opens only with the key of the other.
        person_ref=response.person_ref,
        sealed_person=response.sealed_person,
        import_id=response.import_id,
    )
    detail: dict[str, object] = {
        "revision": response.revision,
        "score_before": task.score,
        "score": response.score,
        "metric": response.metric,
        "calls_for_follow_up": call is not None,
    }
    if response.metric != task.metric:
        detail["metric_before"] = task.metric
    if is_kept:
        detail["kept_open"] = "promised" if task.owes else "other_answers"
    if call is not None and is_worked_on and _is_another(task, response, call):
        changed = _upgraded(changed, call)
        if (changed.rule, changed.scheme) != (task.rule, task.scheme):
            detail |= {"rule": call.rule.id, "scheme": call.scheme.id}
        if changed.next_due_at < task.next_due_at or changed.due_at < task.due_at:
            detail["sooner"] = True
    entry = Entry(version=changed.version, act="revise", at=now, by=SYSTEM, detail=detail)
    return Acted(task=changed, entry=entry)


def _is_another(task: FollowUpTask, response: Response, call: Call) -> bool:
    """Tell whether another rule or scheme calls now, or the customer is unhappier."""
    if (call.rule.id, call.scheme.id) != (task.rule, task.scheme.id):
        return True
    if None in {task.score, response.score} or response.metric != task.metric:
        return False
    return (response.score or 0) < (task.score or 0)


def _upgraded(task: FollowUpTask, call: Call) -> FollowUpTask:
    """Return the task under this rule and scheme; no promise moves to a later time.

    Under the scheme that it has already nothing new is promised: pauses count as they did.
    """
    task = replace(task, rule=call.rule.id, rule_name=call.rule.name)
    if call.scheme.ref == task.scheme:
        return task
    promised = call.scheme.deadlines(task.opened_at)
    return replace(
        task,
        scheme=call.scheme.ref,
        first_contact_due_at=min(task.first_contact_due_at, promised.first_contact_due_at),
        due_at=min(task.due_at, promised.due_at),
    )
