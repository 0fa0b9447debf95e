"""The page that says how long customers' data are kept, and what will be forgotten."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Final

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from services.ingest.handlers import Ingest
from services.ingest.handlers.persons import retention
from services.ingest.handlers.persons.retention import Outlook
from services.ingest.pages.privacy.page import CONFIRMATION
from services.ingest.pages.privacy.page import PATH as PRIVACY
from services.ingest.pages.site import pages
from services.ingest.store import Aged
from shared.errors import Conflict, Invalid, Stale
from shared.i18n import marked
from shared.identity.principal import Principal, Scope
from shared.identity.retention import Policy
from shared.web.access import resources
from shared.web.auth import requires_page
from shared.web.forms import Fields, Form, read_form
from shared.web.templating import reader_of

router = APIRouter(include_in_schema=False)

PATH: Final = f"{PRIVACY}/retention"
_Keeper = Annotated[Principal, Depends(requires_page(Scope.PERSONS_WRITE))]
_NO_PERIOD: Final = marked("Please give whole months, 1 to 600, or nothing to keep for ever.")
_CHANGED: Final = marked("Somebody changed the period meanwhile. Look at it, then decide.")


@dataclass(frozen=True, kw_only=True)
class RetentionPage:
    """What the page shows."""

    seen: Outlook
    form: Form
    would_go: Aged | None
    """What a shorter period forgets at once: to be confirmed."""
    confirmation: str


@router.get(PATH)
async def show(request: Request, _caller: _Keeper) -> Response:
    """Show what holds and what will go."""
    return await _page(request)


@router.post(PATH)
async def change(request: Request, caller: _Keeper) -> Response:
    """Let another period hold, once somebody has typed that they mean one that forgets."""
    ingest = resources(request, Ingest)
    fields = Fields(await read_form(request), reader_of(request))
    months = fields.whole("months")
    if months is None and fields.values.get("months"):
        fields.wrong("months", _NO_PERIOD)
        return await _page(request, fields)
    sure = fields.values.get("confirm", "") == CONFIRMATION
    try:
        async with ingest.database.transaction() as tx:
            await retention.change_policy(
                tx,
                months,
                sure=sure,
                expected=fields.whole("version"),
                by=caller,
                now=ingest.clock.now(),
            )
    except Invalid:
        fields.wrong("months", _NO_PERIOD)
        return await _page(request, fields)
    except Stale:
        fields.wrong("months", _CHANGED)
        return await _page(request, fields)
    except Conflict:
        fields.wrong("confirm", marked("Please type the word as it stands here."))
        return await _page(request, fields, wished=Policy(months=months))
    return RedirectResponse(PATH, 303)


async def _page(
    request: Request, fields: Fields | None = None, *, wished: Policy | None = None
) -> Response:
    ingest = resources(request, Ingest)
    now = ingest.clock.now()
    async with ingest.database.reading() as view:
        seen = await retention.outlook(view, now=now)
        would = None
        if wished is not None:
            would = (await retention.outlook(view, now=now, policy=wished)).due
    values = {"months": "" if seen.policy.months is None else str(seen.policy.months)}
    typed = fields.values if fields else {}
    context = RetentionPage(
        seen=seen,
        form=Form(
            name="retention",
            # The version is always the one that is shown: whoever sends it has seen it.
            values={**values, **typed, "version": str(seen.policy.version)},
            errors=fields.errors if fields else {},
        ),
        would_go=would,
        confirmation=CONFIRMATION,
    )
    return pages.render(request, "retention.html", context, status=422 if fields else 200)
