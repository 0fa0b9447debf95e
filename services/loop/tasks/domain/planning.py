"""What becomes of a series of responses: a new task each, a part of a case, or nothing.

Taking in and trying out both go through here; they differ in where the facts come from and in
what is done with the outcome.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from hashlib import blake2s

from services.loop.journey.domain import OwnerRef
from services.loop.responses.domain import Response
from services.loop.tasks.domain.conditions import NOTHING_KNOWN, Circumstances
from services.loop.tasks.domain.routing import Desks, Routed
from services.loop.tasks.domain.rules import (
    NoAction,
    OpeningRule,
    OpenTask,
    RuleBook,
    decide,
)
from services.loop.tasks.domain.schemes import DEFAULT_SCHEME, RecoveryScheme
from shared.stats.categories import Category, Metric, category_of

_UNHAPPY = frozenset({Category.DETRACTOR, Category.DISSATISFIED})


@dataclass(frozen=True, kw_only=True)
class Case:
    """A task of an unhappy customer, as far as the next answer of that customer asks for it."""

    task_id: str
    opened_at: datetime
    ended_at: datetime | None


@dataclass(kw_only=True)
class Cases:
    """The cases of unhappy customers by person; grows along with what is planned."""

    known: dict[str, list[Case]] = field(default_factory=dict)

    def add(self, person_ref: str, case: Case) -> None:
        """Remember a case."""
        self.known.setdefault(person_ref, []).append(case)

    def lately(self, person_ref: str, at: datetime, within: timedelta) -> Case | None:
        """Return the case to which an answer of this moment belongs, or the latest one ended.

        One that is open comes before those that have ended.
        """
        found = [
            case
            for case in self.known.get(person_ref, ())
            if at - within < case.opened_at <= at
        ]
        return max(found, key=lambda one: (is_open(one, at), one.opened_at), default=None)


def is_open(case: Case, at: datetime) -> bool:
    """Tell whether somebody works on a case at this moment."""
    return case.ended_at is None or case.ended_at > at


@dataclass(frozen=True, kw_only=True)
class New:
    """A task opens."""

    response: Response
    task_id: str
    rule: OpeningRule
    scheme: RecoveryScheme
    """With the shorter times where the customer was unhappy before."""
    routed: Routed
    repeat: bool


@dataclass(frozen=True, kw_only=True)
class Joined:
    """The answer belongs to a case that is open already."""

    response: Response
    task_id: str
    rule: OpeningRule
    scheme: RecoveryScheme
    """With the shorter times."""


Plan = New | Joined | NoAction


def plan(
    responses: Iterable[Response],
    *,
    book: RuleBook,
    schemes: Mapping[str, RecoveryScheme],
    around: Mapping[str, Circumstances],
    owners: Mapping[str, OwnerRef],
    desks: Desks,
    cases: Cases,
    at: Callable[[Response], datetime],
    task_id: Callable[[Response], str],
    ended_at: Callable[[Response], datetime | None] = lambda _: None,
    erased: Collection[str] = (),
) -> Mapping[str, Plan]:
    """Return what becomes of each response, decided in the order in which they arrived.

    ``around`` and ``owners`` (of the touchpoints) are by response id; ``ended_at`` tells when
    the work on a new task ended, where that is known. Nothing is planned for
    ``erased`` persons whom nobody can call; for them no reason is given either.
    """
    plans: dict[str, Plan] = {}
    for response in sorted(responses, key=lambda one: (one.received_at, one.id)):
        if response.id in erased:
            continue
        now = at(response)
        # An import accounts for its rows: each that calls for a task has one of its own.
        case = (
            cases.lately(response.person_ref, now, book.repeat_within)
            if response.import_id is None
            else None
        )
        known = replace(around.get(response.id, NOTHING_KNOWN), repeat=case is not None)
        decision = decide(response, book, known)
        if isinstance(decision, NoAction):
            plans[response.id] = decision
            continue
        repeat = case is not None and is_unhappy(response.metric, response.score)
        scheme = scheme_for(decision, schemes)
        if repeat:
            scheme = hurried(scheme, book.repeat_share)
        if repeat and case is not None and is_open(case, now):
            plans[response.id] = Joined(
                response=response, task_id=case.task_id, rule=decision.rule, scheme=scheme
            )
            continue
        new = New(
            response=response,
            task_id=task_id(response),
            rule=decision.rule,
            scheme=scheme,
            routed=desks.place(
                decision.rule.owner,
                of_touchpoint=owners.get(response.id),
                contact=known.contact,
                at=now,
            ),
            repeat=repeat,
        )
        plans[response.id] = new
        if is_unhappy(response.metric, response.score):
            cases.add(
                response.person_ref,
                Case(task_id=new.task_id, opened_at=now, ended_at=ended_at(response)),
            )
    return plans


def is_unhappy(metric: Metric, score: int | None) -> bool:
    """Tell whether a task is about somebody unhappy: what has no score is a complaint."""
    return score is None or category_of(metric, score) in _UNHAPPY


def scheme_for(decision: OpenTask, schemes: Mapping[str, RecoveryScheme]) -> RecoveryScheme:
    """Return the scheme that a rule names.

    A rule that names a scheme nobody knows must not cost a customer the call.
    """
    return schemes.get(decision.rule.scheme) or schemes[DEFAULT_SCHEME["id"]]


def burst_of(touchpoint: str) -> str:
    """Return the name under which many unhappy customers of a touchpoint are told of."""
    return f"burst_{blake2s(touchpoint.encode(), digest_size=12).hexdigest()}"


def hurried(scheme: RecoveryScheme, share: float) -> RecoveryScheme:
    """Return a scheme whose promises take this part of their time."""
    return replace(
        scheme,
        first_contact_within=scheme.first_contact_within * share,
        resolve_within=scheme.resolve_within * share,
    )
