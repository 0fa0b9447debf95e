"""How often following up worked: counted over the tasks that opened in a period."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, and_, case, func, select

from services.loop.responses.domain import Response
from services.loop.responses.store import find_all, first_rated_between, is_no_sample
from services.loop.tasks.domain.task import TaskState
from services.loop.tasks.tables import tasks
from services.loop.themes.store import responses_touching
from shared.db.transaction import Reading
from shared.stats.categories import Metric


@dataclass(frozen=True, kw_only=True)
class ClosureFilter:
    """Which tasks count: those that opened in ``[since, before)``, at these touchpoints.

    With a theme those that the answer opened which touches it.
    """

    since: datetime
    before: datetime
    touchpoints: frozenset[str] | None = None
    segments: frozenset[str] | None = None
    products: frozenset[str] | None = None
    theme: str | None = None


@dataclass(frozen=True, kw_only=True)
class ClosureCounts:
    """How many tasks there are, and how many of them came how far."""

    opened: int
    contacted: int
    closed: int
    asked: int
    confirmed: int
    denied: int
    resolved: int
    """Those resolved, of which a later answer decides whether the customer was saved."""
    awaited: int
    """Of these those for which there is still time."""


@dataclass(frozen=True, kw_only=True)
class BeforeAndAfter:
    """What the same customer said before the follow-up and after it."""

    metric: Metric
    score: int | None
    after: Response
    is_awaited: bool
    """Whether there would still have been time for an answer."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What one resolution says of cause and benefit."""

    cause_area: str
    avoidable: str
    benefits: tuple[str, ...]
    worth: str | None
    currency: str | None


async def closure_counts(
    view: Reading, wanted: ClosureFilter, *, now: datetime
) -> ClosureCounts:
    """Count the tasks of a period."""
    resolved = _is_resolved()

    def number(*conditions: ColumnElement[bool]) -> ColumnElement[int]:
        return func.coalesce(func.sum(case((and_(*conditions), 1), else_=0)), 0)

    row = await view.first(
        select(
            func.count().label("opened"),
            number(tasks.c.reached_at.is_not(None)).label("contacted"),
            number(tasks.c.ended_at.is_not(None)).label("closed"),
            number(tasks.c.asked_at.is_not(None), tasks.c.asked_at <= now).label("asked"),
            number(tasks.c.confirmed_at.is_not(None)).label("confirmed"),
            number(tasks.c.denied_at.is_not(None)).label("denied"),
            number(resolved).label("resolved"),
            number(resolved, tasks.c.saved_until >= now).label("awaited"),
        ).where(*_conditions(wanted))
    )
    assert row is not None  # noqa: S101 - an aggregate without GROUP BY has one row
    return ClosureCounts(**row._mapping)  # noqa: SLF001 - the row's documented mapping


async def before_and_after(
    view: Reading, wanted: ClosureFilter, *, now: datetime
) -> Sequence[BeforeAndAfter]:
    """Return the first scored answer after each resolution, beside the one that opened it."""
    later = first_rated_between(
        person_ref=tasks.c.person_ref,
        besides=tasks.c.response_id,
        after=tasks.c.ended_at,
        until=tasks.c.saved_until,
    )
    rows = await view.all(
        select(tasks.c.metric, tasks.c.score, tasks.c.saved_until, later.label("later_id"))
        .where(_is_resolved(), *_conditions(wanted), later.is_not(None))
        .order_by(tasks.c.id)
    )
    answers = await find_all(view, [row.later_id for row in rows])
    return [
        BeforeAndAfter(
            metric=row.metric,
            score=row.score,
            after=answers[row.later_id],
            is_awaited=row.saved_until >= now,
        )
        for row in rows
    ]


async def resolutions_of(view: Reading, wanted: ClosureFilter) -> Sequence[Outcome]:
    """Return what was documented at the end of each resolved task."""
    rows = await view.all(
        select(tasks.c.record["resolution"].label("resolution")).where(
            _is_resolved(), *_conditions(wanted)
        )
    )
    return [
        Outcome(
            cause_area=row.resolution["cause_area"],
            avoidable=row.resolution["avoidable"],
            benefits=tuple(row.resolution.get("benefits", ())),
            worth=row.resolution.get("worth"),
            currency=row.resolution.get("currency"),
        )
        for row in rows
    ]


def _is_resolved() -> ColumnElement[bool]:
    states = [TaskState.RESOLVED.value, TaskState.CONFIRMED.value]
    return and_(tasks.c.state.in_(states), tasks.c.saved_until.is_not(None))


def _conditions(wanted: ClosureFilter) -> Sequence[ColumnElement[bool]]:
    return [
        tasks.c.opened_at >= wanted.since,
        tasks.c.opened_at < wanted.before,
        is_no_sample(tasks.c.response_id),
        *(
            tasks.c[name].in_(sorted(values))
            for name, values in (
                ("touchpoint", wanted.touchpoints),
                ("segment", wanted.segments),
                ("product", wanted.products),
            )
            if values is not None
        ),
        *(
            [tasks.c.response_id.in_(responses_touching(wanted.theme))]
            if wanted.theme is not None
            else []
        ),
    ]
