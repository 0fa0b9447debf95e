"""A customer who is unhappy again while somebody works on it: one case, and less time for it.

The case keeps its owner. An answer that joined it is followed like the first one: the case ends
by itself only when none of its answers calls any more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from services.loop.responses.domain import Response
from services.loop.tasks.domain.acts import Close, Reopen
from services.loop.tasks.domain.facts import (
    Acted,
    Entry,
)
from services.loop.tasks.domain.planning import Joined
from services.loop.tasks.domain.playbook import carry_out
from services.loop.tasks.domain.revising import Call
from services.loop.tasks.domain.task import (
    SYSTEM,
    FollowUpTask,
)


def joined(task: FollowUpTask, answer: Joined, *, now: datetime) -> Acted:
    """Take a further answer into a case; no promise moves to a later time."""
    response, promised = answer.response, answer.scheme.deadlines(now)
    first_contact_due_at = task.first_contact_due_at
    if task.first_contact_at is None:
        first_contact_due_at = min(first_contact_due_at, promised.first_contact_due_at)
    due_at = min(task.due_at, promised.due_at)
    changed = replace(
        task,
        version=task.version + 1,
        first_contact_due_at=first_contact_due_at,
        due_at=due_at,
        repeat=True,
        other_responses=(*task.other_responses, response.id),
    )
    detail: dict[str, object] = {
        "response_id": response.id,
        "rule": answer.rule.id,
        "metric": response.metric,
        "score": response.score,
        "touchpoint": response.touchpoint,
    }
    if changed.next_due_at < task.next_due_at or due_at < task.due_at:
        detail["sooner"] = True
    entry = Entry(version=changed.version, act="repeat", at=now, by=SYSTEM, detail=detail)
    return Acted(task=changed, entry=entry)


def revised_again(
    task: FollowUpTask,
    response: Response,
    *,
    call: Call | None,
    others_call: bool,
    now: datetime,
) -> Sequence[Acted]:
    """Follow the revision of an answer that had joined the case of another one.

    ``others_call`` tells whether some other answer of the case still calls for follow-up.
    """
    reopens = task.is_closed_as_revised and call is not None and call.may_open
    closes = task.is_open and call is None and not others_call and not task.owes
    detail: dict[str, object] = {
        "response_id": response.id,
        "revision": response.revision,
        "metric": response.metric,
        "score": response.score,
        "calls_for_follow_up": call is not None,
    }
    if task.is_open and call is None and not closes:
        detail["kept_open"] = "other_answers" if others_call else "promised"
    changed = replace(task, version=task.version + 1)
    noted = Acted(
        task=changed,
        entry=Entry(
            version=changed.version, act="revise_other", at=now, by=SYSTEM, detail=detail
        ),
    )
    if reopens:
        return (noted, carry_out(changed, Reopen(reason=""), by=SYSTEM, now=now))
    if closes:
        close = Close(reason="customer_revised", note="")
        return (noted, carry_out(changed, close, by=SYSTEM, now=now))
    return (noted,)
