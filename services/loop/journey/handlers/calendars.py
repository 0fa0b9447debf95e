"""The use cases of business calendars: publishing one, and what makes one unusable."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from itertools import pairwise
from typing import Any
from zoneinfo import available_timezones

from services.loop.journey.handlers.publishing import (
    find_published,
    publish_first,
    publish_next,
)
from services.loop.journey.store.calendars import CALENDARS
from services.loop.journey.store.holidays import holiday_regions
from services.loop.journey.store.versions import Published
from shared.db.transaction import Reading, Transaction
from shared.errors import Finding, Invalid
from shared.identity.principal import Principal


async def list_calendars(view: Reading) -> Sequence[Published]:
    """Return the calendars that apply, by id."""
    return await CALENDARS.latest(view)


async def find_calendar(
    view: Reading, calendar_id: str, version: int | None = None
) -> Published:
    """Return a calendar as it applies, or one version of it; raise ``NotFound``."""
    return await find_published(view, CALENDARS, "calendar", calendar_id, version)


async def publish_calendar(
    tx: Transaction, document: Mapping[str, Any], *, by: Principal, now: datetime
) -> Published:
    """Publish a new calendar; raise ``Invalid`` or, when its id is taken, ``Conflict``."""
    refuse_unusable(document)
    return await publish_first(tx, CALENDARS, "calendar", document, by=by, now=now)


async def change_calendar(
    tx: Transaction,
    calendar_id: str,
    changes: Mapping[str, Any],
    *,
    expected: int | None,
    by: Principal,
    now: datetime,
) -> Published:
    """Publish the next version of a calendar; deadlines that stand already do not move."""
    known = await find_calendar(tx, calendar_id)
    refuse_unusable({**known.document, **changes})
    return await publish_next(
        tx, CALENDARS, "calendar", calendar_id, changes, expected=expected, by=by, now=now
    )


def refuse_unusable(document: Mapping[str, Any]) -> None:
    """Raise ``Invalid`` for a calendar by which nobody could work, naming each mistake."""
    if findings := list(_findings(document)):
        raise Invalid("This calendar cannot be kept.", findings)


def _findings(document: Mapping[str, Any]) -> Iterator[Finding]:
    if document["time_zone"] not in available_timezones():
        yield Finding(
            pointer="/time_zone",
            code="unknown_time_zone",
            detail="no time zone has this name",
            fix="send a name such as Europe/Berlin",
        )
    if not any(document["week"].values()):
        yield Finding(
            pointer="/week",
            code="never_open",
            detail="the week has no shift",
            fix="send at least one shift on one day",
        )
    for part in ("week", "special"):
        for day, shifts in document[part].items():
            yield from _of_day(f"/{part}/{day}", shifts)
    yield from _of_region(document["holidays"])


def _of_day(pointer: str, shifts: Sequence[Mapping[str, str]]) -> Iterator[Finding]:
    # Midnight ends a day, and sorts behind every other time of it.
    spans = [(one["start"], one["end"] if one["end"] != "00:00" else "24:00") for one in shifts]
    for n, (start, end) in enumerate(spans):
        if end <= start:
            yield Finding(
                pointer=f"{pointer}/{n}",
                code="ends_before_it_starts",
                detail="the shift ends before it starts",
                fix="send an end after the start; a night is two shifts on two days",
            )
    for n, ((_, end), (start, _)) in enumerate(pairwise(spans), 1):
        if start < end:
            yield Finding(
                pointer=f"{pointer}/{n}",
                code="shifts_overlap",
                detail="the shift begins before the one in front of it has ended",
                fix="send the shifts of a day in order and apart from each other",
            )


def _of_region(region: Mapping[str, str | None] | None) -> Iterator[Finding]:
    if region is None:
        return
    known = holiday_regions().get(str(region["country"]))
    if known is None:
        yield Finding(
            pointer="/holidays/country",
            code="unknown_country",
            detail="the holidays of this country are not known",
            fix="send an ISO 3166 code such as DE, or null and the days in closed",
        )
    elif region["region"] is not None and region["region"] not in known:
        yield Finding(
            pointer="/holidays/region",
            code="unknown_region",
            detail="the country has no region of this name",
            fix="send an ISO 3166-2 code without the country, such as BY, or null",
        )
