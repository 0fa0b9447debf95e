"""Service levels: how often each scheme's promises were kept, and how long it took."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import Response

from services.loop.pages.closure.asked import Asked, asked_of, periods
from services.loop.pages.site import pages, sheet
from services.loop.resources import Loop
from services.loop.tasks.domain.levels import Level, ServiceLevel, Times
from services.loop.tasks.handlers.levels import service_levels
from shared.i18n import Reader
from shared.identity.principal import Principal, Scope
from shared.web.access import resources
from shared.web.auth import requires_page
from shared.web.forms import Form, Option
from shared.web.templating import reader_of

router = APIRouter(include_in_schema=False)

_Caller = Annotated[Principal, Depends(requires_page(Scope.SCORES_READ))]


@dataclass(frozen=True, kw_only=True)
class LevelLine:
    """How one promise was kept."""

    promise: str
    share: str
    """Empty where there are too few to say."""
    interval: str
    on_time: int
    n: int
    customer: Sequence[str]
    """The median and what nine of ten needed at most, in wall time; empty without a case."""
    team: Sequence[str]
    """The same in opening hours; empty where the scheme has no calendar."""


@dataclass(frozen=True, kw_only=True)
class SchemeLevels:
    """The promises of one scheme."""

    id: str
    name: str
    n: int
    lines: Sequence[LevelLine]


@dataclass(frozen=True, kw_only=True)
class LevelsPage:
    """What the page of service levels shows."""

    first: date
    last: date
    filters: Form
    periods: Sequence[Option]
    schemes: Sequence[SchemeLevels]
    json: str
    csv: str
    closure: str


@router.get("/service-levels")
async def show(request: Request, _caller: _Caller) -> Response:
    """Show how promises were kept, scheme by scheme; nobody is named."""
    reader = reader_of(request)
    asked, found = await _found(request)
    address = urlencode({"from": asked.first.isoformat(), "to": asked.last.isoformat()})
    weeks = urlencode({"weeks": asked.weeks})
    context = LevelsPage(
        first=asked.first,
        last=asked.last,
        filters=Form(name="filter", values={"weeks": str(asked.weeks)}),
        periods=periods(reader),
        schemes=[
            SchemeLevels(
                id=level.scheme,
                name=level.name,
                n=level.n,
                lines=[
                    _line(reader.gettext("First contact"), level.first_contact, reader),
                    _line(reader.gettext("Resolution"), level.resolution, reader),
                ],
            )
            for level in found
        ],
        json=f"/v1/service-levels?{address}",
        csv=f"/service-levels.csv?{weeks}",
        closure=f"/closure?{weeks}",
    )
    return pages.render(request, "service_levels.html", context)


@router.get("/service-levels.csv")
async def file(request: Request, _caller: _Caller) -> Response:
    """Return the same for a spreadsheet: one row a promise, times in seconds."""
    _, found = await _found(request)
    columns = (
        "scheme",
        "name",
        "promise",
        "decided",
        "on_time",
        "share",
        "ci95_low",
        "ci95_high",
        "customer_median_seconds",
        "customer_p90_seconds",
        "team_median_seconds",
        "team_p90_seconds",
    )
    return sheet(
        "service-levels",
        columns,
        [
            (level.scheme, level.name, promise, *_numbers(one))
            for level in found
            for promise, one in (
                ("first_contact", level.first_contact),
                ("resolution", level.resolution),
            )
        ],
    )


async def _found(request: Request) -> tuple[Asked, Sequence[ServiceLevel]]:
    loop = resources(request, Loop)
    now = loop.clock.now()
    asked = asked_of(request, now)
    async with loop.database.reading() as view:
        return asked, await service_levels(view, asked.days, now=now)


def _line(promise: str, level: Level, reader: Reader) -> LevelLine:
    found = level.on_time
    value = found.value if found.enough else None
    low, high = found.ci95 or (0.0, 0.0)
    return LevelLine(
        promise=promise,
        share="" if value is None else reader.percent(value),
        interval=(
            ""
            if value is None
            else reader.gettext(
                "between %(low)s and %(high)s",
                low=reader.percent(low),
                high=reader.percent(high),
            )
        ),
        on_time=_on_time(level),
        n=found.n,
        customer=_spans(level.customer, reader),
        team=_spans(level.team, reader),
    )


def _spans(times: Times, reader: Reader) -> Sequence[str]:
    return [reader.span(span) for span in (times.median, times.p90) if span is not None]


def _on_time(level: Level) -> int:
    return round((level.on_time.value or 0) * level.on_time.n)


def _numbers(level: Level) -> Sequence[object]:
    found = level.on_time
    spans = (level.customer.median, level.customer.p90, level.team.median, level.team.p90)
    return (
        found.n,
        _on_time(level),
        found.value,
        *(found.ci95 or (None, None)),
        *(None if span is None else span // timedelta(seconds=1) for span in spans),
    )
