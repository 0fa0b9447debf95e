"""The use cases of touchpoints: listing, describing, changing and mapping them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

from services.loop.journey import store
from services.loop.journey.domain import (
    OwnerRef,
    Ownership,
    Touchpoint,
    moved,
    taken_over,
    why_not_an_alias,
)
from services.loop.journey.handlers.owning import (
    check_responsible,
    not_found,
    stale,
    stands_for_another,
)
from services.loop.journey.handlers.refusing import refuse_alias
from services.loop.journey.store import Answers, Order, TouchpointFilter
from shared.db.transaction import Reading, Transaction
from shared.errors import Conflict
from shared.identity import audit
from shared.identity.audit import SYSTEM
from shared.identity.principal import Principal
from shared.ids import new_id
from shared.stats.intervals import ENOUGH

SPAN: Final = timedelta(weeks=12)
"""The time in which answers are counted where a list says how many there are."""


@dataclass(frozen=True, kw_only=True)
class Completeness:
    """How much of what responses name is described, owned and measured (12 weeks)."""

    seen: int
    mapped: int
    owned: int
    measured: int
    """With enough answers for a score that may be compared."""
    unmapped: int
    """What nobody has described, answered lately or not."""
    unowned: int
    quiet_keys: Sequence[str]
    """The names of key touchpoints without enough answers."""


async def find_touchpoint(view: Reading, code: str, *, now: datetime) -> Touchpoint:
    """Return one touchpoint as it is now, or raise ``NotFound``."""
    touchpoint = await store.find(view, code, at=now)
    if touchpoint is None:
        raise not_found()
    return (await _counted(view, [touchpoint], now=now))[0]


async def list_touchpoints(
    view: Reading,
    wanted: TouchpointFilter,
    *,
    now: datetime,
    after: Sequence[Any] | None,
    most: int,
    order: Order = "code",
) -> Sequence[Touchpoint]:
    """Return up to ``most`` touchpoints with how often they were named lately."""
    found = await store.page_of(view, wanted, at=now, after=after, most=most, order=order)
    return await _counted(view, found, now=now)


async def completeness(view: Reading, *, now: datetime) -> Completeness:
    """Return how much of what responses name is known, in figures about the whole."""
    every = await _counted(view, await store.every(view, at=now), now=now)
    own = [touchpoint for touchpoint in every if touchpoint.alias_of is None]
    seen = [touchpoint for touchpoint in own if touchpoint.answers]
    return Completeness(
        seen=len(seen),
        mapped=sum(touchpoint.is_mapped for touchpoint in seen),
        owned=sum(touchpoint.is_owned for touchpoint in seen),
        measured=sum(touchpoint.answers >= ENOUGH for touchpoint in seen),
        unmapped=sum(not touchpoint.is_mapped for touchpoint in own),
        unowned=sum(touchpoint.is_mapped and not touchpoint.is_owned for touchpoint in own),
        quiet_keys=sorted(
            touchpoint.name or touchpoint.code
            for touchpoint in own
            if touchpoint.key and touchpoint.answers < ENOUGH
        ),
    )


async def add_touchpoint(
    tx: Transaction, touchpoint: Touchpoint, *, by: Principal = SYSTEM
) -> Touchpoint:
    """Describe a touchpoint that may not have been seen yet; its owner begins right then.

    A code that only responses have named so far becomes mapped by this; one that is already
    described is a ``Conflict``.
    """
    now = touchpoint.first_seen_at
    if not await store.add(tx, touchpoint):
        known = await find_touchpoint(tx, touchpoint.code, now=now)
        if known.is_mapped:
            raise Conflict(
                "A touchpoint with this code exists. Change it with PATCH.",
                extra={"version": known.version},
            )
        touchpoint = replace(
            touchpoint, first_seen_at=known.first_seen_at, version=known.version + 1
        )
        await _save(tx, touchpoint)
    await _take_over(tx, touchpoint.code, touchpoint.owner, touchpoint.department_id, now=now)
    await audit.record(tx, by, "touchpoint.described", touchpoint.code[:80], now=now)
    return await find_touchpoint(tx, touchpoint.code, now=now)


async def change_touchpoint(
    tx: Transaction,
    code: str,
    changes: Mapping[str, Any],
    *,
    expected: int | None,
    by: Principal,
    now: datetime,
) -> Touchpoint:
    """Change what is said of a touchpoint; ``expected`` is the version the caller knows.

    An ``owner`` answers from now on without an end, ``alias_of`` maps the code to another or,
    with None, takes that back. Tasks that were opened before keep their owner.
    """
    target = changes.get("alias_of")
    await store.lock(tx, {code, target} if target else {code})
    known = await find_touchpoint(tx, code, now=now)
    if expected is not None and expected != known.version:
        raise stale(known.version)
    others = changes.keys() - {"alias_of"}
    if target is not None:
        await _check_alias(tx, code, target, now=now)
    if others and (target or ("alias_of" not in changes and known.alias_of is not None)):
        raise stands_for_another()
    await check_responsible(tx, changes.get("owner"), changes.get("department_id"))

    said = {name: changes[name] for name in others & {"name", "macro", "key"}}
    if "alias_of" in changes:
        said["alias_of"] = target
    changed = replace(
        known, **said, mapped=known.mapped or bool(others), version=known.version + 1
    )
    await _save(tx, changed)
    if "owner" in changes:
        department_id = changes.get("department_id", known.department_id)
        await _take_over(tx, code, changes["owner"], department_id, now=now)
    elif "department_id" in changes:
        before = await store.periods_of(tx, code)
        after = moved(before, changes["department_id"], new_id=new_id("own"), now=now)
        await store.replace_periods(tx, code, before, after)
    detail = {"changed": sorted(changes), "version": changed.version}
    await audit.record(tx, by, "touchpoint.changed", code[:80], detail, now=now)
    return await find_touchpoint(tx, code, now=now)


async def _take_over(
    tx: Transaction,
    code: str,
    owner: OwnerRef | None,
    department_id: str | None,
    *,
    now: datetime,
) -> None:
    before = await store.periods_of(tx, code)
    new = Ownership(id=new_id("own"), owner=owner, department_id=department_id, valid_from=now)
    await store.replace_periods(tx, code, before, taken_over(before, new, now=now))


async def _check_alias(tx: Transaction, code: str, target: str, *, now: datetime) -> None:
    found = await store.find(tx, target, at=now)
    refuse_alias(
        why_not_an_alias(
            code,
            target,
            aliases=await store.aliases(tx),
            described=found is not None and found.mapped,
        )
    )


async def _save(tx: Transaction, touchpoint: Touchpoint) -> None:
    if not await store.save(tx, touchpoint):
        raise stale(touchpoint.version)


async def _counted(
    view: Reading, touchpoints: Sequence[Touchpoint], *, now: datetime
) -> Sequence[Touchpoint]:
    """Return these touchpoints with how often they and what stands for them were named."""
    aliases = await store.aliases(view)
    meant = {
        one.code: aliases.of(one.code) if one.alias_of is None else frozenset({one.code})
        for one in touchpoints
    }
    first, last = lately(now)
    found = await store.answers_of(
        view, "touchpoint", first=first, last=last, codes=frozenset().union(*meant.values())
    )
    return [replace(one, **answers_among(found, meant[one.code])) for one in touchpoints]


def lately(now: datetime) -> tuple[date, date]:
    """Return the first and the last day in which answers are counted for lists."""
    # A sender's clock may run up to a day ahead of ours.
    today = now.astimezone(UTC).date()
    return today - SPAN + timedelta(days=1), today + timedelta(days=1)


def answers_among(found: Mapping[str, Answers], codes: frozenset[str]) -> dict[str, Any]:
    """Return the members of a touchpoint or code that say how often it was named."""
    of_these = [found[code] for code in codes if code in found]
    return {
        "answers": sum(answers.n for answers in of_these),
        "last_answer_on": max(
            (answers.last_on for answers in of_these if answers.last_on), default=None
        ),
    }
