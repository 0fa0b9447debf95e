"""Forgetting what was sent once its time is over, with what was captured and answered."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import and_, delete, func, select, text

from services.notify.tables import ENDED, attempts, captured_mails, deliveries, summary_items
from shared.db.base import among
from shared.identity.retention import Expiring

if TYPE_CHECKING:
    from sqlalchemy import Select

    from shared.db.transaction import Reading, Transaction


def _over(before: datetime, *columns: Any) -> Select[Any]:  # noqa: ANN401 - whatever can be selected
    return (
        select(*columns)
        .select_from(deliveries)
        .where(and_(deliveries.c.created_at < before, text(ENDED)))
    )


async def count_old_deliveries(view: Reading, before: datetime) -> int:
    """Count the deliveries whose time is over."""
    return int(await view.scalar(_over(before, func.count())))


async def forget_old_deliveries(tx: Transaction, before: datetime, limit: int) -> int:
    """Forget some of them with all that hangs on them; return how many."""
    old = await tx.all(
        _over(before, deliveries.c.id)
        .order_by(deliveries.c.created_at)
        .limit(limit)
        # Whoever sends one again at this moment does so before, or finds nothing.
        .with_for_update(skip_locked=True)
    )
    ids = sorted(row.id for row in old)
    for column in (
        attempts.c.delivery_id,
        captured_mails.c.delivery_id,
        summary_items.c.delivery_id,
        deliveries.c.id,
    ):
        await tx.execute(delete(column.table).where(among(column, ids, tx.dialect)))
    return len(ids)


OLD_DELIVERIES: Final = Expiring(
    kind="deliveries", count=count_old_deliveries, forget=forget_old_deliveries
)
