"""Summaries: one mail that grows until it is sent, and the lines it is made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import bindparam, exists, literal, select, update

from services.notify.domain.deliveries import State
from services.notify.tables import deliveries, summary_items, tasks_done
from shared.db.base import among
from shared.db.transaction import Reading, Transaction


@dataclass(frozen=True, kw_only=True)
class Line:
    """One event of a task, to be told to ``target`` in a summary."""

    event_id: str
    target: str
    task_id: str
    payload: bytes = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class Growing:
    """A summary that may still grow; it waits for an address if it is held."""

    delivery_id: str
    began_at: datetime
    is_held: bool


async def lines_known(view: Reading, lines: Sequence[Line]) -> frozenset[tuple[str, str]]:
    """Return which of these events are told already, with whom they are told to."""
    rows = await view.all(
        select(summary_items.c.event_id, summary_items.c.target).where(
            among(summary_items.c.event_id, [line.event_id for line in lines], view.dialect)
        )
    )
    return frozenset((row.event_id, row.target) for row in rows)


async def lock_growing(tx: Transaction, gatherings: Sequence[str]) -> Mapping[str, Growing]:
    """Return the summaries that gather these, kept from being claimed until the commit."""
    rows = await tx.all(
        select(deliveries)
        .where(deliveries.c.gathering.in_(gatherings))
        .order_by(deliveries.c.gathering)
        .with_for_update()
    )
    return {
        row.gathering: Growing(
            delivery_id=row.id,
            began_at=row.created_at,
            is_held=row.state == State.HELD,
        )
        for row in rows
    }


async def add_lines(tx: Transaction, lines: Mapping[str, Sequence[Line]]) -> None:
    """Add lines to summaries, by delivery id; what stands there stays as it is."""
    rows = [
        {
            "delivery_id": delivery_id,
            "event_id": line.event_id,
            "target": line.target,
            "task_id": line.task_id,
            "payload": line.payload,
        }
        for delivery_id, added in lines.items()
        for line in added
    ]
    if rows:
        await tx.execute(tx.insert(summary_items).on_conflict_do_nothing(), rows)


async def set_due(tx: Transaction, due: Mapping[str, datetime]) -> None:
    """Set when summaries are sent that still grow, by delivery id."""
    if due:
        await tx.execute(
            update(deliveries)
            .where(
                deliveries.c.id == bindparam("this_id"),
                deliveries.c.gathering.is_not(None),
                deliveries.c.state == State.DUE.value,
            )
            .values(
                next_attempt_at=bindparam("new_time", type_=deliveries.c.next_attempt_at.type)
            ),
            [{"this_id": delivery_id, "new_time": at} for delivery_id, at in due.items()],
        )


async def lines_of(view: Reading, delivery_ids: Sequence[str]) -> Mapping[str, Sequence[bytes]]:
    """Return what these summaries tell of, without tasks that nobody has to act on any more."""
    found: dict[str, list[bytes]] = {delivery_id: [] for delivery_id in delivery_ids}
    if delivery_ids:
        rows = await view.all(
            select(summary_items.c.delivery_id, summary_items.c.payload)
            .where(
                summary_items.c.delivery_id.in_(delivery_ids),
                ~exists().where(tasks_done.c.task_id == summary_items.c.task_id),
            )
            .order_by(summary_items.c.event_id)
        )
        for row in rows:
            found[row.delivery_id].append(row.payload)
    return found


async def copy_lines(tx: Transaction, *, of: str, to: str, target: str) -> None:
    """Give another delivery the lines of this one, if it exists, for its own target."""
    await tx.execute(
        tx.insert(summary_items)
        .from_select(
            ["delivery_id", "event_id", "target", "task_id", "payload"],
            select(
                literal(to, summary_items.c.delivery_id.type),
                summary_items.c.event_id,
                literal(target, summary_items.c.target.type),
                summary_items.c.task_id,
                summary_items.c.payload,
            ).where(
                summary_items.c.delivery_id == of,
                exists().where(deliveries.c.id == to),
            ),
        )
        .on_conflict_do_nothing()
    )
