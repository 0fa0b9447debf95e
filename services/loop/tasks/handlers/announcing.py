"""A task's facts in the words of the bus."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Literal, assert_never

from services.loop.journey.domain import OwnerRef
from services.loop.tasks.domain.facts import (
    ApprovalAsked,
    Assigned,
    Closed,
    Confirmed,
    Contacted,
    Fact,
    Promised,
    Recognised,
    Reopened,
    Resolved,
)
from services.loop.tasks.domain.task import (
    Actor,
    AgreedAction,
    Asked,
    FollowUpTask,
    TaskState,
)
from shared.events import loop as events
from shared.events.envelope import Event

Stage = Literal["given", "due_soon", "overdue"]


def members_of(task: FollowUpTask, names: Mapping[str, str]) -> dict[str, Any]:
    """Return what every event of a task carries; ``names`` of touchpoints are by code."""
    return {
        "task_id": task.id,
        "response_id": task.response_id,
        "version": task.version,
        "state": task.state.value,
        "owner": _owner(task.owner),
        "metric": task.metric,
        "score": task.score,
        "touchpoint": task.touchpoint,
        "touchpoint_name": names.get(task.touchpoint or ""),
        "segment": task.segment,
        "product": task.product,
        "rule": task.rule,
        "scheme": task.scheme.id,
        "opened_at": task.opened_at,
        "first_contact_due_at": task.first_contact_due_at,
        "due_at": task.due_at,
        "import_id": task.import_id,
        "other_responses": list(task.other_responses),
        "person_ref": task.person_ref,
        "person": task.sealed_person,
    }


def event_of(  # noqa: PLR0911 - one event per fact: the table itself
    task: FollowUpTask,
    fact: Fact,
    names: Mapping[str, str],
    *,
    now: datetime,
    told: Sequence[OwnerRef] = (),
) -> Event:
    """Return the event that tells others of ``fact``; ``told`` are those asked for approval."""
    members = members_of(task, names)
    match fact:
        case Assigned():
            return events.TaskAssigned(**members, former_owner=_owner(fact.former_owner))
        case Contacted():
            return events.TaskContacted(
                **members,
                mode=fact.attempt.mode,
                result=fact.attempt.result,
                contacted_at=fact.attempt.at,
                first=fact.first,
            )
        case Promised():
            return promise_event(task, fact.action, "given", names)
        case ApprovalAsked():
            remedy = fact.remedy
            return events.TaskApprovalAsked(
                **members,
                n=remedy.n,
                remedy=remedy.name,
                amount=remedy.amount,
                currency=remedy.currency,
                asked_by=remedy.by.id if remedy.by.kind == "staff" else None,
                to=[_owner(one) for one in told],
            )
        case Recognised():
            return events.TaskRecognised(
                **members,
                to=_owner(fact.recognition.to),
                recognised_by=fact.recognition.by.id,
            )
        case Resolved():
            resolution = fact.resolution
            asked = resolution.asking if isinstance(resolution.asking, Asked) else None
            return events.TaskResolved(
                **members,
                outcome=resolution.outcome,
                cause_area=resolution.cause_area,
                content=resolution.content,
                avoidable=resolution.avoidable,
                resolved_at=resolution.at,
                within_deadline=resolution.within_deadline,
                resolution=resolution.entry,
                resolved_by=resolution.by.id if resolution.by.kind == "staff" else None,
                ask_customer_at=asked.at if asked else None,
                ask_customer_until=asked.until if asked else None,
                language=asked.language if asked else None,
            )
        case Confirmed():
            return events.TaskConfirmed(
                **members,
                confirmed_at=fact.confirmation.at,
                by=_kind(fact.confirmation.by),
            )
        case Closed():
            closure = fact.closure
            return events.TaskClosed(**members, reason=closure.reason, closed_at=closure.at)
        case Reopened():
            return events.TaskReopened(
                **members,
                former_state=_ended(fact.former_state),
                reopened_at=now,
                by=_kind(fact.by),
            )
        case unreachable:
            assert_never(unreachable)


def promise_event(
    task: FollowUpTask, action: AgreedAction, stage: Stage, names: Mapping[str, str]
) -> Event:
    """Return the event that tells whoever does an agreed action how it stands."""
    return events.TaskPromiseDue(
        **members_of(task, names),
        promise="action",
        stage=stage,
        n=action.n,
        promised_by=_owner(action.owner),
        promise_due_at=action.due_at,
    )


def contact_event(task: FollowUpTask, at: datetime, names: Mapping[str, str]) -> Event:
    """Return the event that tells the owner that a promised contact is due."""
    return events.TaskPromiseDue(
        **members_of(task, names),
        promise="contact",
        stage="overdue",
        promised_by=_owner(task.owner),
        promise_due_at=at,
    )


def _owner(owner: OwnerRef) -> events.OwnerRef:
    return events.OwnerRef(id=owner.id, kind=owner.kind)


def _kind(actor: Actor) -> events.ActorKind:
    return actor.kind


def _ended(state: TaskState) -> Any:  # noqa: ANN401 - pydantic checks it against the event
    return state.value
