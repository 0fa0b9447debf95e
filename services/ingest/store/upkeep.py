"""What the loop said, and what is still waited for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, case, null, or_, select, update

from services.ingest.store.rows import StoredResponse, response_of
from services.ingest.tables import PLUMBING, responses

if TYPE_CHECKING:
    from sqlalchemy import Select

    from shared.db.transaction import Reading, Transaction


@dataclass(frozen=True, slots=True, kw_only=True)
class Handled:
    """What the loop made of one revision of a response."""

    response_id: str
    revision: int
    state: str
    reason: str | None
    task_id: str | None
    themes: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskStands:
    """Whether a response's task waits for somebody, as of one version of the task."""

    response_id: str
    task_id: str
    version: int
    is_open: bool


async def mark_handled(tx: Transaction, verdicts: Sequence[Handled]) -> None:
    """Write what the loop said; an older revision never overwrites a newer one.

    What the task itself has told since stays: a verdict may be read after it.
    """
    has_task = responses.c.task_version.is_not(None)
    if verdicts:
        await tx.execute(
            update(responses)
            .where(
                responses.c.id == bindparam("the_id"),
                or_(
                    responses.c.handled.is_(None),
                    responses.c.handled <= bindparam("the_revision"),
                ),
            )
            .values(
                state=case(
                    (has_task, responses.c.state),
                    else_=bindparam("new_state", type_=responses.c.state.type),
                ),
                outcome_reason=case(
                    (has_task, null()),
                    else_=bindparam("new_reason", type_=responses.c.outcome_reason.type),
                ),
                task_id=case(
                    (has_task, responses.c.task_id),
                    else_=bindparam("new_task", type_=responses.c.task_id.type),
                ),
                themes=bindparam("new_themes"),
                handled=bindparam("the_revision"),
            ),
            [
                {
                    "the_id": one.response_id,
                    "the_revision": one.revision,
                    "new_state": one.state,
                    "new_reason": one.reason,
                    "new_task": one.task_id,
                    "new_themes": list(one.themes),
                }
                for one in verdicts
            ],
        )
        # Whoever was announced in a later revision is still waited for.
        await tx.execute(
            update(responses)
            .where(
                responses.c.id.in_([one.response_id for one in verdicts]),
                responses.c.handled >= responses.c.announced,
            )
            .values(announce_again_at=None)
        )


async def mark_tasks(tx: Transaction, tasks: Sequence[TaskStands]) -> None:
    """Write where tasks stand; an older version never overwrites a newer one."""
    if tasks:
        await tx.execute(
            update(responses)
            .where(
                responses.c.id == bindparam("the_id"),
                or_(
                    responses.c.task_version.is_(None),
                    responses.c.task_version < bindparam("the_version"),
                ),
            )
            .values(
                state=bindparam("new_state"),
                outcome_reason=None,
                task_id=bindparam("new_task"),
                task_version=bindparam("the_version"),
            ),
            [
                {
                    "the_id": one.response_id,
                    "the_version": one.version,
                    "new_state": "task_open" if one.is_open else "closed",
                    "new_task": one.task_id,
                }
                for one in sorted(tasks, key=lambda one: one.response_id)
            ],
        )


def _due(now: datetime) -> Select[Any]:
    return (
        select(responses)
        .where(responses.c.announce_again_at.is_not(None), responses.c.announce_again_at <= now)
        .order_by(responses.c.announce_again_at)
    )


async def unhandled(
    view: Reading, *, now: datetime, waiting: timedelta, limit: int = 200
) -> list[StoredResponse]:
    """Return responses that were accepted longer ago than ``waiting`` and never handled."""
    rows = await view.all(
        select(responses)
        .where(
            responses.c.announce_again_at.is_not(None),
            responses.c.announced_at <= now - waiting,
        )
        .order_by(responses.c.announced_at)
        .limit(limit)
    )
    return [response_of(row) for row in rows]


async def has_upkeep(view: Reading, *, now: datetime) -> bool:
    """Tell whether something is to be announced again."""
    due = await view.first(_due(now).with_only_columns(responses.c.id).limit(1))
    return due is not None


async def take_due(tx: Transaction, *, now: datetime, limit: int) -> list[StoredResponse]:
    """Return responses that are due to be announced again, locked until the commit."""
    rows = await tx.all(_due(now).limit(limit).with_for_update(skip_locked=True))
    return [response_of(row) for row in rows]


async def publish_again(tx: Transaction, event_ids: Sequence[str]) -> set[str]:
    """Put sent outbox rows back into the queue; return the ids whose rows are still there."""
    if not event_ids:
        return set()
    outbox = PLUMBING.outbox
    await tx.execute(
        update(outbox).where(outbox.c.event_id.in_(event_ids)).values(published_at=None)
    )
    rows = await tx.all(select(outbox.c.event_id).where(outbox.c.event_id.in_(event_ids)))
    return {row.event_id for row in rows}


async def set_next_announcements(
    tx: Transaction, due: Mapping[str, tuple[int, datetime]]
) -> None:
    """Write per response how often it was announced and when it will be again."""
    if due:
        await tx.execute(
            update(responses)
            .where(responses.c.id == bindparam("the_id"))
            .values(
                announcements=bindparam("new_count"), announce_again_at=bindparam("new_time")
            ),
            [
                {"the_id": response_id, "new_count": count, "new_time": at}
                for response_id, (count, at) in due.items()
            ],
        )
