"""Publishing a version of a calendar or a scheme: audited, and never over somebody's head."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal

from services.loop.journey.store.versions import Published, Shelf
from shared.db.transaction import Reading, Transaction
from shared.errors import Conflict, NotFound, Stale
from shared.identity import audit
from shared.identity.principal import Principal

What = Literal["calendar", "scheme"]


async def find_published(
    view: Reading, shelf: Shelf, what: What, document_id: str, version: int | None = None
) -> Published:
    """Return one version of a document, else its latest one; raise ``NotFound``."""
    if version is not None:
        found = await shelf.version(view, document_id, version)
    else:
        found = next(iter(await shelf.latest(view, ids=[document_id])), None)
    if found is None:
        raise NotFound(f"There is no such {what}. List them at /v1/{what}s.")
    return found


async def publish_first(
    tx: Transaction,
    shelf: Shelf,
    what: What,
    document: Mapping[str, Any],
    *,
    by: Principal,
    now: datetime,
) -> Published:
    """Publish a document that is new; raise ``Conflict`` when its id is taken."""
    return await _publish(tx, shelf, what, {**document, "version": 1}, by=by, now=now)


async def publish_next(
    tx: Transaction,
    shelf: Shelf,
    what: What,
    document_id: str,
    changes: Mapping[str, Any],
    *,
    expected: int | None,
    by: Principal,
    now: datetime,
) -> Published:
    """Publish the next version of a document, with what changes in it.

    Raises ``NotFound``, or ``Stale`` when ``expected`` is not the latest version any more.
    """
    known = await find_published(tx, shelf, what, document_id)
    if expected is not None and expected != known.version:
        raise _stale(what, known.version)
    document = {**known.document, **changes, "id": known.id, "version": known.version + 1}
    return await _publish(tx, shelf, what, document, by=by, now=now)


async def _publish(
    tx: Transaction,
    shelf: Shelf,
    what: What,
    document: Mapping[str, Any],
    *,
    by: Principal,
    now: datetime,
) -> Published:
    new = Published(document=document, published_at=now, published_by=by.id)
    if not await shelf.add(tx, new):
        if new.version > 1:
            raise _stale(what, new.version)
        raise Conflict(f"A {what} with this id exists. Change it with PATCH.", slug="id-taken")
    await audit.record(tx, by, f"{what}.published", new.id, {"version": new.version}, now=now)
    return new


def _stale(what: What, version: int) -> Stale:
    return Stale(
        f"Somebody changed this {what} meanwhile. Read it again, then decide.",
        extra={"version": version},
    )
