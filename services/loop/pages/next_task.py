"""The button that hands out the next task."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import RedirectResponse

from services.loop.resources import Loop
from services.loop.tasks.handlers.handing_out import take_next
from shared.identity.principal import Principal, Scope
from shared.web.access import resources
from shared.web.auth import requires_page

router = APIRouter(include_in_schema=False)


@router.post("/next")
async def take(
    request: Request, caller: Annotated[Principal, Depends(requires_page(Scope.TASKS_WRITE))]
) -> RedirectResponse:
    """Give the reader the task that breaks its promise first, and lead there."""
    loop = resources(request, Loop)
    async with loop.database.transaction() as tx:
        task = await take_next(
            tx, by=caller, person_keys=loop.person_keys, now=loop.clock.now()
        )
    where = "/?tab=team&done=nothing-next" if task is None else f"/tasks/{task.id}"
    return RedirectResponse(where, 303)
