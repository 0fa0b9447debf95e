"""Tasks, their history and the rules behind them, in and out of the database.

Writing is set-based where a poll writes; a single task is changed under a lock on its row, and
its version guards it once more.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from pydantic import TypeAdapter
from sqlalchemy import (
    ColumnElement,
    Row,
    Tuple,
    and_,
    case,
    func,
    or_,
    select,
    tuple_,
    update,
)

from services.loop.journey.domain import OwnerRef
from services.loop.tasks.domain.rules import DEFAULT_RULES, RuleBook, rules_from
from services.loop.tasks.domain.schemes import (
    DEFAULT_SCHEME,
    RecoveryScheme,
    SchemeRef,
    scheme_from,
)
from services.loop.tasks.domain.task import (
    OPEN,
    Acted,
    Actor,
    Entry,
    FollowUpTask,
    Record,
    TaskState,
)
from services.loop.tasks.tables import rules, schemes, task_history, tasks
from services.loop.themes.store import responses_touching
from shared.db.transaction import Reading, Transaction
from shared.errors import Stale
from shared.sealing import CannotOpen, open_document, seal_document

Order = Literal["due", "ended"]

_MOST_AT_ONCE = 500
_record: TypeAdapter[Record] = TypeAdapter(Record)
_scheme: TypeAdapter[SchemeRef] = TypeAdapter(SchemeRef)


@dataclass(frozen=True, kw_only=True)
class TaskFilter:
    """Which tasks are wanted; a member that is None does not narrow."""

    states: frozenset[TaskState] | None = None
    owners: frozenset[str] | None = None
    response_id: str | None = None
    person_ref: str | None = None
    touchpoint: str | None = None
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


# ------------------------------------------------------------------ rules and schemes


async def current_rules(view: Reading) -> RuleBook:
    """Return the rule book that applies now."""
    document = await view.scalar(
        select(rules.c.document).order_by(rules.c.version.desc()).limit(1)
    )
    return rules_from(document or DEFAULT_RULES)


async def current_schemes(view: Reading) -> Mapping[str, RecoveryScheme]:
    """Return the schemes that apply to new tasks, by id; the shipped one is always there."""
    found = {scheme.id: scheme for scheme in (scheme_from(DEFAULT_SCHEME),)}
    for row in await view.all(select(schemes.c.document).order_by(schemes.c.version)):
        scheme = scheme_from(row.document)
        found[scheme.id] = scheme
    return found


# ------------------------------------------------------------------ writing


async def add(tx: Transaction, opened: Sequence[Acted]) -> frozenset[str]:
    """Add freshly opened tasks; return the ids of those whose response had none yet."""
    if not opened:
        return frozenset()
    await tx.execute(
        tx.insert(tasks).on_conflict_do_nothing(index_elements=["response_id"]),
        # In one order everywhere, so that two workers never wait for each other.
        sorted((_row(one.task) for one in opened), key=lambda row: str(row["response_id"])),
    )
    ours = {one.task.response_id: one for one in opened}
    added = {
        task_id
        for response_id, task_id in (await _ids(tx, list(ours))).items()
        if ours[response_id].task.id == task_id
    }
    await _write_history(
        tx, [(one.task, one.entry, None) for one in opened if one.task.id in added]
    )
    return frozenset(added)


async def save(tx: Transaction, acted: Acted, *, key: bytes | None) -> None:
    """Write what an act led to; raise ``Stale`` when the task was changed meanwhile.

    Words go under ``key``, the person's; they are dropped when the person was erased.
    """
    task = acted.task
    result = await tx.execute(
        update(tasks)
        .where(tasks.c.id == task.id, tasks.c.version == task.version - 1)
        .values(**_row(task))
    )
    if result.rowcount != 1:
        current = await tx.scalar(select(tasks.c.version).where(tasks.c.id == task.id))
        raise stale(current)
    await _write_history(tx, [(task, acted.entry, key)])


async def add_entries(tx: Transaction, entries: Sequence[tuple[FollowUpTask, Entry]]) -> None:
    """Add lines to the histories of tasks that did not change, such as a reminder."""
    await _write_history(tx, [(task, entry, None) for task, entry in entries])


def stale(current: int) -> Stale:
    """Return the refusal of a change that was made to an older version."""
    return Stale(
        "Somebody changed this task meanwhile. Read it again, then decide.",
        extra={"version": current},
    )


async def _write_history(
    tx: Transaction, lines: Sequence[tuple[FollowUpTask, Entry, bytes | None]]
) -> None:
    if lines:
        await tx.execute(
            task_history.insert(),
            [
                {
                    "task_id": task.id,
                    "version": entry.version,
                    "act": entry.act,
                    "at": entry.at,
                    "by_id": entry.by.id,
                    "by_name": entry.by.name,
                    "by_kind": entry.by.kind,
                    "detail": dict(entry.detail),
                    "sealed_words": (
                        seal_document(key, entry.words, context=_context(task.id))
                        if key is not None and entry.words
                        else None
                    ),
                }
                for task, entry, key in lines
            ],
        )


def _context(task_id: str) -> str:
    return f"{task_id}/sealed_words"


# ------------------------------------------------------------------ reading


async def find(view: Reading, task_id: str) -> FollowUpTask | None:
    """Return one task."""
    row = await view.first(select(tasks).where(tasks.c.id == task_id))
    return None if row is None else _task(row)


async def find_for_change(tx: Transaction, task_id: str) -> FollowUpTask | None:
    """Return one task and keep others from changing it until the transaction ends."""
    row = await tx.first(select(tasks).where(tasks.c.id == task_id).with_for_update())
    return None if row is None else _task(row)


async def find_many(view: Reading, ids: Sequence[str]) -> Mapping[str, FollowUpTask]:
    """Return those of these tasks that exist, by id."""
    found = {}
    for start in range(0, len(ids), _MOST_AT_ONCE):
        part = ids[start : start + _MOST_AT_ONCE]
        for row in await view.all(select(tasks).where(tasks.c.id.in_(part))):
            found[row.id] = _task(row)
    return found


async def lock_many(tx: Transaction, ids: Sequence[str]) -> Mapping[str, FollowUpTask]:
    """Return those of these tasks that exist, kept from change until the transaction ends."""
    found = {}
    for start in range(0, len(ids), _MOST_AT_ONCE):
        part = ids[start : start + _MOST_AT_ONCE]
        statement = select(tasks).where(tasks.c.id.in_(part)).order_by(tasks.c.id)
        for row in await tx.all(statement.with_for_update()):
            found[row.id] = _task(row)
    return found


async def of_responses(
    view: Reading, response_ids: Sequence[str]
) -> Mapping[str, FollowUpTask]:
    """Return the tasks of these responses, by response id."""
    found = {}
    for start in range(0, len(response_ids), _MOST_AT_ONCE):
        part = response_ids[start : start + _MOST_AT_ONCE]
        for row in await view.all(select(tasks).where(tasks.c.response_id.in_(part))):
            found[row.response_id] = _task(row)
    return found


async def _ids(view: Reading, response_ids: Sequence[str]) -> Mapping[str, str]:
    found = {}
    for start in range(0, len(response_ids), _MOST_AT_ONCE):
        part = response_ids[start : start + _MOST_AT_ONCE]
        for row in await view.all(
            select(tasks.c.response_id, tasks.c.id).where(tasks.c.response_id.in_(part))
        ):
            found[row.response_id] = row.id
    return found


async def histories_of(
    view: Reading, keys: Mapping[str, bytes | None]
) -> Mapping[str, Sequence[Entry]]:
    """Return the histories of these tasks, oldest line first; without a key without words."""
    found: dict[str, list[Entry]] = {task_id: [] for task_id in keys}
    for start in range(0, len(found), _MOST_AT_ONCE):
        part = list(found)[start : start + _MOST_AT_ONCE]
        for row in await view.all(
            select(task_history)
            .where(task_history.c.task_id.in_(part))
            .order_by(task_history.c.n)
        ):
            entry = Entry(
                version=row.version,
                act=row.act,
                at=row.at,
                by=Actor(id=row.by_id, name=row.by_name, kind=row.by_kind),
                detail=row.detail,
                words=_words(
                    row.sealed_words, keys[row.task_id], context=_context(row.task_id)
                ),
            )
            found[row.task_id].append(entry)
    return found


def _words(sealed: str | None, key: bytes | None, *, context: str) -> Mapping[str, str]:
    if sealed is None or key is None:
        return {}
    try:
        return open_document(key, sealed, context=context)
    except CannotOpen:
        return {}


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
    return [_task(row) for row in await view.all(statement)]


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
    if wanted.owners is not None:
        found.append(tasks.c.owner_id.in_(sorted(wanted.owners)))
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


# ------------------------------------------------------------------ rows

_PLAIN = (
    "id",
    "version",
    "response_id",
    "response_revision",
    "person_ref",
    "opened_at",
    "first_contact_due_at",
    "due_at",
    "waiting_since",
    "first_contact_at",
    "next_contact_at",
    "waiting_until",
    "ended_at",
    "rule",
    "rule_name",
    "metric",
    "score",
    "touchpoint",
    "segment",
    "product",
    "sealed_person",
)


def _row(task: FollowUpTask) -> dict[str, Any]:
    return {name: getattr(task, name) for name in _PLAIN} | {
        "state": task.state.value,
        "owner_id": task.owner.id,
        "owner_kind": task.owner.kind,
        "next_due_at": task.next_due_at,
        "scheme": _scheme.dump_python(task.scheme, mode="json"),
        "record": _record.dump_python(task.record, mode="json", exclude_defaults=True),
    }


def _task(row: Row[Any]) -> FollowUpTask:
    return FollowUpTask(
        **{name: getattr(row, name) for name in _PLAIN},
        state=TaskState(row.state),
        owner=OwnerRef(id=row.owner_id, kind=row.owner_kind),
        scheme=_scheme.validate_python(row.scheme),
        record=_record.validate_python(row.record),
    )
