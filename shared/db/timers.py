"""Promises about the future: rows with a due time that survive every restart.

Due times are compared with the injected clock (people read them); the claim is a lease with a
token by the database's clock, so that a paused worker cannot ring twice.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import and_, bindparam, func, or_, select, update

from shared.db.base import epoch_now
from shared.ids import new_id

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime, timedelta

    from sqlalchemy import Table

    from shared.db.transaction import Reading, Transaction


@dataclass(frozen=True, kw_only=True)
class Timer:
    """One promise: ``kind`` rings for ``subject`` at ``due_at``, once."""

    kind: str
    subject: str
    due_at: datetime


@dataclass(frozen=True, kw_only=True)
class DueTimer(Timer):
    """A claimed timer; ``token`` is what settles it."""

    id: str
    token: str


async def set_all(tx: Transaction, timers: Sequence[Timer]) -> None:
    """Set timers; one that exists keeps ringing at its first time (once per kind, subject)."""
    if timers:
        await tx.execute(
            tx.insert(tx.plumbing.timers).on_conflict_do_nothing(
                index_elements=["kind", "subject"]
            ),
            [
                {"id": new_id("tmr"), "kind": t.kind, "subject": t.subject, "due_at": t.due_at}
                for t in timers
            ],
        )


async def cancel(tx: Transaction, subjects: Sequence[str], *, now: datetime) -> None:
    """Silence every open timer of these subjects: what it warned of is done."""
    if subjects:
        table = tx.plumbing.timers
        await tx.execute(
            update(table)
            .where(table.c.subject.in_(subjects), table.c.done_at.is_(None))
            .values(done_at=now, outcome="cancelled")
        )


async def wake(tx: Transaction, subjects: Sequence[str]) -> None:
    """Take back the silence of ``cancel``; what has rung once stays rung."""
    if subjects:
        table = tx.plumbing.timers
        await tx.execute(
            update(table)
            .where(table.c.subject.in_(subjects), table.c.outcome == "cancelled")
            .values(done_at=None, outcome=None, token=None, lease_until=None)
        )


async def bring_forward(tx: Transaction, timers: Sequence[Timer]) -> None:
    """Have open timers ring earlier; none rings later, and what has rung stays rung."""
    if timers:
        table = tx.plumbing.timers
        await tx.execute(
            update(table)
            .where(
                table.c.kind == bindparam("this_kind"),
                table.c.subject == bindparam("this_subject"),
                table.c.due_at > bindparam("new_due_at", type_=table.c.due_at.type),
                table.c.done_at.is_(None),
            )
            .values(due_at=bindparam("new_due_at", type_=table.c.due_at.type)),
            [
                {"this_kind": t.kind, "this_subject": t.subject, "new_due_at": t.due_at}
                for t in timers
            ],
        )


async def claim_due(
    tx: Transaction, *, now: datetime, lasting: timedelta, limit: int = 200
) -> Sequence[DueTimer]:
    """Claim open timers that are due, earliest first; another worker's claim is respected."""
    table = tx.plumbing.timers
    due = (
        select(table.c.id)
        .where(
            table.c.done_at.is_(None),
            table.c.due_at <= now,
            or_(table.c.lease_until.is_(None), table.c.lease_until < epoch_now()),
        )
        .order_by(table.c.due_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    token = new_id("clm")
    claimed = (
        update(table)
        .where(table.c.id.in_(due.scalar_subquery()))
        .values(token=token, lease_until=epoch_now() + lasting.total_seconds())
        .returning(table.c.id, table.c.kind, table.c.subject, table.c.due_at)
    )
    rows = await tx.all(claimed)
    return sorted(
        (
            DueTimer(id=r.id, kind=r.kind, subject=r.subject, due_at=r.due_at, token=token)
            for r in rows
        ),
        key=lambda timer: (timer.due_at, timer.id),
    )


async def settle(
    tx: Transaction, timer: DueTimer, *, now: datetime, outcome: str = "rung"
) -> bool:
    """Mark a claimed timer as done; False when the claim was lost meanwhile."""
    table = tx.plumbing.timers
    result = await tx.execute(
        update(table)
        .where(
            and_(
                table.c.id == timer.id,
                table.c.token == timer.token,
                table.c.done_at.is_(None),
            )
        )
        .values(done_at=now, outcome=outcome)
    )
    return result.rowcount == 1


async def postpone(tx: Transaction, timer: DueTimer, *, until: datetime) -> bool:
    """Let a claimed timer ring later, for anybody to claim; False when the claim was lost."""
    table = tx.plumbing.timers
    result = await tx.execute(
        update(table)
        .where(table.c.id == timer.id, table.c.token == timer.token, table.c.done_at.is_(None))
        .values(due_at=until, token=None, lease_until=None)
    )
    return result.rowcount == 1


async def waiting(view: Reading, table: Table, subjects: Sequence[str]) -> Sequence[Timer]:
    """Return the timers of these subjects that have neither rung nor been silenced."""
    rows = await view.all(
        select(table.c.kind, table.c.subject, table.c.due_at).where(
            table.c.subject.in_(subjects), table.c.done_at.is_(None)
        )
    )
    return [Timer(kind=row.kind, subject=row.subject, due_at=row.due_at) for row in rows]


async def move(tx: Transaction, timers: Sequence[Timer]) -> None:
    """Let open timers ring at these times, earlier or later; claims on them are lost."""
    table = tx.plumbing.timers
    for timer in timers:
        await tx.execute(
            update(table)
            .where(
                table.c.kind == timer.kind,
                table.c.subject == timer.subject,
                table.c.done_at.is_(None),
            )
            .values(due_at=timer.due_at, token=None, lease_until=None)
        )


async def put_off(tx: Transaction, timer: DueTimer, *, by: timedelta) -> None:
    """Keep a claimed timer that cannot ring out of the way of the others for a while."""
    table = tx.plumbing.timers
    await tx.execute(
        update(table)
        .where(table.c.id == timer.id, table.c.token == timer.token)
        .values(lease_until=epoch_now() + by.total_seconds())
    )


async def next_due(view: Reading, table: Table) -> datetime | None:
    """Return when the next open timer of this table rings, or None."""
    moment: datetime | None = await view.scalar(
        select(func.min(table.c.due_at)).where(table.c.done_at.is_(None))
    )
    return moment
