"""Who has a task open at the moment: forgotten after a minute, and never a record of work."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import delete, select

from services.loop.tasks.tables import task_viewers
from shared.db.transaction import Reading, Transaction


async def note_viewer(
    tx: Transaction, task_id: str, staff_id: str, *, at: datetime, forgotten: datetime
) -> None:
    """Note that somebody looks at a task; drop whoever was seen last before ``forgotten``."""
    await tx.execute(delete(task_viewers).where(task_viewers.c.seen_at < forgotten))
    statement = tx.insert(task_viewers)
    await tx.execute(
        statement.on_conflict_do_update(
            index_elements=["task_id", "staff_id"], set_={"seen_at": at}
        ),
        [{"task_id": task_id, "staff_id": staff_id, "seen_at": at}],
    )


async def viewers_of(view: Reading, task_id: str, *, since: datetime) -> Sequence[str]:
    """Return the ids of those who looked at a task since then."""
    rows = await view.all(
        select(task_viewers.c.staff_id)
        .where(task_viewers.c.task_id == task_id, task_viewers.c.seen_at >= since)
        .order_by(task_viewers.c.staff_id)
    )
    return [row.staff_id for row in rows]
