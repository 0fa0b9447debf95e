"""Business calendars in and out of the database, with the holidays of their region."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from services.loop.journey.domain.calendars import BusinessCalendar, calendar_from
from services.loop.journey.store.holidays import holidays_of
from services.loop.journey.store.versions import Shelf
from services.loop.journey.tables import calendars
from shared.db.transaction import Reading

CALENDARS: Final = Shelf(calendars)


async def current_calendars(
    view: Reading, ids: Sequence[str]
) -> Mapping[str, BusinessCalendar]:
    """Return those of these calendars that exist, as they apply now, by id."""
    found = await CALENDARS.latest(view, ids=ids) if ids else ()
    return {one.id: calendar_of(one.document) for one in found}


def calendar_of(document: Mapping[str, Any]) -> BusinessCalendar:
    """Return the calendar that a document describes, closed on its region's holidays."""
    region = document["holidays"]
    days = holidays_of(region["country"], region["region"]) if region else frozenset()
    return calendar_from(document, holidays=days)
