"""The rule books and recovery schemes that apply now; the shipped ones until others are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from sqlalchemy import select

from services.loop.journey.store.calendars import current_calendars
from services.loop.journey.store.versions import Published, Shelf
from services.loop.tasks.domain.rules import DEFAULT_RULES, RuleBook, rules_from
from services.loop.tasks.domain.schemes import (
    DEFAULT_SCHEME,
    RecoveryScheme,
    SchemeRef,
    scheme_from,
)
from services.loop.tasks.tables import rules, schemes
from shared.db.transaction import Reading

_SHIPPED: Final = Published(document=DEFAULT_SCHEME)
SCHEMES: Final = Shelf(schemes, shipped=_SHIPPED)


async def current_rules(view: Reading) -> RuleBook:
    """Return the rule book that applies now."""
    document = await view.scalar(
        select(rules.c.document).order_by(rules.c.version.desc()).limit(1)
    )
    return rules_from(document or DEFAULT_RULES)


async def current_schemes(view: Reading) -> Mapping[str, RecoveryScheme]:
    """Return the schemes that apply to new tasks, by id, each with its calendar."""
    return {one.id: one for one in await _with_hours(view, await SCHEMES.latest(view))}


async def scheme_of(view: Reading, scheme_id: str, version: int) -> RecoveryScheme:
    """Return a scheme as it stood at one version; the shipped one for one that nobody knows.

    Its calendar is the current one: opening hours are facts, and no part of what was promised.
    """
    found = await SCHEMES.version(view, scheme_id, version)
    (scheme,) = await _with_hours(view, [found or _SHIPPED])
    return scheme


async def schemes_of(
    view: Reading, refs: Iterable[SchemeRef]
) -> Mapping[SchemeRef, RecoveryScheme]:
    """Return the schemes of several tasks, each as it stood at its version."""
    return {ref: await scheme_of(view, ref.id, ref.version) for ref in set(refs)}


async def _with_hours(view: Reading, found: Sequence[Published]) -> Sequence[RecoveryScheme]:
    named = {str(one.document["calendar"]) for one in found if one.document.get("calendar")}
    hours = await current_calendars(view, sorted(named))
    return [
        scheme_from(one.document, hours=hours.get(str(one.document.get("calendar"))))
        for one in found
    ]
