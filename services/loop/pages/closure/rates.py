"""The three rates side by side: contacted, closed by staff, confirmed by the customer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import Response

from services.loop.journey import store as journey
from services.loop.pages.closure.asked import Asked, asked_of, periods
from services.loop.pages.labels import BENEFITS, CAUSES, said
from services.loop.pages.site import pages, sheet
from services.loop.resources import Loop
from services.loop.tasks.handlers import Closure, closure_rates
from services.loop.tasks.handlers.closure import Rate
from shared.i18n import Reader
from shared.identity.principal import Principal, Scope
from shared.web.access import resources
from shared.web.auth import requires_page
from shared.web.forms import Form, Option
from shared.web.templating import reader_of

router = APIRouter(include_in_schema=False)

_Caller = Annotated[Principal, Depends(requires_page(Scope.SCORES_READ))]


@dataclass(frozen=True, kw_only=True)
class RateLine:
    """One rate with what it rests on."""

    name: str
    meaning: str
    rate: str
    interval: str
    count: int
    n: int


@dataclass(frozen=True, kw_only=True)
class ChangeLine:
    """Answers of one metric before, and of the same customers after."""

    metric: str
    n: int
    before: str
    after: str
    better: int
    worse: int


@dataclass(frozen=True, kw_only=True)
class ClosurePage:
    """What the page of the rates shows."""

    first: date
    last: date
    filters: Form
    periods: Sequence[Option]
    touchpoints: Sequence[Option]
    opened: int
    asked: int
    denied: int
    rates: Sequence[RateLine]
    saved: RateLine
    pending: int
    unknown: int
    changes: Sequence[ChangeLine]
    resolved: int
    causes: Sequence[tuple[str, int]]
    avoidable: RateLine
    avoidable_unknown: int
    benefits: Sequence[tuple[str, int]]
    worth: Sequence[str]
    json: str
    csv: str
    levels: str


@router.get("/closure")
async def show(request: Request, _caller: _Caller) -> Response:
    """Show how often following up worked; who looks at one rate sees all three."""
    reader = reader_of(request)
    asked, names, found = await _found(request)
    of = {"touchpoint": asked.touchpoint} if asked.touchpoint else {}
    address = {"from": asked.first.isoformat(), "to": asked.last.isoformat(), **of}
    context = ClosurePage(
        first=asked.first,
        last=asked.last,
        filters=Form(name="filter", values={"weeks": str(asked.weeks), **of}),
        periods=periods(reader),
        touchpoints=sorted(
            (Option(value=code, label=name) for code, name in names.items()),
            key=lambda option: option.label.casefold(),
        ),
        opened=found.counts.opened,
        asked=found.counts.asked,
        denied=found.counts.denied,
        rates=_rates(found, reader),
        saved=_line(
            reader.gettext("Saved"),
            reader.gettext("a later answer of the same customer is not an unhappy one"),
            found.saved.rate,
            reader,
        ),
        pending=found.saved.pending,
        unknown=found.saved.unknown,
        changes=[
            ChangeLine(
                metric=change.metric.upper(),
                n=change.n,
                before=reader.number(change.before, 1),
                after=reader.number(change.after, 1),
                better=change.better,
                worse=change.worse,
            )
            for change in found.changes
        ],
        resolved=found.learned.resolved,
        causes=[
            (said(CAUSES, area, reader), found.learned.causes.get(area, 0)) for area in CAUSES
        ],
        avoidable=_line(
            reader.gettext("Avoidable"),
            reader.gettext("of those of which it is known"),
            found.learned.avoidable,
            reader,
        ),
        avoidable_unknown=found.learned.unknown,
        benefits=[
            (said(BENEFITS, one, reader), found.learned.benefits.get(one, 0))
            for one in BENEFITS
        ],
        worth=[
            f"{reader.number(float(amount), 2)} {currency}"
            for currency, amount in found.learned.worth.items()
        ],
        json=f"/v1/closure-rates?{urlencode(address)}",
        csv=f"/closure.csv?{urlencode({'weeks': asked.weeks, **of})}",
        levels=f"/service-levels?{urlencode({'weeks': asked.weeks})}",
    )
    return pages.render(request, "closure.html", context)


@router.get("/closure.csv")
async def file(request: Request, _caller: _Caller) -> Response:
    """Return the rates for a spreadsheet."""
    _, _, found = await _found(request)
    rates = {
        "contacted": found.contacted,
        "closed_by_staff": found.closed_by_staff,
        "confirmed_by_customer": found.confirmed_by_customer,
        "saved": found.saved.rate,
        "avoidable": found.learned.avoidable,
    }
    open_cases = {
        "saved": (found.saved.pending, found.saved.unknown),
        "avoidable": (None, found.learned.unknown),
    }
    return sheet(
        "closure",
        ("what", "count", "of", "share", "ci95_low", "ci95_high", "pending", "unknown"),
        [
            (
                what,
                rate.hits,
                rate.estimate.n,
                rate.estimate.value,
                *(rate.estimate.ci95 or (None, None)),
                *open_cases.get(what, (None, None)),
            )
            for what, rate in rates.items()
        ],
    )


async def _found(request: Request) -> tuple[Asked, Mapping[str, str], Closure]:
    """Return what was asked for, what touchpoints are called, and the rates."""
    loop = resources(request, Loop)
    now = loop.clock.now()
    asked = asked_of(request, now)
    of = {"touchpoint": asked.touchpoint} if asked.touchpoint else {}
    async with loop.database.reading() as view:
        names = await journey.named(view)
        return asked, names, await closure_rates(view, asked.days, of, now=now)


def _rates(found: Closure, reader: Reader) -> Sequence[RateLine]:
    return [
        _line(
            reader.gettext("Contacted"),
            reader.gettext("the customer was reached"),
            found.contacted,
            reader,
        ),
        _line(
            reader.gettext("Closed by staff"),
            reader.gettext("staff ended the task, and it is ended still"),
            found.closed_by_staff,
            reader,
        ),
        _line(
            reader.gettext("Confirmed by the customer"),
            reader.gettext("the customer said that it is settled"),
            found.confirmed_by_customer,
            reader,
        ),
    ]


def _line(name: str, meaning: str, rate: Rate, reader: Reader) -> RateLine:
    found = rate.estimate
    value = found.value if found.enough else None
    low, high = found.ci95 or (0.0, 0.0)
    return RateLine(
        name=name,
        meaning=meaning,
        rate=reader.percent(value) if value is not None else "",
        interval=(
            reader.gettext(
                "between %(low)s and %(high)s",
                low=reader.percent(low),
                high=reader.percent(high),
            )
            if value is not None
            else ""
        ),
        count=rate.hits,
        n=found.n,
    )
