"""What was proposed because a theme rose, put there without waiting for nine weeks."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from services.loop.journey.domain import OwnerRef
from services.loop.themes.domain.outer_items import Evidence, OuterItem, State
from services.loop.themes.domain.risers import monday_of
from services.loop.themes.store.outer_items import add_item
from shared.db.transaction import Database
from shared.ids import new_id


async def put_proposal(
    database: Database,
    theme_id: str,
    responses: Sequence[str] = (),
    *,
    now: datetime,
    department: str = "",
    state: State = "proposed",
    owner: OwnerRef | None = None,
    item_id: str | None = None,
) -> str:
    """Have this theme risen in the week before, in these responses; return the item's id."""
    week = monday_of(now.date()) - timedelta(weeks=1)
    decided = None if state == "proposed" else now
    item = OuterItem(
        id=item_id or new_id("oit"),
        theme_id=theme_id,
        department=department,
        state=state,
        reason="one_off" if state == "dismissed" else None,
        owner=owner,
        evidence=Evidence(
            first=week,
            last=week + timedelta(days=6),
            mentions=24,
            comments=200,
            former_mentions=60,
            former_comments=1_600,
            former_weeks=8,
            expected=7.6,
            ratio=3.2,
            ci95=(1.9, 5.4),
            rated=20,
            unhappy=18,
            response_ids=tuple(responses),
        ),
        first_week=week,
        last_week=week,
        version=1,
        proposed_at=now,
        decided_at=decided,
        decided_by=None if decided is None else "stf_1",
    )
    async with database.transaction() as tx:
        assert await add_item(tx, item)
    return item.id
