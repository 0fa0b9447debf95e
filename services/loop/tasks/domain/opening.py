"""The opening of a task: owner and deadlines stand from its first second."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from services.loop.journey.domain import OwnerRef
from services.loop.responses.domain import Response
from services.loop.tasks.domain.facts import Acted, Entry
from services.loop.tasks.domain.rules import OpeningRule
from services.loop.tasks.domain.schemes import RecoveryScheme
from services.loop.tasks.domain.task import SYSTEM, FollowUpTask, TaskState


def opened(
    response: Response,
    *,
    task_id: str,
    rule: OpeningRule,
    scheme: RecoveryScheme,
    owner: OwnerRef,
    now: datetime,
    because: Sequence[str] = (),
    repeat: bool = False,
) -> Acted:
    """Open the task for a response; owner and deadlines stand from the first second.

    ``because`` are the steps that led to the owner, ``repeat`` that this customer was unhappy
    shortly before.
    """
    deadlines = scheme.deadlines(now)
    task = FollowUpTask(
        id=task_id,
        version=1,
        response_id=response.id,
        response_revision=response.revision,
        person_ref=response.person_ref,
        state=TaskState.ASSIGNED,
        owner=owner,
        opened_at=now,
        first_contact_due_at=deadlines.first_contact_due_at,
        due_at=deadlines.due_at,
        # History taken in as new waits since it came; nobody waits since the future.
        waiting_since=(
            response.received_at
            if response.as_new
            else min(response.answered_at, response.received_at)
        ),
        rule=rule.id,
        rule_name=rule.name,
        scheme=scheme.ref,
        metric=response.metric,
        score=response.score,
        touchpoint=response.touchpoint,
        segment=response.segment,
        product=response.product,
        sealed_person=response.sealed_person,
        import_id=response.import_id,
        repeat=repeat,
    )
    detail: dict[str, object] = {"rule": rule.id, "scheme": scheme.id, "owner": owner.id}
    if because:
        detail["because"] = list(because)
    entry = Entry(version=1, act="open", at=now, by=SYSTEM, detail=detail)
    return Acted(task=task, entry=entry)
