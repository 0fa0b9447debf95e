"""What other rules, schemes or calendars would have done, beside what was really done.

A trial plans the answers of the last weeks as taking in would have, at the moments at which
they arrived, and holds the promises it would have made against the work that was really done.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from services.loop.tasks.domain.planning import Joined, New, Plan
from services.loop.tasks.domain.task import FollowUpTask


@dataclass(frozen=True, kw_only=True)
class Promise:
    """A task that would have been opened, with what would have been promised."""

    response_id: str
    owner_id: str
    rule: str
    scheme: str
    opened_at: datetime
    first_contact_due_at: datetime
    due_at: datetime
    answers: int = 1
    """How many answers of the customer are one case in it."""


@dataclass(kw_only=True)
class Side:
    """What one set of rules comes to; ``late`` counts where it is known how the work went."""

    tasks: int = 0
    late_first_contact: int = 0
    late: int = 0
    unknown: int = 0
    """Tasks of which nobody knows how the work would have gone: there was none."""

    def count(self, promise: Promise, work: FollowUpTask | None, *, now: datetime) -> None:
        """Count a task in, with how it went."""
        self.tasks += 1
        if work is None:
            self.unknown += 1
            return
        end = work.ended_at or now
        reached = work.first_contact_at or end
        self.late_first_contact += reached > promise.first_contact_due_at
        self.late += end > promise.due_at


@dataclass(kw_only=True)
class Pair:
    """The same figure of the trial and of what was really done."""

    tried: Side = field(default_factory=Side)
    live: Side = field(default_factory=Side)


@dataclass(frozen=True, kw_only=True)
class Trial:
    """What a trial found."""

    first: datetime
    last: datetime
    responses: int
    whole: bool
    """Whether all answers of the period were looked at, or only the latest of too many."""
    promises: Sequence[Promise]
    total: Pair
    owners: Mapping[str, Pair]
    """By the one who would have got, or has got, the task when it was opened."""
    rules: Mapping[str, Pair]
    only_tried: int
    """Answers for which a task would have opened although there was none."""
    only_live: int
    """Answers that have a task and would have had none."""


def promises_of(plans: Mapping[str, Plan]) -> Sequence[Promise]:
    """Return the tasks of a plan in the order of their opening.

    The plan named every task after the answer that opens it, and decided at its arrival.
    """
    found: dict[str, Promise] = {}
    for one in plans.values():
        match one:
            case New():
                at = one.response.received_at
                due = one.scheme.deadlines(at)
                found[one.task_id] = Promise(
                    response_id=one.response.id,
                    owner_id=one.routed.owner.id,
                    rule=one.rule.id,
                    scheme=one.scheme.id,
                    opened_at=at,
                    first_contact_due_at=due.first_contact_due_at,
                    due_at=due.due_at,
                )
            case Joined() if (case := found.get(one.task_id)) is not None:
                found[one.task_id] = _sooner(case, one)
            case _:
                pass  # no task, or a case from before the period
    return list(found.values())


def _sooner(case: Promise, one: Joined) -> Promise:
    due = one.scheme.deadlines(one.response.received_at)
    return Promise(
        response_id=case.response_id,
        owner_id=case.owner_id,
        rule=case.rule,
        scheme=case.scheme,
        opened_at=case.opened_at,
        first_contact_due_at=min(case.first_contact_due_at, due.first_contact_due_at),
        due_at=min(case.due_at, due.due_at),
        answers=case.answers + 1,
    )


def compared(
    plans: Mapping[str, Plan],
    *,
    work: Mapping[str, FollowUpTask],
    first_owners: Mapping[str, str],
    first: datetime,
    last: datetime,
    responses: int,
    whole: bool,
) -> Trial:
    """Return a trial: ``work`` are the real tasks by answer, ``first_owners`` by task."""
    promises = promises_of(plans)
    total, owners, rules = Pair(), dict[str, Pair](), dict[str, Pair]()
    for promise in promises:
        done = work.get(promise.response_id)
        for pair in (
            total,
            owners.setdefault(promise.owner_id, Pair()),
            rules.setdefault(promise.rule, Pair()),
        ):
            pair.tried.count(promise, done, now=last)
    for task in {task.id: task for task in work.values() if task.opened_at >= first}.values():
        kept = Promise(
            response_id=task.response_id,
            owner_id=first_owners.get(task.id, task.owner.id),
            rule=task.rule,
            scheme=task.scheme.id,
            opened_at=task.opened_at,
            first_contact_due_at=task.first_contact_due_at,
            due_at=task.due_at,
        )
        for pair in (
            total,
            owners.setdefault(kept.owner_id, Pair()),
            rules.setdefault(kept.rule, Pair()),
        ):
            pair.live.count(kept, task, now=last)
    follows = {one for one, plan in plans.items() if isinstance(plan, New | Joined)}
    by_load = Counter({owner: max(p.tried.tasks, p.live.tasks) for owner, p in owners.items()})
    return Trial(
        first=first,
        last=last,
        responses=responses,
        whole=whole,
        promises=promises,
        total=total,
        owners={owner: owners[owner] for owner, _ in by_load.most_common()},
        rules=rules,
        only_tried=len(follows - set(work)),
        only_live=len(set(work) - follows),
    )
