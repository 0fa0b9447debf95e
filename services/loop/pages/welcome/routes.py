"""The assistant: its page, and the forms that put a step off or send it away."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Final

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from services.loop.pages.site import done_of, pages
from services.loop.pages.welcome.steps import STEPS, Progress, progress
from services.loop.resources import Loop
from services.loop.responses.store import has_sample
from shared.errors import NotFound
from shared.i18n import marked
from shared.identity.installation import first_steps, note_first_steps
from shared.identity.principal import Principal, Scope
from shared.identity.sample import sample
from shared.web.access import resources
from shared.web.auth import requires_page
from shared.web.forms import read_form
from shared.web.templating import reader_of

router = APIRouter(include_in_schema=False)

_Keeper = Annotated[Principal, Depends(requires_page(Scope.SETTINGS_WRITE))]

DONE: Final[Mapping[str, str]] = {
    "later": marked("That can wait. It stays on this page."),
    "again": marked("The step is open again."),
    "removed": marked("The sample data is removed. What you posted or changed stays."),
    "dismissed": marked("The reminder is gone. You find this page again under Settings."),
}


@dataclass(frozen=True, kw_only=True)
class WelcomePage:
    """What the assistant shows."""

    progress: Progress
    has_sample: bool
    done: str


@router.get("/welcome")
async def show(request: Request, caller: _Keeper) -> Response:  # noqa: ARG001 - the guard
    """Show the first steps, and how far each of them is."""
    loop, reader = resources(request, Loop), reader_of(request)
    async with loop.database.reading() as view:
        found = await progress(view, now=loop.clock.now())
        is_there = await has_sample(view, await sample(view))
    done = done_of(request, DONE, reader)
    # Right after its removal a little of it may still be on its way out.
    context = WelcomePage(progress=found, has_sample=is_there and not done, done=done)
    return pages.render(request, "welcome.html", context)


@router.post("/welcome/later")
async def put_off(request: Request, caller: _Keeper) -> Response:  # noqa: ARG001 - the guard
    """Put a step off, or take it up again."""
    loop = resources(request, Loop)
    fields = await read_form(request)
    step = fields.get("step", "")
    if step not in {one.id for one in STEPS}:
        raise NotFound("There is no such step. Open the page again.")
    is_later = fields.get("later") == "yes"
    async with loop.database.transaction() as tx:
        said = await first_steps(tx)
        later = said.later | {step} if is_later else said.later - {step}
        await note_first_steps(tx, replace(said, later=later), now=loop.clock.now())
    return RedirectResponse(f"/welcome?done={'later' if is_later else 'again'}", 303)


@router.post("/welcome/dismiss")
async def dismiss(request: Request, caller: _Keeper) -> Response:  # noqa: ARG001 - the guard
    """Send the assistant away: nothing reminds of it any more, and it can be found again."""
    loop = resources(request, Loop)
    async with loop.database.transaction() as tx:
        said = await first_steps(tx)
        await note_first_steps(tx, replace(said, dismissed=True), now=loop.clock.now())
    return RedirectResponse("/welcome?done=dismissed", 303)
