"""Deciding on what was proposed to be looked into: a person does, the program never."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

from services.loop.journey.domain import OwnerRef
from services.loop.journey.handlers import check_responsible
from services.loop.themes.domain.outer_items import OuterItem, Reason, State
from services.loop.themes.handlers.departments import departments, may_decide
from services.loop.themes.store import outer_items as store
from shared.db.transaction import Reading, Transaction
from shared.errors import Conflict, Forbidden, NotFound, Stale
from shared.identity import audit
from shared.identity.principal import Principal

Decide = Callable[[OuterItem], OuterItem]


async def list_outer_items(
    view: Reading,
    *,
    state: State | None = None,
    department: str | None = None,
    theme_id: str | None = None,
    after: tuple[datetime, str] | None = None,
    most: int,
) -> Sequence[OuterItem]:
    """Return items, the latest first; a department is given by its id or its name."""
    if department is not None:
        department = (await departments(view)).key(department)
    return await store.list_items(
        view,
        state=state,
        departments=None if department is None else [department],
        theme_id=theme_id,
        after=after,
        most=most,
    )


async def find_outer_item(view: Reading, item_id: str) -> OuterItem:
    """Return one item, or raise ``NotFound``."""
    item = await store.find_item(view, item_id)
    if item is None:
        raise NotFound("There is no such item. List them at /v1/outer-items.")
    return item


async def accept_item(
    tx: Transaction,
    item_id: str,
    *,
    owner: OwnerRef | None,
    expected: int | None,
    by: Principal,
    now: datetime,
) -> OuterItem:
    """Take an item on, for its department's head unless ``owner`` says who else has it."""
    await check_responsible(tx, owner, None)
    item = await _decided(
        tx,
        item_id,
        lambda item: item.accepted(owner, by=by.id, at=now),
        expected=expected,
        by=by,
        now=now,
    )
    detail = {"theme": item.theme_id, "owner": item.owner.id if item.owner else None}
    await audit.record(tx, by, "outer-item.accepted", item.id, detail, now=now)
    return item


async def dismiss_item(
    tx: Transaction,
    item_id: str,
    *,
    reason: Reason,
    expected: int | None,
    by: Principal,
    now: datetime,
) -> OuterItem:
    """Say that this need not be looked into; for some weeks it is not proposed again."""
    item = await _decided(
        tx,
        item_id,
        lambda item: item.dismissed(reason, by=by.id, at=now),
        expected=expected,
        by=by,
        now=now,
    )
    detail = {"theme": item.theme_id, "reason": reason}
    await audit.record(tx, by, "outer-item.dismissed", item.id, detail, now=now)
    return item


async def merge_item(
    tx: Transaction,
    item_id: str,
    *,
    into: str,
    expected: int | None,
    by: Principal,
    now: datetime,
) -> OuterItem:
    """Make an item a part of another open one: two themes, one thing to look into."""
    other = await find_outer_item(tx, into)
    item = await _decided(
        tx,
        item_id,
        lambda item: item.merged(other, by=by.id, at=now),
        expected=expected,
        by=by,
        now=now,
    )
    detail = {"theme": item.theme_id, "into": other.id}
    await audit.record(tx, by, "outer-item.merged", item.id, detail, now=now)
    return item


async def reopen_item(
    tx: Transaction, item_id: str, *, expected: int | None, by: Principal, now: datetime
) -> OuterItem:
    """Take a decision back: the item is proposed as it was."""
    known = await find_outer_item(tx, item_id)
    latest = await store.latest_item_of(tx, known.theme_id)
    if latest is not None and latest.is_open and latest.id != known.id:
        raise Conflict(
            "This theme has another open item by now. Merge or dismiss that one first.",
            slug="another-open-item",
            extra={"state": known.state, "item_id": latest.id, "allowed_by": "dismiss"},
        )
    item = await _decided(
        tx,
        item_id,
        lambda item: item.reopened(by=by.id, at=now),
        expected=expected,
        by=by,
        now=now,
    )
    detail = {"theme": item.theme_id}
    await audit.record(tx, by, "outer-item.reopened", item.id, detail, now=now)
    return item


async def _decided(
    tx: Transaction,
    item_id: str,
    decide: Decide,
    *,
    expected: int | None,
    by: Principal,
    now: datetime,
) -> OuterItem:
    item = await find_outer_item(tx, item_id)
    if not await may_decide(tx, by, item.department, now=now):
        raise Forbidden(
            "The head of the theme's department decides on this, or a manager of customer"
            " experience. Ask one of them."
        )
    if expected is not None and expected != item.version:
        raise _stale(item.version)
    decided = decide(item)
    if not await store.save_item(tx, decided):
        raise _stale(decided.version)
    return decided


def _stale(current: int) -> Stale:
    return Stale(
        "Somebody decided on this item meanwhile. Read it again, then decide.",
        extra={"version": current},
    )
