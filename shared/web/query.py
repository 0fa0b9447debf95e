"""What the query string of a list says, read strictly: each parameter once, days as days."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Final

from fastapi import Depends, Query
from starlette.requests import Request

from shared.errors import Finding, Invalid, Unreadable
from shared.web.access import web

DEFAULT_PERIOD: Final = timedelta(weeks=12)
_LONGEST_PERIOD: Final = timedelta(days=3_660)


def whole_number(text: str, *, digits: int) -> int | None:
    """Read a number that is nothing but digits, at most so many; None for any other text.

    ``int`` alone takes signs, blanks and digits of other scripts, and gives up on long texts.
    """
    if not (text.isascii() and text.isdigit() and len(text) <= digits):
        return None
    return int(text)


def each_once(request: Request) -> None:
    """Refuse a query that says the same thing twice."""
    names = [name for name, _ in request.query_params.multi_items()]
    if len(set(names)) != len(names):
        raise Unreadable("A query parameter stands there twice. Send each of them once.")


EachOnce: Final = Depends(each_once)
"""In a router: ``dependencies=[EachOnce]``."""

Day = Annotated[
    str | None,
    Query(max_length=40, examples=["2026-03-02"], description="a UTC day, included"),
]


def period(
    request: Request,
    first: Annotated[Day, Query(alias="from")] = None,
    last: Annotated[Day, Query(alias="to")] = None,
) -> tuple[date, date]:
    """Return the first and the last day asked for, both included; else the last 12 weeks."""
    end = _day(last, "to") or web(request).clock.now().date()
    start = _day(first, "from") or end - DEFAULT_PERIOD + timedelta(days=1)
    if start > end:
        raise _invalid("from", "is after the end of the period", "send a day up to “to”")
    if end - start > _LONGEST_PERIOD:
        raise _invalid("from", "is more than ten years before the end", "ask for less at once")
    return start, end


Period = Annotated[tuple[date, date], Depends(period)]
"""In a route: ``days: Period``."""


def _day(text: str | None, name: str) -> date | None:
    """Read a day, or the day of an RFC 3339 moment in UTC."""
    if text is None:
        return None
    try:
        if len(text) == 10:
            return date.fromisoformat(text)
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is not None:
            return moment.astimezone(UTC).date()
    except (ValueError, OverflowError):
        pass
    raise _invalid(name, "is not a day", "send a day such as 2026-03-02")


def _invalid(name: str, detail: str, fix: str) -> Invalid:
    return Invalid(
        f"The query parameter {name} cannot be used.",
        [Finding(pointer=f"/{name}", code="bad_day", detail=detail, fix=fix)],
    )
