"""``GET /v1/service-levels``: how often what schemes promise was kept, and how long it took."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends
from starlette.requests import Request

from services.loop.resources import Loop
from services.loop.tasks.handlers.levels import service_levels
from services.loop.tasks.schemas.levels import ServiceLevelsOut, level_out
from shared.identity.principal import Principal, Scope
from shared.web.access import resources
from shared.web.auth import requires
from shared.web.query import EachOnce, Period

router = APIRouter(prefix="/v1/service-levels", tags=["tasks"], dependencies=[EachOnce])

_Reader = Annotated[Principal, Depends(requires(Scope.SCORES_READ))]


@router.get("", response_model=ServiceLevelsOut, summary="Read how promises were kept")
async def get_service_levels(
    request: Request, _caller: _Reader, days: Period
) -> ServiceLevelsOut:
    """Return, by scheme, how first contact and resolution were kept.

    It counts the tasks that opened in a period, by default the last 12 weeks. A promise counts
    once it is kept or its time is over; tasks that needed no follow-up do not count. Times are
    those of what was done: the median, and what nine of ten needed at most.
    """
    loop = resources(request, Loop)
    async with loop.database.reading() as view:
        found = await service_levels(view, days, now=loop.clock.now())
    first, last = days
    return ServiceLevelsOut(first=first, last=last, data=[level_out(one) for one in found])
