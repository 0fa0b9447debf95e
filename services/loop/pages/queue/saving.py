"""Saved views of the queue: kept, offered and deleted, and how many tasks have come since."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated, Final

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from services.loop.pages.queue.asked import Asked
from services.loop.pages.site import pages
from services.loop.resources import Loop
from services.loop.tasks import store
from services.loop.tasks.handlers import wanted_of
from services.loop.tasks.handlers.saving import forget_view, save_view
from services.loop.tasks.store import TaskFilter
from shared.identity.principal import Principal, Scope
from shared.web.access import resources
from shared.web.auth import requires_page
from shared.web.forms import Fields, read_form
from shared.web.templating import reader_of

router = APIRouter(include_in_schema=False)

_Caller = Annotated[Principal, Depends(requires_page(Scope.TASKS_READ))]
_Writer = Annotated[Principal, Depends(requires_page(Scope.TASKS_WRITE))]
_LONGEST_NAME: Final = 80


@dataclass(frozen=True, kw_only=True)
class NewsPage:
    """How many tasks have come to a view since it was opened."""

    new: int
    href: str


@router.post("/queue/views")
async def save(request: Request, caller: _Writer) -> Response:
    """Keep the filter under a name; what was searched for is left out: it may be a name."""
    loop = resources(request, Loop)
    fields = Fields(await read_form(request), reader_of(request))
    asked = replace(_asked(fields), q="")
    name = fields.text("name", most=_LONGEST_NAME)
    if fields.errors:
        return RedirectResponse(asked.href(done="unnamed"), 303)
    async with loop.database.transaction() as tx:
        await save_view(
            tx,
            name,
            asked.query,
            shared=fields.values.get("shared") == "yes",
            by=caller,
            now=loop.clock.now(),
        )
    return RedirectResponse(asked.href(done="saved"), 303)


@router.post("/queue/views/delete")
async def forget(request: Request, caller: _Writer) -> Response:
    """Delete a saved view."""
    loop = resources(request, Loop)
    fields = Fields(await read_form(request), reader_of(request))
    async with loop.database.transaction() as tx:
        await forget_view(tx, fields.values.get("id", ""), by=caller)
    return RedirectResponse(_asked(fields).href(done="forgotten"), 303)


@router.get("/queue/news")
async def news(request: Request, caller: _Caller) -> Response:
    """Say how many tasks have come since a page was opened: a number, never the tasks."""
    loop = resources(request, Loop)
    now = loop.clock.now()
    asked = Asked.of(request.query_params)
    since = request.query_params.get("since", "")[:40]
    async with loop.database.reading() as view:
        wanted = await wanted_of(view, asked.sought, caller, keyring=loop.keyring, now=now)
        found: TaskFilter = replace(wanted, opened_after=since)
        counts = await store.counts_of(view, {"new": found}, now=now)
    return pages.render(request, "news.html", NewsPage(new=counts["new"], href=asked.href()))


def _asked(fields: Fields) -> Asked:
    return Asked.read(fields.values.get("back", "").partition("?")[2])
