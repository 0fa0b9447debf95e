"""What the installation knows about itself: whose it is, and how far its first steps are."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from shared.identity import audit
from shared.identity.facts import fact, facts, keep
from shared.identity.people import checked_name, checked_time_zone
from shared.identity.tables import ORGANISATION_NAME

if TYPE_CHECKING:
    from datetime import datetime

    from shared.db.transaction import Reading, Transaction
    from shared.identity.principal import Principal

_TIME_ZONE: Final = "organisation-time-zone"
_FIRST_STEPS: Final = "first-steps"


@dataclass(frozen=True, kw_only=True)
class Organisation:
    """Whose customers these are, and by which clock most of its people live."""

    name: str
    time_zone: str


@dataclass(frozen=True, kw_only=True)
class FirstSteps:
    """What an administrator said about the assistant."""

    later: frozenset[str] = frozenset()
    """The steps that were put off."""
    dismissed: bool = False


async def organisation(view: Reading) -> Organisation | None:
    """Return whose installation this is, once somebody has said so."""
    found = await facts(view, ORGANISATION_NAME, _TIME_ZONE)
    if ORGANISATION_NAME not in found:
        return None
    return Organisation(name=found[ORGANISATION_NAME], time_zone=found.get(_TIME_ZONE, "UTC"))


async def name_organisation(
    tx: Transaction, name: str, time_zone: str, *, by: Principal, now: datetime
) -> Organisation:
    """Say whose installation this is; raise ``Invalid`` for no name, or no time zone."""
    named = Organisation(name=checked_name(name), time_zone=checked_time_zone(time_zone))
    known = await organisation(tx)
    if named == known:
        return named
    await keep(tx, ORGANISATION_NAME, named.name, now)
    await keep(tx, _TIME_ZONE, named.time_zone, now)
    await audit.record(tx, by, "organisation.changed", "organisation", now=now)
    return named


async def first_steps(view: Reading) -> FirstSteps:
    """Return what was said about the assistant until now."""
    text = await fact(view, _FIRST_STEPS)
    if text is None:
        return FirstSteps()
    said = json.loads(text)
    return FirstSteps(later=frozenset(said["later"]), dismissed=said["dismissed"])


async def note_first_steps(tx: Transaction, said: FirstSteps, *, now: datetime) -> None:
    """Remember what an administrator said about the assistant."""
    text = json.dumps({"later": sorted(said.later), "dismissed": said.dismissed})
    await keep(tx, _FIRST_STEPS, text, now)
