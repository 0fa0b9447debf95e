"""What departments should look into, in and out of the database."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Row, and_, or_, select, update

from services.loop.journey.domain import OwnerRef
from services.loop.themes.domain.outer_items import OuterItem, evidence_from
from services.loop.themes.tables import outer_items
from shared.db.base import among
from shared.db.transaction import Reading, Transaction


async def add_item(tx: Transaction, item: OuterItem) -> bool:
    """Add an item; False where the theme has an open one already."""
    added = await tx.execute(tx.insert(outer_items).values(_row(item)).on_conflict_do_nothing())
    return added.rowcount == 1


async def save_item(tx: Transaction, item: OuterItem) -> bool:
    """Write an item; False when it was changed since the version before this one."""
    saved = await tx.execute(
        update(outer_items)
        .where(outer_items.c.id == item.id, outer_items.c.version == item.version - 1)
        .values(_row(item))
    )
    return saved.rowcount == 1


async def find_item(view: Reading, item_id: str) -> OuterItem | None:
    """Return one item, or None."""
    row = await view.first(select(outer_items).where(outer_items.c.id == item_id))
    return None if row is None else _item(row)


async def latest_item_of(view: Reading, theme_id: str) -> OuterItem | None:
    """Return the open item of a theme, else the one that rose last."""
    row = await view.first(
        select(outer_items)
        .where(outer_items.c.theme_id == theme_id)
        .order_by(
            outer_items.c.open_theme.is_(None),
            outer_items.c.last_week.desc(),
            outer_items.c.id.desc(),
        )
        .limit(1)
    )
    return None if row is None else _item(row)


async def list_items(
    view: Reading,
    *,
    state: str | None = None,
    departments: Sequence[str] | None = None,
    theme_id: str | None = None,
    after: tuple[datetime, str] | None = None,
    most: int,
) -> Sequence[OuterItem]:
    """Return items, the latest first; ``departments`` None stands for all of them."""
    columns = outer_items.c
    query = (
        select(outer_items).order_by(columns.proposed_at.desc(), columns.id.desc()).limit(most)
    )
    if state is not None:
        query = query.where(columns.state == state)
    if theme_id is not None:
        query = query.where(columns.theme_id == theme_id)
    if departments is not None:
        query = query.where(among(columns.department, list(departments), view.dialect))
    if after is not None:
        moment, item_id = after
        query = query.where(
            or_(
                columns.proposed_at < moment,
                and_(columns.proposed_at == moment, columns.id < item_id),
            )
        )
    return [_item(row) for row in await view.all(query)]


def _row(item: OuterItem) -> dict[str, Any]:
    return {
        "id": item.id,
        "theme_id": item.theme_id,
        "open_theme": item.theme_id if item.is_open else None,
        "department": item.department,
        "state": item.state,
        "reason": item.reason,
        "merged_into": item.merged_into,
        "owner_id": item.owner.id if item.owner else None,
        "owner_kind": item.owner.kind if item.owner else None,
        "evidence": item.evidence.as_document(),
        "first_week": item.first_week,
        "last_week": item.last_week,
        "version": item.version,
        "proposed_at": item.proposed_at,
        "decided_at": item.decided_at,
        "decided_by": item.decided_by,
    }


def _item(row: Row[Any]) -> OuterItem:
    return OuterItem(
        id=row.id,
        theme_id=row.theme_id,
        department=row.department,
        state=row.state,
        reason=row.reason,
        merged_into=row.merged_into,
        owner=OwnerRef(id=row.owner_id, kind=row.owner_kind) if row.owner_id else None,
        evidence=evidence_from(row.evidence),
        first_week=row.first_week,
        last_week=row.last_week,
        version=row.version,
        proposed_at=row.proposed_at,
        decided_at=row.decided_at,
        decided_by=row.decided_by,
    )
