"""The use cases of touchpoints: resolving a poll's codes, and describing touchpoints."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime

from services.loop.journey import store
from services.loop.journey.domain import OwnerRef, Touchpoint
from shared.db.transaction import Reading, Transaction
from shared.errors import Conflict, NotFound, Stale


async def owners_of(
    tx: Transaction, codes: Iterable[str], *, now: datetime
) -> Mapping[str, OwnerRef]:
    """Return the owners of these touchpoints; codes never seen before are noted as unmapped."""
    wanted = sorted(set(codes))
    seen = await store.look_up(tx, wanted)

    await store.add_unmapped(tx, [code for code in wanted if code not in seen.codes], now=now)
    return seen.owners


async def find_touchpoint(view: Reading, code: str) -> Touchpoint:
    """Return one touchpoint, or raise ``NotFound``."""
    touchpoint = await store.find(view, code)
    if touchpoint is None:
        raise NotFound("There is no touchpoint with this code. List them at /v1/touchpoints.")
    return touchpoint


async def add_touchpoint(tx: Transaction, touchpoint: Touchpoint) -> Touchpoint:
    """Describe a touchpoint that may not have been seen yet.

    A code that only responses have named so far becomes mapped by this; one that is already
    described is a ``Conflict``.
    """
    if await store.add(tx, touchpoint):
        return touchpoint
    known = await find_touchpoint(tx, touchpoint.code)
    if known.mapped:
        raise Conflict(
            "A touchpoint with this code exists. Change it with PATCH.",
            extra={"version": known.version},
        )
    described = replace(
        touchpoint, first_seen_at=known.first_seen_at, version=known.version + 1
    )
    await _save(tx, described)
    return described


async def change_touchpoint(
    tx: Transaction, changed: Touchpoint, *, expected: int | None
) -> Touchpoint:
    """Replace what is said of a touchpoint; ``expected`` is the version the caller knows.

    Responses that were routed before keep their owner.
    """
    if expected is not None and expected != changed.version:
        raise _stale(changed.version)
    described = replace(changed, mapped=True, version=changed.version + 1)
    await _save(tx, described)
    return described


async def _save(tx: Transaction, touchpoint: Touchpoint) -> None:
    if not await store.save(tx, touchpoint):
        raise _stale(touchpoint.version)


def _stale(current: int) -> Stale:
    return Stale(
        "Somebody changed this touchpoint meanwhile. Read it again and repeat the change.",
        extra={"version": current},
    )
