"""The three rates side by side: contacted, closed by staff, confirmed by the customer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Annotated, Final
from urllib.parse import urlencode

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import Response

from services.loop.journey import store as journey
from services.loop.pages.site import pages
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
_WEEKS: Final = (4, 12, 26, 52)
_DEFAULT_WEEKS: Final = 12


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
    json: str


@router.get("/closure")
async def show(request: Request, _caller: _Caller) -> Response:
    """Show how often following up worked; who looks at one rate sees all three."""
    loop = resources(request, Loop)
    reader = reader_of(request)
    weeks = _weeks(request.query_params.get("weeks", ""))
    touchpoint = request.query_params.get("touchpoint", "")[:200].replace("\0", "")
    now = loop.clock.now()
    last = now.date()
    days = (last - timedelta(weeks=weeks) + timedelta(days=1), last)
    of = {"touchpoint": touchpoint} if touchpoint else {}
    async with loop.database.reading() as view:
        names = await journey.named(view)
        found = await closure_rates(view, days, of, now=now)
    address = {"from": days[0].isoformat(), "to": days[1].isoformat(), **of}
    context = ClosurePage(
        first=days[0],
        last=days[1],
        filters=Form(name="filter", values={"weeks": str(weeks), **of}),
        periods=[
            Option(
                value=str(n), label=reader.ngettext("last %(n)s week", "last %(n)s weeks", n)
            )
            for n in _WEEKS
        ],
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
        json=f"/v1/closure-rates?{urlencode(address)}",
    )
    return pages.render(request, "closure.html", context)


def _weeks(text: str) -> int:
    return int(text) if text in {str(n) for n in _WEEKS} else _DEFAULT_WEEKS


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
