"""Taking a customer out of tasks, their histories and the index; what was done stays."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import delete, or_, select, update

from services.loop.tasks.domain.task import FollowUpTask
from services.loop.tasks.store.rows import task_of
from services.loop.tasks.tables import search, task_history, tasks
from shared.db.base import among
from shared.db.transaction import Transaction
from shared.identity.erasure import FORGOTTEN


async def lock_tasks_about(
    tx: Transaction, *, persons: Sequence[str], responses: Sequence[str] = ()
) -> Sequence[FollowUpTask]:
    """Return the tasks of these persons, and those that these responses opened.

    They are kept from change until the transaction ends.
    """
    rows = await tx.all(
        select(tasks)
        .where(
            or_(
                among(tasks.c.person_ref, persons, tx.dialect),
                among(tasks.c.response_id, responses, tx.dialect),
            )
        )
        .order_by(tasks.c.id)
        .with_for_update()
    )
    return [task_of(row) for row in rows]


async def forget_in_tasks(tx: Transaction, ids: Sequence[str]) -> None:
    """Empty what is personal in the rows of these tasks."""
    await tx.execute(
        update(tasks)
        .where(among(tasks.c.id, ids, tx.dialect), tasks.c.sealed_person.is_not(None))
        .values(sealed_person=FORGOTTEN)
    )


async def forget_words(
    tx: Transaction, *, persons: Sequence[str], task_ids: Sequence[str]
) -> int:
    """Empty what was said about these persons, and all that was said in these tasks.

    A task that turned out to be another customer's speaks of that one from its first line on.
    Return how many lines there were.
    """
    emptied = await tx.execute(
        update(task_history)
        .where(
            or_(
                among(task_history.c.person_ref, persons, tx.dialect),
                among(task_history.c.task_id, task_ids, tx.dialect),
            ),
            task_history.c.sealed_words != FORGOTTEN,
        )
        .values(sealed_words=FORGOTTEN)
    )
    return emptied.rowcount


async def forget_terms(
    tx: Transaction, *, persons: Sequence[str], responses: Sequence[str]
) -> int:
    """Have nothing of these persons and responses found any more; return how many terms."""
    dropped = await tx.execute(
        delete(search).where(
            or_(
                among(search.c.person_ref, persons, tx.dialect),
                among(search.c.response_id, responses, tx.dialect),
            )
        )
    )
    return dropped.rowcount
