"""How many deliveries of an endpoint stand where."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import case, func, select

from services.notify.domain.deliveries import Channel, State
from services.notify.tables import deliveries
from shared.db.transaction import Reading


@dataclass(frozen=True, kw_only=True)
class Tally:
    """What became of what was for an endpoint, by number."""

    delivered: int = 0
    waiting: int = 0
    """Due or on its way, and never failed so far."""
    retrying: int = 0
    held: int = 0
    failed: int = 0

    @property
    def share(self) -> float | None:
        """Return how much of what was tried or held has arrived; None where nothing was."""
        told = self.delivered + self.retrying + self.held + self.failed
        return self.delivered / told if told else None


async def tallies_of(
    view: Reading, webhook_ids: Sequence[str], *, since: datetime
) -> Mapping[str, Tally]:
    """Return the numbers of what was made since then, by endpoint."""
    if not webhook_ids:
        return {}
    failed_before = case((deliveries.c.failures > 0, 1), else_=0)
    rows = await view.all(
        select(
            deliveries.c.target,
            deliveries.c.state,
            failed_before.label("failed_before"),
            func.count().label("n"),
        )
        .where(
            deliveries.c.target.in_(webhook_ids),
            deliveries.c.channel == Channel.WEBHOOK,
            deliveries.c.created_at >= since,
        )
        .group_by(deliveries.c.target, deliveries.c.state, failed_before)
    )
    found: dict[str, dict[str, int]] = {webhook_id: {} for webhook_id in webhook_ids}
    for row in rows:
        name = row.state
        if name in {State.DUE, State.SENDING}:
            name = "retrying" if row.failed_before else "waiting"
        found[row.target][name] = found[row.target].get(name, 0) + row.n
    return {webhook_id: Tally(**numbers) for webhook_id, numbers in found.items()}


async def held_of(view: Reading, webhook_id: str) -> tuple[int, datetime | None]:
    """Return how many deliveries are held for an endpoint, and when the oldest was made."""
    row = await view.first(
        select(
            func.count().label("n"), func.min(deliveries.c.created_at).label("oldest")
        ).where(deliveries.c.target == webhook_id, deliveries.c.state == State.HELD)
    )
    return (row.n, row.oldest) if row is not None else (0, None)
