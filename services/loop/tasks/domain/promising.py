"""What was promised to a customer: put on the list, handed on, carried out."""

from __future__ import annotations

from dataclasses import replace

from services.loop.tasks.domain.acts import FinishAction, HandAction, PromiseAction
from services.loop.tasks.domain.changes import (
    Change,
    members_of_done,
    refusal,
    text_of,
    with_step,
)
from services.loop.tasks.domain.facts import Promised
from services.loop.tasks.domain.task import AgreedAction, Done, FollowUpTask, Step
from shared.errors import NotFound


def promise(task: FollowUpTask, act: PromiseAction, done: Done) -> Change:
    """Put something on the list of what was promised."""
    record = task.record
    action = AgreedAction(
        **members_of_done(done),
        n=len(record.actions) + 1,
        round=record.round,
        owner=act.owner,
        due_at=act.due_at,
    )
    return Change(
        replace(task, record=replace(record, actions=(*record.actions, action))),
        detail={"n": action.n, "owner": act.owner.id, "due_at": text_of(act.due_at)},
        words={"what": act.what},
        fact=Promised(action=action),
    )


def finish(task: FollowUpTask, act: FinishAction, done: Done) -> Change:
    """Tick something off; when nothing is left, what was agreed is carried out."""
    record = task.record
    if not 1 <= act.n <= len(record.actions):
        raise NotFound(f"This task has no agreed action {act.n}.")
    if record.actions[act.n - 1].finished is not None:
        raise refusal(task, act, f"Action {act.n} has been carried out already.")
    actions = tuple(
        replace(action, finished=done) if action.n == act.n else action
        for action in record.actions
    )
    record = replace(record, actions=actions)
    if task.has_step(Step.VERIFY) and all(action.finished for action in actions):
        # Everything that was agreed is done: that is the step eliminate.
        record = with_step(record, Step.ELIMINATE, done)
    return Change(replace(task, record=record), detail={"n": act.n})


def hand_on(task: FollowUpTask, act: HandAction) -> Change:
    """Let somebody else carry a promise out; what is due when stays."""
    record = task.record
    if not 1 <= act.n <= len(record.actions):
        raise NotFound(f"This task has no agreed action {act.n}.")
    before = record.actions[act.n - 1]
    if before.finished is not None:
        raise refusal(task, act, f"Action {act.n} has been carried out already.")
    action = replace(before, owner=act.owner)
    actions = tuple(action if each.n == act.n else each for each in record.actions)
    return Change(
        replace(task, record=replace(record, actions=actions)),
        detail={"n": act.n, "from": before.owner.id, "to": act.owner.id},
        fact=Promised(action=action),
    )
