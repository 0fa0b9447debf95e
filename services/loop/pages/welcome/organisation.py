"""Whose installation it is, and by which clock most of its people live."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Final

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from services.loop.pages.site import done_of, pages
from services.loop.resources import Loop
from shared.errors import Invalid
from shared.i18n import marked, zones
from shared.identity.installation import name_organisation, organisation
from shared.identity.people import update_staff
from shared.identity.principal import Principal, Scope
from shared.web.access import resources
from shared.web.auth import requires_page
from shared.web.forms import Fields, Form, read_form
from shared.web.templating import reader_of

router = APIRouter(include_in_schema=False)

_Looker = Annotated[Principal, Depends(requires_page(Scope.SETTINGS_READ))]
_Keeper = Annotated[Principal, Depends(requires_page(Scope.SETTINGS_WRITE))]

DONE: Final[Mapping[str, str]] = {"saved": marked("The organisation is saved.")}
REFUSED: Final[Mapping[str, str]] = {
    "not_a_name": marked("Please use 1 to 200 printable characters."),
    "unknown_time_zone": marked("There is no such time zone. Write it like Europe/Berlin."),
    "not_an_address": marked("Please write one address such as name@example.org."),
}
"""What is wrong with a field, in words, by the code of the finding."""
_NOWHERE: Final = "UTC"


@dataclass(frozen=True, kw_only=True)
class OrganisationPage:
    """What the page of the organisation shows."""

    form: Form
    zones: Sequence[str]
    may_write: bool
    done: str


@router.get("/settings/organisation")
async def show(request: Request, caller: _Looker) -> Response:
    """Show the organisation's name and time zone."""
    loop = resources(request, Loop)
    async with loop.database.reading() as view:
        found = await organisation(view)
    values = {
        "name": found.name if found else "",
        "time_zone": found.time_zone if found else caller.time_zone,
    }
    return _page(request, caller, Form(name="organisation", values=values))


@router.post("/settings/organisation")
async def save(request: Request, caller: _Keeper) -> Response:
    """Save both; whoever lived in UTC until now lives there from now on."""
    loop, reader = resources(request, Loop), reader_of(request)
    fields = Fields(await read_form(request), reader)
    name, time_zone = fields.text("name", most=200), fields.text("time_zone", most=60)
    if fields.errors:
        return _page(request, caller, fields.form("organisation"), status=422)
    now = loop.clock.now()
    try:
        async with loop.database.transaction() as tx:
            saved = await name_organisation(tx, name, time_zone, by=caller, now=now)
            if caller.time_zone == _NOWHERE != saved.time_zone:
                # Nobody asks the first administrator for a time zone.
                await update_staff(tx, caller.id, time_zone=saved.time_zone, by=caller, now=now)
    except Invalid as refusal:
        for finding in refusal.findings:
            at = finding.pointer.removeprefix("/")
            fields.wrong(at, REFUSED.get(finding.code, finding.detail))
        return _page(request, caller, fields.form("organisation"), status=refusal.status)
    return RedirectResponse("/settings/organisation?done=saved", 303)


def _page(request: Request, caller: Principal, form: Form, *, status: int = 200) -> Response:
    context = OrganisationPage(
        form=form,
        zones=zones(),
        may_write=caller.may(Scope.SETTINGS_WRITE),
        done=done_of(request, DONE, reader_of(request)) if status == 200 else "",
    )
    return pages.render(request, "organisation.html", context, status=status)
