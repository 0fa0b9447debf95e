"""``GET /v1/closure-rates``: contacted, closed by staff and confirmed by the customer."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query
from starlette.requests import Request

from services.loop.resources import Loop
from services.loop.tasks.handlers import closure_rates
from services.loop.tasks.schemas.closure import ClosureOut, closure_out
from shared.identity.principal import Principal, Scope
from shared.web.access import resources
from shared.web.auth import requires
from shared.web.query import EachOnce, Period

router = APIRouter(prefix="/v1/closure-rates", tags=["tasks"], dependencies=[EachOnce])

_Reader = Annotated[Principal, Depends(requires(Scope.SCORES_READ))]
_Filter = Annotated[str | None, Query(min_length=1, max_length=200)]


@router.get("", response_model=ClosureOut, summary="Read how often following up worked")
async def get_closure_rates(
    request: Request,
    _caller: _Reader,
    days: Period,
    touchpoint: _Filter = None,
    segment: _Filter = None,
    theme: _Filter = None,
) -> ClosureOut:
    """Return the rates of the tasks that opened in a period, by default the last 12 weeks.

    Each counts every task that opened, so that the three can be compared. A task that staff
    closed and the customer opened again counts as closed by nobody. With the id of a theme
    they say how avoidable it is, and which causes were found behind it.
    """
    loop = resources(request, Loop)
    given = {"touchpoint": touchpoint, "segment": segment}
    of = {name: value for name, value in given.items() if value is not None}
    async with loop.database.reading() as view:
        found = await closure_rates(view, days, of, theme=theme, now=loop.clock.now())
    return closure_out(found, days)
