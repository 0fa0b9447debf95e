"""Tasks and their history in and out of the database.

Writing is set-based where a poll writes; a single task is changed under a lock on its row, and
its version guards it once more.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Column, Row, Select, Text, cast, func, or_, select, update

from services.loop.tasks.domain.facts import (
    Acted,
    Entry,
)
from services.loop.tasks.domain.task import (
    Actor,
    FollowUpTask,
    TaskState,
)
from services.loop.tasks.store.rows import row_of, task_of
from services.loop.tasks.tables import task_history, task_responses, tasks
from shared.db.base import among
from shared.db.transaction import Reading, Transaction
from shared.errors import Stale
from shared.identity.person_keys import PersonKeys
from shared.sealing import CannotOpen, open_document, seal_document


async def add(tx: Transaction, opened: Sequence[Acted]) -> frozenset[str]:
    """Add freshly opened tasks; return the ids of those whose response had none yet."""
    if not opened:
        return frozenset()
    await tx.execute(
        tx.insert(tasks).on_conflict_do_nothing(index_elements=["response_id"]),
        # In one order everywhere, so that two workers never wait for each other.
        sorted((row_of(one.task) for one in opened), key=lambda row: str(row["response_id"])),
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
        .values(**row_of(task))
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
                    "person_ref": task.person_ref,
                }
                for task, entry, key in lines
            ],
        )


def _context(task_id: str) -> str:
    return f"{task_id}/sealed_words"


async def find(view: Reading, task_id: str) -> FollowUpTask | None:
    """Return one task."""
    row = await view.first(select(tasks).where(tasks.c.id == task_id))
    return None if row is None else task_of(row)


async def find_for_change(tx: Transaction, task_id: str) -> FollowUpTask | None:
    """Return one task and keep others from changing it until the transaction ends."""
    row = await tx.first(select(tasks).where(tasks.c.id == task_id).with_for_update())
    return None if row is None else task_of(row)


async def lock_many(tx: Transaction, ids: Sequence[str]) -> Mapping[str, FollowUpTask]:
    """Return those of these tasks that exist, kept from change until the transaction ends."""
    statement = select(tasks).order_by(tasks.c.id).with_for_update()
    return {row.id: task_of(row) for row in await _rows(tx, statement, tasks.c.id, ids)}


async def of_responses(
    view: Reading, response_ids: Sequence[str]
) -> Mapping[str, FollowUpTask]:
    """Return the tasks of these responses, by response id, whichever answer opened them."""
    rows = await _rows(view, select(tasks), tasks.c.response_id, response_ids)
    found = {row.response_id: task_of(row) for row in rows}
    others = await joined_to(view, [one for one in response_ids if one not in found])
    ids = sorted({task_id for task_id, _ in others.values()})
    cases = {row.id: task_of(row) for row in await _rows(view, select(tasks), tasks.c.id, ids)}
    return found | {one: cases[task_id] for one, (task_id, _) in others.items()}


async def joined_to(
    view: Reading, response_ids: Sequence[str]
) -> Mapping[str, tuple[str, int]]:
    """Return for those answers that joined another one's case its id and their revision."""
    statement = select(task_responses)
    rows = await _rows(view, statement, task_responses.c.response_id, response_ids)
    return {row.response_id: (row.task_id, row.revision) for row in rows}


async def join(
    tx: Transaction, task_id: str, response_id: str, revision: int, *, now: datetime
) -> None:
    """Write that an answer belongs to a case, or up to which revision the case follows it."""
    row = {
        "response_id": response_id,
        "task_id": task_id,
        "revision": revision,
        "joined_at": now,
    }
    statement = tx.insert(task_responses).values(**row)
    await tx.execute(
        statement.on_conflict_do_update(
            index_elements=["response_id"], set_={"revision": revision}
        )
    )


async def cases_of(
    tx: Transaction, person_refs: Sequence[str], *, since: datetime
) -> Sequence[FollowUpTask]:
    """Return the tasks of these persons that opened since then, kept from change."""
    statement = (
        select(tasks).where(tasks.c.opened_at >= since).order_by(tasks.c.id).with_for_update()
    )
    rows = await _rows(tx, statement, tasks.c.person_ref, person_refs)
    return [task_of(row) for row in rows]


async def opened_between(
    view: Reading, first: datetime, last: datetime
) -> Sequence[FollowUpTask]:
    """Return the tasks that opened from ``first`` on and before ``last``."""
    statement = select(tasks).where(tasks.c.opened_at >= first, tasks.c.opened_at < last)
    return [task_of(row) for row in await view.all(statement.order_by(tasks.c.opened_at))]


async def first_owners(view: Reading, task_ids: Sequence[str]) -> Mapping[str, str]:
    """Return who got these tasks when they were opened, by task."""
    statement = select(task_history.c.task_id, task_history.c.detail).where(
        task_history.c.act == "open"
    )
    rows = await _rows(view, statement, task_history.c.task_id, task_ids)
    return {row.task_id: str(row.detail["owner"]) for row in rows}


async def next_unclaimed(
    tx: Transaction, teams: Collection[str] | None, *, now: datetime
) -> str | None:
    """Return the task of these teams, or of all, that breaks its promise first.

    It waits for no one else and is not put off. It is kept from change until the transaction
    ends, and whoever asks at the same moment gets the one behind it.
    """
    columns = tasks.c
    waiting = (TaskState.ASSIGNED.value, TaskState.IN_PROGRESS.value)
    statement = (
        select(columns.id)
        .where(
            columns.ended_at.is_(None),
            columns.owner_kind == "team",
            columns.state.in_(waiting),
            or_(columns.snoozed_until.is_(None), columns.snoozed_until <= now),
        )
        .order_by(columns.next_due_at, columns.id)
        .limit(1)
        .with_for_update(skip_locked=True)
    )
    if teams is not None:
        statement = statement.where(among(columns.owner_id, sorted(teams), tx.dialect))
    found: str | None = await tx.scalar(statement)
    return found


async def opened_lately(
    view: Reading, touchpoints: Sequence[str], *, since: datetime
) -> Mapping[str, int]:
    """Count the tasks that opened since then, by touchpoint."""
    statement = (
        select(tasks.c.touchpoint, func.count().label("n"))
        .where(tasks.c.opened_at >= since)
        .group_by(tasks.c.touchpoint)
    )
    rows = await _rows(view, statement, tasks.c.touchpoint, touchpoints)
    return {row.touchpoint: row.n for row in rows}


async def open_ids_of(view: Reading, owner_id: str, *, most: int) -> Sequence[str]:
    """Return the open tasks of one owner, those that break their promise first."""
    rows = await view.all(
        select(tasks.c.id)
        .where(tasks.c.owner_id == owner_id, tasks.c.ended_at.is_(None))
        .order_by(tasks.c.next_due_at, tasks.c.id)
        .limit(most)
    )
    return [row.id for row in rows]


async def promised_by(view: Reading, staff_id: str, *, most: int) -> Sequence[FollowUpTask]:
    """Return open tasks in which somebody has promised to do something and not done it yet."""
    named = cast(tasks.c.record, Text).contains(staff_id, autoescape=True)
    rows = await view.all(
        select(tasks)
        .where(tasks.c.ended_at.is_(None), named)
        .order_by(tasks.c.next_due_at, tasks.c.id)
    )
    # The name stands in a record for many reasons.
    found = (task_of(row) for row in rows)
    return [task for task in found if task.promises_of(staff_id)][:most]


async def open_by_owner(view: Reading, owner_ids: Sequence[str]) -> Mapping[str, int]:
    """Count the open tasks of these owners."""
    statement = (
        select(tasks.c.owner_id, func.count().label("n"))
        .where(tasks.c.ended_at.is_(None))
        .group_by(tasks.c.owner_id)
    )
    rows = await _rows(view, statement, tasks.c.owner_id, owner_ids)
    return {row.owner_id: row.n for row in rows}


async def _ids(view: Reading, response_ids: Sequence[str]) -> Mapping[str, str]:
    statement = select(tasks.c.response_id, tasks.c.id)
    rows = await _rows(view, statement, tasks.c.response_id, response_ids)
    return {row.response_id: row.id for row in rows}


async def _rows(
    view: Reading, statement: Select[Any], column: Column[str], values: Sequence[str]
) -> Sequence[Row[Any]]:
    """Return the rows with one of these values, however many; for none nobody is asked."""
    if not values:
        return ()
    return await view.all(statement.where(among(column, values, view.dialect)))


async def histories_of(
    view: Reading,
    task_ids: Sequence[str],
    *,
    readable: Collection[str],
    person_keys: PersonKeys,
) -> Mapping[str, Sequence[Entry]]:
    """Return the histories of these tasks, oldest line first, with the words if ``readable``.

    Each line opens with the key of the person it was sealed for; of words that were erased it
    says that there were any.
    """
    found: dict[str, list[Entry]] = {task_id: [] for task_id in task_ids}
    statement = select(task_history).order_by(task_history.c.n)
    rows = await _rows(view, statement, task_history.c.task_id, task_ids)
    speaking = [row for row in rows if row.sealed_words and row.task_id in readable]
    keys = await person_keys.for_reading(view, [row.person_ref for row in speaking])
    words = {
        row.n: _words(row.sealed_words, keys.get(row.person_ref), context=_context(row.task_id))
        for row in speaking
    }
    for row in rows:
        entry = Entry(
            version=row.version,
            act=row.act,
            at=row.at,
            by=Actor(id=row.by_id, name=row.by_name, kind=row.by_kind),
            detail=row.detail,
            words=words.get(row.n) or {},
            erased=row.n in words and words[row.n] is None,
        )
        found[row.task_id].append(entry)
    return found


def _words(sealed: str, key: bytes | None, *, context: str) -> Mapping[str, str] | None:
    """Open the words of one line; None where they were erased."""
    if key is None:
        return None
    try:
        return open_document(key, sealed, context=context)
    except CannotOpen:
        return None
