"""The list of tasks, with the filters of the queue's pages."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import JSONResponse

from services.loop.resources import Loop
from services.loop.tasks.handlers import list_tasks, note_looks, order_of, wanted_of
from services.loop.tasks.schemas import document_of
from services.loop.tasks.schemas.filters import (
    FILTERS,
    may_be_blank,
    parameters,
    sought_in,
)
from services.loop.tasks.store import place_of
from shared.identity.principal import Principal, Scope
from shared.web.access import resources
from shared.web.auth import requires
from shared.web.paging import Paged, listed
from shared.web.query import EachOnce

router = APIRouter(tags=["tasks"], dependencies=[EachOnce])

Reader = Annotated[Principal, Depends(requires(Scope.TASKS_READ))]


@router.get(
    "/v1/tasks",
    summary="List tasks, what breaks first before the others",
    openapi_extra={"parameters": parameters()},
)
async def get_tasks(request: Request, caller: Reader, page: Paged) -> JSONResponse:
    """Return the tasks that match every filter, with what this caller may see of them."""
    loop = resources(request, Loop)
    given = {
        name: request.query_params[name]
        for name in FILTERS
        if request.query_params.get(name) or not may_be_blank(name)
        if name in request.query_params
    }
    sought = sought_in(given)
    name = "tasks?" + "&".join(f"{key}={value}" for key, value in sorted(given.items()))
    order = order_of(sought.view or "")
    now = loop.clock.now()
    async with loop.database.reading() as view:
        wanted = await wanted_of(view, sought, caller, keyring=loop.keyring, now=now)
        found = await list_tasks(
            view,
            wanted,
            caller=caller,
            person_keys=loop.person_keys,
            now=now,
            after=page.after(loop.keyring, of=name),
            most=page.limit + 1,
            order=order,
        )
    via = "search" if wanted.terms else "list"
    await note_looks(loop.database, found[: page.limit], by=caller, via=via, now=now)
    return JSONResponse(
        listed(
            found,
            page,
            show=lambda seen: document_of(seen, now),
            key=lambda seen: place_of(seen.task, order),
            keyring=loop.keyring,
            of=name,
        )
    )
