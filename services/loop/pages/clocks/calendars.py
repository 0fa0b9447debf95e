"""The business calendars: a week of shifts, public holidays by region, special days."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Annotated, Any, Final
from urllib.parse import urlencode
from zoneinfo import available_timezones

from babel import Locale
from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from services.loop.journey.domain.calendars import DAYS
from services.loop.journey.handlers.calendars import (
    change_calendar,
    find_calendar,
    list_calendars,
    publish_calendar,
)
from services.loop.journey.store.calendars import CALENDARS
from services.loop.journey.store.holidays import holiday_names, holiday_regions
from services.loop.journey.store.versions import Published
from services.loop.pages.clocks.shared import (
    VersionLine,
    not_read,
    refused,
    version_lines,
)
from services.loop.pages.clocks.texts import (
    Unreadable,
    days_of,
    days_text,
    free_id,
    shifts_of,
    shifts_text,
)
from services.loop.pages.site import done_of, pages
from services.loop.resources import Loop
from services.loop.tasks.store import current_schemes
from shared.db.transaction import Reading
from shared.errors import Finding, NotFound, Refused
from shared.i18n import Reader, marked
from shared.identity.principal import Principal, Scope
from shared.web.access import resources
from shared.web.auth import requires_page
from shared.web.forms import Fields, Form, Option, read_form
from shared.web.query import whole_number
from shared.web.templating import reader_of

router = APIRouter(include_in_schema=False)

_Reader = Annotated[Principal, Depends(requires_page(Scope.SETTINGS_READ))]
_Writer = Annotated[Principal, Depends(requires_page(Scope.POLICIES_WRITE))]

PATH: Final = "/settings/calendars"
DONE: Final[Mapping[str, str]] = {
    "added": marked("The calendar is published. Schemes can name it."),
    "changed": marked(
        "The next version is published. Deadlines that stand already do not move."
    ),
    "restored": marked("The former version is published again."),
}
WEEKDAYS: Final[Mapping[str, str]] = {
    "monday": marked("Monday"),
    "tuesday": marked("Tuesday"),
    "wednesday": marked("Wednesday"),
    "thursday": marked("Thursday"),
    "friday": marked("Friday"),
    "saturday": marked("Saturday"),
    "sunday": marked("Sunday"),
}
_CLOSED: Final = marked("closed")
_USUAL: Final = "09:00-12:00, 13:00-17:00"


@dataclass(frozen=True, kw_only=True)
class CalendarLine:
    """One calendar in the list."""

    href: str
    name: str
    version: int
    time_zone: str
    region: str
    week: Sequence[tuple[str, str]]
    schemes: str


@dataclass(frozen=True, kw_only=True)
class CalendarsPage:
    """What the list of calendars shows."""

    lines: Sequence[CalendarLine]
    done: str
    may_write: bool


@dataclass(frozen=True, kw_only=True)
class Holiday:
    """A public holiday of the year that is shown."""

    day: date
    name: str
    is_special: bool
    """Whether the calendar has hours of its own for it."""


@dataclass(frozen=True, kw_only=True)
class CalendarPage:
    """What the page of one calendar shows."""

    id: str
    title: str
    version: int
    form: Form
    days: Sequence[Option]
    zones: Sequence[str]
    countries: Sequence[Option]
    regions: Sequence[Option]
    """The regions of the country that is chosen."""
    country: str
    year: int
    before: str
    after: str
    holidays: Sequence[Holiday]
    versions: Sequence[VersionLine]
    done: str
    may_write: bool


@router.get(PATH)
async def show_list(request: Request, caller: _Reader) -> Response:
    """Show the calendars that apply."""
    loop, reader = resources(request, Loop), reader_of(request)
    async with loop.database.reading() as view:
        found = await list_calendars(view)
        schemes = (await current_schemes(view)).values()
    context = CalendarsPage(
        lines=[
            CalendarLine(
                href=_href(one.id),
                name=one.document["name"],
                version=one.version,
                time_zone=one.document["time_zone"],
                region=_region(one.document["holidays"], reader),
                week=[
                    (reader.gettext(WEEKDAYS[day]), shifts_text(one.document["week"][day]))
                    for day in DAYS
                    if one.document["week"].get(day)
                ],
                schemes=reader.listed(
                    [reader.gettext(each.name) for each in schemes if each.calendar == one.id]
                ),
            )
            for one in found
        ],
        done=done_of(request, DONE, reader),
        may_write=caller.may(Scope.POLICIES_WRITE),
    )
    return pages.render(request, "calendars.html", context)


@router.get(f"{PATH}/one")
async def show(request: Request, caller: _Reader) -> Response:
    """Show one calendar, or the form of a new one."""
    return await _page(request, caller, request.query_params.get("id", ""))


@router.post(f"{PATH}/one")
async def save(request: Request, caller: _Writer) -> Response:
    """Publish a new calendar, or the next version of one."""
    loop, reader = resources(request, Loop), reader_of(request)
    fields = Fields(await read_form(request), reader)
    calendar_id = fields.values.get("id", "")
    document = _document(fields, reader)
    form = fields.form("calendar")
    if fields.errors:
        return await _page(request, caller, calendar_id, form=form, status=422)
    now = loop.clock.now()
    try:
        async with loop.database.transaction() as tx:
            if calendar_id:
                expected = fields.whole("version")
                saved = await change_calendar(
                    tx, calendar_id, document, expected=expected, by=caller, now=now
                )
            else:
                taken = [one.id for one in await list_calendars(tx)]
                new = {**document, "id": free_id(document["name"], taken)}
                saved = await publish_calendar(tx, new, by=caller, now=now)
    except NotFound:
        raise
    except Refused as refusal:
        form = refused(form, refusal, reader, _field_of)
        return await _page(request, caller, calendar_id, form=form, status=refusal.status)
    done = "changed" if calendar_id else "added"
    return RedirectResponse(_href(saved.id, done=done), 303)


@router.post(f"{PATH}/restore")
async def restore(request: Request, caller: _Writer) -> Response:
    """Publish a former version once more."""
    loop = resources(request, Loop)
    fields = Fields(await read_form(request), reader_of(request))
    calendar_id = fields.values.get("id", "")
    async with loop.database.transaction() as tx:
        former = await find_calendar(tx, calendar_id, fields.whole("restore") or 0)
        await change_calendar(
            tx, calendar_id, former.document, expected=None, by=caller, now=loop.clock.now()
        )
    return RedirectResponse(_href(calendar_id, done="restored"), 303)


async def _page(
    request: Request,
    caller: Principal,
    calendar_id: str,
    *,
    form: Form | None = None,
    status: int = 200,
) -> Response:
    loop, reader = resources(request, Loop), reader_of(request)
    async with loop.database.reading() as view:
        known = await find_calendar(view, calendar_id) if calendar_id else None
        versions = await _versions(view, known, reader)
    form = form or _form(known, reader)
    country, region = form.value("country"), form.value("region")
    regions = holiday_regions().get(country, ())
    year = _year(request, loop.clock.now().year)
    special = known.document["special"] if known else {}
    holidays = (
        holiday_names(country, region or None, year, language=reader.catalogue)
        if country in holiday_regions() and (not region or region in regions)
        else {}
    )
    context = CalendarPage(
        id=known.id if known else "",
        title=known.document["name"] if known else reader.gettext("New calendar"),
        version=known.version if known else 0,
        form=form,
        days=[Option(value=day, label=reader.gettext(WEEKDAYS[day])) for day in DAYS],
        zones=sorted(available_timezones()),
        countries=sorted(
            (Option(value=one, label=_country(one, reader)) for one in holiday_regions()),
            key=lambda option: option.label.casefold(),
        ),
        regions=[Option(value=one, label=one) for one in regions],
        country=_country(country, reader) if country else "",
        year=year,
        before=_href(calendar_id, year=year - 1),
        after=_href(calendar_id, year=year + 1),
        holidays=[
            Holiday(day=day, name=name, is_special=day.isoformat() in special)
            for day, name in holidays.items()
        ],
        versions=versions,
        done=done_of(request, DONE, reader) if status == 200 else "",
        may_write=caller.may(Scope.POLICIES_WRITE),
    )
    return pages.render(request, "calendar.html", context, status=status)


async def _versions(
    view: Reading, known: Published | None, reader: Reader
) -> Sequence[VersionLine]:
    return [] if known is None else await version_lines(view, CALENDARS, known.id, reader)


def _form(known: Published | None, reader: Reader) -> Form:
    if known is None:
        usual = dict.fromkeys(DAYS[:5], _USUAL)
        return Form(name="calendar", values={"time_zone": reader.zone.key, **usual})
    document = known.document
    region = document["holidays"] or {"country": "", "region": None}
    return Form(
        name="calendar",
        values={
            "name": document["name"],
            "time_zone": document["time_zone"],
            **{day: shifts_text(document["week"].get(day, ())) for day in DAYS},
            "country": region["country"],
            "region": region["region"] or "",
            "days": days_text(document, reader.gettext(_CLOSED)),
        },
    )


def _document(fields: Fields, reader: Reader) -> dict[str, Any]:
    week: dict[str, Any] = {}
    for day in DAYS:
        try:
            week[day] = shifts_of(fields.values.get(day, ""))
        except Unreadable as error:
            not_read(fields, day, error, reader)
    closed: list[str] = []
    special: dict[str, Any] = {}
    try:
        closed, special = days_of(fields.values.get("days", ""), reader.gettext(_CLOSED))
    except Unreadable as error:
        not_read(fields, "days", error, reader)
    country = fields.optional("country", most=2)
    return {
        "name": fields.text("name", most=200),
        "time_zone": fields.text("time_zone", most=60),
        "week": week,
        "holidays": (
            {"country": country, "region": fields.optional("region", most=60)}
            if country
            else None
        ),
        "closed": closed,
        "special": special,
    }


def _field_of(finding: Finding) -> str:
    _, part, *rest = finding.pointer.split("/")
    if part == "week":
        return rest[0] if rest else DAYS[0]
    if part == "holidays":
        return rest[0]
    return {"special": "days"}.get(part, part)


def _year(request: Request, now: int) -> int:
    asked = whole_number(request.query_params.get("year", ""), digits=4)
    return asked if asked is not None and 2000 <= asked <= 2100 else now


def _region(holidays: Mapping[str, str | None] | None, reader: Reader) -> str:
    if holidays is None:
        return ""
    country = _country(str(holidays["country"]), reader)
    return f"{country}, {holidays['region']}" if holidays["region"] else country


def _country(code: str, reader: Reader) -> str:
    return str(Locale.parse(reader.catalogue).territories.get(code, code))


def _href(calendar_id: str, **more: object) -> str:
    found = {"id": calendar_id} if calendar_id else {}
    query = urlencode({**found, **more})
    return f"{PATH}/one?{query}" if query else f"{PATH}/one"
