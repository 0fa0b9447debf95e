"""The blind index: keyed digests of what a task can be found by.

Nothing in it can be read; it goes with the person, and with the answer that it came from.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sqlalchemy import Select, delete, select

from services.loop.tasks.domain.task import FollowUpTask
from services.loop.tasks.store.rows import task_of
from services.loop.tasks.tables import search, tasks
from shared.db.base import among
from shared.db.transaction import Reading, Transaction
from shared.identity.erasure import FORGOTTEN


@dataclass(frozen=True, kw_only=True)
class Indexed:
    """What one answer's task is found by."""

    response_id: str
    task_id: str
    person_ref: str
    terms: frozenset[str]


def tasks_with(terms: Collection[str]) -> Select[tuple[str]]:
    """Return the ids of the tasks that are found by any of these terms."""
    return select(search.c.task_id).where(search.c.term.in_(sorted(terms)))


async def not_indexed(view: Reading, *, after: str, most: int) -> Sequence[FollowUpTask]:
    """Return the first tasks behind the id ``after`` that are found by nothing."""
    found = select(search.c.term).where(search.c.response_id == tasks.c.response_id).exists()
    rows = await view.all(
        select(tasks)
        .where(tasks.c.id > after, tasks.c.sealed_person != FORGOTTEN, ~found)
        .order_by(tasks.c.id)
        .limit(most)
    )
    return [task_of(row) for row in rows]


async def index(tx: Transaction, found: Sequence[Indexed]) -> None:
    """Write what these answers' tasks are found by, in the place of what was there."""
    if not found:
        return
    await tx.execute(
        delete(search).where(
            among(search.c.response_id, [one.response_id for one in found], tx.dialect)
        )
    )
    rows = [
        {
            "term": term,
            "response_id": one.response_id,
            "task_id": one.task_id,
            "person_ref": one.person_ref,
        }
        for one in found
        for term in sorted(one.terms)
    ]
    if rows:
        await tx.execute(search.insert(), rows)
