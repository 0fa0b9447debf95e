"""Lists of tasks: what breaks first before the others, and how much there is of each kind."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import (
    ColumnElement,
    Tuple,
    and_,
    case,
    func,
    or_,
    select,
    tuple_,
)

from services.loop.tasks.domain.task import OPEN, FollowUpTask, TaskState
from services.loop.tasks.store.rows import task_of
from services.loop.tasks.tables import tasks
from services.loop.themes.store import responses_touching
from shared.db.transaction import Reading

Order = Literal["due", "ended"]


@dataclass(frozen=True, kw_only=True)
class TaskFilter:
    """Which tasks are wanted; a member that is None does not narrow."""

    states: frozenset[TaskState] | None = None
    owners: frozenset[str] | None = None
    response_id: str | None = None
    person_ref: str | None = None
    touchpoint: str | None = None
    touchpoints: frozenset[str] | None = None
    """The same as codes: with those that stand for the touchpoint."""
    segment: str | None = None
    theme: str | None = None
    overdue: bool | None = None
    promised: bool | None = None
    """With a next contact agreed, or without."""
    scores: tuple[int, int] | None = None
    """The lowest and the highest score, both included."""
    scored: bool | None = None
    """With a score, or without."""


@dataclass(frozen=True, kw_only=True)
class Counts:
    """How much work there is behind each tab of a queue."""

    mine: int
    late: int
    due_soon: int
    team: int
    waiting_customer: int
    promised: int
    ended: int


async def page_of(
    view: Reading,
    wanted: TaskFilter,
    *,
    now: datetime,
    after: Sequence[Any] | None,
    most: int,
    order: Order = "due",
) -> Sequence[FollowUpTask]:
    """Return up to ``most`` tasks behind ``after`` = (moment, id).

    ``due`` begins with what breaks first, ``ended`` with what ended last.
    """
    statement = select(tasks).where(*_conditions(wanted, now)).limit(most)
    if order == "due":
        statement = statement.order_by(tasks.c.next_due_at, tasks.c.id)
        if after is not None:
            place = (datetime.fromisoformat(after[0]), after[1])
            statement = statement.where(
                tuple_(tasks.c.next_due_at, tasks.c.id) > _pair(place, tasks.c.next_due_at)
            )
    else:
        statement = statement.where(tasks.c.ended_at.is_not(None)).order_by(
            tasks.c.ended_at.desc(), tasks.c.id.desc()
        )
        if after is not None:
            place = (datetime.fromisoformat(after[0]), after[1])
            statement = statement.where(
                tuple_(tasks.c.ended_at, tasks.c.id) < _pair(place, tasks.c.ended_at)
            )
    return [task_of(row) for row in await view.all(statement)]


def place_of(task: FollowUpTask, order: Order = "due") -> Sequence[str]:
    """Return where a task stands in a list, for its cursor."""
    moment = task.next_due_at if order == "due" else (task.ended_at or task.next_due_at)
    return (moment.isoformat(), task.id)


def _pair(place: tuple[datetime, str], moment: ColumnElement[Any]) -> Tuple:
    return tuple_(place[0], place[1], types=[moment.type, tasks.c.id.type])


async def counts_for(
    view: Reading,
    *,
    owner_id: str,
    teams: frozenset[str],
    now: datetime,
    soon: datetime,
    ended_since: datetime,
) -> Counts:
    """Count the work of one person and of the teams that person belongs to."""
    is_open = tasks.c.ended_at.is_(None)
    mine = and_(tasks.c.owner_id == owner_id, is_open)

    def number(*conditions: ColumnElement[bool]) -> ColumnElement[int]:
        return func.coalesce(func.sum(case((and_(*conditions), 1), else_=0)), 0)

    row = await view.first(
        select(
            number(mine).label("mine"),
            number(mine, tasks.c.next_due_at < now).label("late"),
            number(mine, tasks.c.next_due_at.between(now, soon)).label("due_soon"),
            number(is_open, tasks.c.owner_id != owner_id).label("team"),
            number(mine, tasks.c.state == TaskState.WAITING_CUSTOMER.value).label("waiting"),
            number(mine, tasks.c.next_contact_at.is_not(None)).label("promised"),
            number(tasks.c.owner_id == owner_id, tasks.c.ended_at >= ended_since).label(
                "ended"
            ),
        ).where(
            tasks.c.owner_id.in_([owner_id, *sorted(teams)]),
            or_(is_open, tasks.c.ended_at >= ended_since),
        )
    )
    assert row is not None  # noqa: S101 - an aggregate without GROUP BY has one row
    return Counts(
        mine=row.mine,
        late=row.late,
        due_soon=row.due_soon,
        team=row.team,
        waiting_customer=row.waiting,
        promised=row.promised,
        ended=row.ended,
    )


def _conditions(wanted: TaskFilter, now: datetime) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = []
    if wanted.states is not None:
        # Saying it in the index's own words lets both databases use the index of open tasks.
        if wanted.states <= OPEN:
            found.append(tasks.c.ended_at.is_(None))
        if wanted.states != OPEN:
            found.append(tasks.c.state.in_(sorted(state.value for state in wanted.states)))
    found += [
        tasks.c[name].in_(sorted(values))
        for name, values in (("owner_id", wanted.owners), ("touchpoint", wanted.touchpoints))
        if values is not None
    ]
    found += [
        tasks.c[name] == value
        for name in ("response_id", "person_ref", "touchpoint", "segment")
        if (value := getattr(wanted, name)) is not None
    ]
    if wanted.theme is not None:
        found.append(tasks.c.response_id.in_(responses_touching(wanted.theme)))
    if wanted.overdue is not None:
        late = and_(tasks.c.ended_at.is_(None), tasks.c.due_at < now)
        found.append(late if wanted.overdue else ~late)
    if wanted.scores is not None:
        found.append(tasks.c.score.between(*wanted.scores))
    if wanted.scored is not None:
        known = tasks.c.score.is_not(None)
        found.append(known if wanted.scored else ~known)
    if wanted.promised is not None:
        promised = tasks.c.next_contact_at.is_not(None)
        found.append(promised if wanted.promised else ~promised)
    return found
