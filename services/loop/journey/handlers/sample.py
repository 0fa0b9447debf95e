"""Taking sample data away: what came with it and nothing of one's own needs goes too."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from typing import Final

from services.loop.journey.domain import KINDS
from services.loop.journey.store import sample as store
from shared.db.transaction import Transaction
from shared.identity.sample import made_by, remove_departments, remove_people, sample

StillNamed = Callable[[str, Collection[str]], Awaitable[frozenset[str]]]
"""Tells which of these codes of a kind a response names."""
_PLACE: Final = "touchpoint"


async def remove_seen(
    tx: Transaction, named: dict[str, Collection[str]], still_named: StillNamed
) -> None:
    """Forget codes, by kind, that only responses have named which are no more."""
    unnamed = {
        kind: frozenset(codes) - await still_named(kind, codes)
        for kind, codes in named.items()
        if codes
    }
    await store.remove_seen(tx, unnamed)


async def remove_brought(
    tx: Transaction, still_named: StillNamed, *, owners: Collection[str]
) -> frozenset[str]:
    """Remove what the demo set up, as far as nobody changed it and nothing needs it.

    ``owners`` have tasks of one's own. Returns the names of departments that are no more.
    """
    brought = await sample(tx)
    if brought is None:
        return frozenset()
    made = await made_by(tx, brought.key)
    of = {kind: {one for what, one in made if what == kind} for kind, _ in made}
    places = of.get(_PLACE, set())
    await store.remove_touchpoints(tx, places - await still_named(_PLACE, places))
    for kind in KINDS:
        codes = of.get(kind, set())
        await store.remove_codes(tx, kind, codes - await still_named(kind, codes))
    departments = of.get("department", set())
    gone = await remove_departments(tx, departments - await store.departments_in_use(tx))
    busy = {*owners, *await store.people_in_use(tx)}
    await remove_people(tx, of.get("staff", set()) - busy)
    return gone
