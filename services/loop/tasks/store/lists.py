"""Lists of tasks: what breaks first before the others, and how much there is of each kind."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, Literal

from sqlalchemy import (
    ColumnElement,
    Select,
    SelectBase,
    Tuple,
    and_,
    func,
    literal,
    or_,
    select,
    tuple_,
    union_all,
)

from services.loop.tasks.domain.task import OPEN, FollowUpTask, TaskState
from services.loop.tasks.store.rows import task_of
from services.loop.tasks.store.search import tasks_with
from services.loop.tasks.tables import escalations, task_responses, tasks
from services.loop.themes.store import responses_touching
from shared.db.base import among
from shared.db.transaction import Reading, Transaction

Order = Literal["due", "ended"]

MOST_COUNTED: Final = 1_000
"""Counters stop here, so that a queue opens as fast with many tasks as with few."""
_ONE_BY_ONE: Final = 16
"""Up to this many owners each give their first tasks; beyond it the whole queue is walked."""


@dataclass(frozen=True, kw_only=True)
class TaskFilter:
    """Which tasks are wanted; a member that is None does not narrow."""

    ids: frozenset[str] | None = None
    states: frozenset[TaskState] | None = None
    owners: frozenset[str] | None = None
    response_id: str | None = None
    person_ref: str | None = None
    touchpoint: str | None = None
    segment: str | None = None
    product: str | None = None
    codes: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """Touchpoint, segment and product as codes: with those that stand for them."""
    metric: str | None = None
    theme: str | None = None
    overdue: bool | None = None
    due_from: datetime | None = None
    due_before: datetime | None = None
    """Between which moments the next promise breaks."""
    opened_after: str | None = None
    """Only tasks whose id sorts behind this one: ids sort by the time they were made."""
    snoozed_at: datetime | None = None
    """Without what its owner has put off beyond this moment."""
    promised: bool | None = None
    """With a next contact agreed, or without."""
    scores: tuple[int, int] | None = None
    """The lowest and the highest score, both included."""
    scored: bool | None = None
    """With a score, or without."""
    denied: bool = False
    """Opened again because the customer said that it is not settled."""
    escalated_to: frozenset[str] | None = None
    """Escalated to one of these persons and teams."""
    terms: Sequence[frozenset[str]] = ()
    """Found by each of these words, a word by any of its forms."""


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
    moment = tasks.c.next_due_at if order == "due" else tasks.c.ended_at
    conditions = _conditions(wanted, now)
    if order == "ended":
        conditions.append(tasks.c.ended_at.is_not(None))
    if after is not None:
        here, place = tuple_(moment, tasks.c.id), _place(after, moment)
        conditions.append(here > place if order == "due" else here < place)
    way = (moment, tasks.c.id) if order == "due" else (moment.desc(), tasks.c.id.desc())

    def first(*more: ColumnElement[bool]) -> Select[Any]:
        return select(tasks.c.id).where(*conditions, *more).order_by(*way).limit(most)

    # Each owner's first tasks lie side by side in an index; of several owners together the
    # database would look at every task before it knew the first.
    owners = sorted(wanted.owners) if wanted.owners is not None else []
    if 1 < len(owners) <= _ONE_BY_ONE:
        each = [first(tasks.c.owner_id == owner).subquery() for owner in owners]
        ids: SelectBase = union_all(*(select(found.c.id) for found in each))
    else:
        ids = first(*([tasks.c.owner_id.in_(owners)] if wanted.owners is not None else []))
    statement = select(tasks).where(tasks.c.id.in_(select(ids.subquery().c.id)))
    return [task_of(row) for row in await view.all(statement.order_by(*way).limit(most))]


def place_of(task: FollowUpTask, order: Order = "due") -> Sequence[str]:
    """Return where a task stands in a list, for its cursor."""
    moment = task.next_due_at if order == "due" else (task.ended_at or task.next_due_at)
    return (moment.isoformat(), task.id)


def _place(after: Sequence[Any], moment: ColumnElement[Any]) -> Tuple:
    return tuple_(
        datetime.fromisoformat(after[0]), after[1], types=[moment.type, tasks.c.id.type]
    )


async def counts_of(
    view: Reading, all_wanted: Mapping[str, TaskFilter], *, now: datetime
) -> Mapping[str, int]:
    """Count the tasks behind each filter, each at most to one beyond ``MOST_COUNTED``."""
    columns = []
    for name, wanted in all_wanted.items():
        conditions = _conditions(wanted, now)
        if wanted.owners is not None:
            conditions.append(tasks.c.owner_id.in_(sorted(wanted.owners)))
        some = select(tasks.c.id).where(*conditions).limit(MOST_COUNTED + 1).subquery()
        counted = select(func.count()).select_from(some)
        columns.append(counted.scalar_subquery().label(name))
    row = await view.first(select(*columns))
    assert row is not None  # noqa: S101 - an aggregate without GROUP BY has one row
    return {name: int(getattr(row, name)) for name in all_wanted}


async def latest_id(view: Reading) -> str:
    """Return the id behind which whatever opens from now on sorts."""
    return str(await view.scalar(select(func.max(tasks.c.id))) or "")


async def note_escalated(
    tx: Transaction, told: Sequence[tuple[str, str]], *, at: datetime
) -> None:
    """Write down who was told of which task: (task, owner), each pair once."""
    if told:
        await tx.execute(
            tx.insert(escalations).on_conflict_do_nothing(),
            [
                {"task_id": task_id, "owner_id": owner_id, "at": at}
                for task_id, owner_id in sorted(set(told))
            ],
        )


async def escalated_among(view: Reading, task_ids: Sequence[str]) -> frozenset[str]:
    """Return those of these tasks of which others than the owner were told."""
    told = select(escalations.c.task_id).distinct()
    rows = await view.all(told.where(among(escalations.c.task_id, task_ids, view.dialect)))
    return frozenset(row.task_id for row in rows)


async def escalated_to(
    view: Reading, owner_ids: Sequence[str], task_ids: Sequence[str]
) -> frozenset[str]:
    """Return those of these tasks of which one of these persons or teams was told."""
    rows = await view.all(
        select(escalations.c.task_id)
        .where(
            among(escalations.c.task_id, task_ids, view.dialect),
            among(escalations.c.owner_id, owner_ids, view.dialect),
        )
        .distinct()
    )
    return frozenset(row.task_id for row in rows)


_EVER: Final = datetime(1970, 1, 1, tzinfo=UTC)
_EQUAL: Final = ("person_ref", "touchpoint", "segment", "product", "metric")


def _conditions(wanted: TaskFilter, now: datetime) -> list[ColumnElement[bool]]:
    """Return what a task must fulfil, but for its owner."""
    found: list[ColumnElement[bool]] = []
    if wanted.states is not None:
        # Saying it in the index's own words lets both databases use the index of open tasks.
        if wanted.states <= OPEN:
            found.append(tasks.c.ended_at.is_(None))
        if wanted.states != OPEN:
            found.append(tasks.c.state.in_(sorted(state.value for state in wanted.states)))
    found += [
        tasks.c[name] == value
        for name in _EQUAL
        if (value := getattr(wanted, name)) is not None
    ]
    for asked, holds in (
        (wanted.overdue, and_(tasks.c.ended_at.is_(None), tasks.c.due_at < _running(now))),
        (wanted.scored, tasks.c.score.is_not(None)),
        (wanted.promised, tasks.c.next_contact_at.is_not(None)),
    ):
        if asked is not None:
            found.append(holds if asked else ~holds)
    return [*found, *_bounds(wanted), *_memberships(wanted)]


def _running(now: datetime) -> ColumnElement[datetime]:
    """Return now, or for a task whose clock stands still when it stopped."""
    return func.coalesce(tasks.c.paused_since, literal(now, tasks.c.due_at.type))


def _bounds(wanted: TaskFilter) -> Iterator[ColumnElement[bool]]:
    if wanted.due_from is not None:
        yield tasks.c.next_due_at >= wanted.due_from
    if wanted.due_before is not None:
        yield tasks.c.next_due_at < wanted.due_before
    if wanted.snoozed_at is not None:
        until = tasks.c.snoozed_until
        yield or_(until.is_(None), until <= wanted.snoozed_at)
    if wanted.opened_after is not None:
        yield tasks.c.id > wanted.opened_after
    if wanted.scores is not None:
        yield tasks.c.score.between(*wanted.scores)


def _memberships(wanted: TaskFilter) -> Iterator[ColumnElement[bool]]:
    if wanted.response_id is not None:
        joined = select(task_responses.c.task_id).where(
            task_responses.c.response_id == wanted.response_id
        )
        yield or_(tasks.c.response_id == wanted.response_id, tasks.c.id.in_(joined))
    if wanted.ids is not None:
        yield tasks.c.id.in_(sorted(wanted.ids))
    for name, codes in wanted.codes.items():
        yield tasks.c[name].in_(sorted(codes))
    if wanted.theme is not None:
        yield tasks.c.response_id.in_(responses_touching(wanted.theme))
    if wanted.denied:
        # Few among many: found by their own index, and not by looking at every open task.
        other = tasks.alias("denied")
        yield tasks.c.id.in_(select(other.c.id).where(other.c.denied_at > _EVER))
    if wanted.escalated_to is not None:
        told = escalations.c.owner_id.in_(sorted(wanted.escalated_to))
        yield tasks.c.id.in_(select(escalations.c.task_id).where(told))
    for word in wanted.terms:
        yield tasks.c.id.in_(tasks_with(word))
