"""The recovery schemes: a form that asks the ten questions, and its versions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Final
from urllib.parse import urlencode

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from services.loop.journey.handlers.calendars import list_calendars
from services.loop.journey.store.versions import Published
from services.loop.pages.clocks.asked import form_of, scheme_document
from services.loop.pages.clocks.shared import VersionLine, refused, version_lines
from services.loop.pages.clocks.texts import free_id, percents_text
from services.loop.pages.labels import LANGUAGES, MODES, options
from services.loop.pages.site import done_of, pages
from services.loop.resources import Loop
from services.loop.tasks.domain.schemes import full_document
from services.loop.tasks.handlers.schemes import (
    change_scheme,
    find_scheme,
    list_schemes,
    publish_scheme,
)
from services.loop.tasks.store.policies import SCHEMES
from shared.errors import Finding, NotFound, Refused
from shared.i18n import Reader, marked
from shared.identity.principal import Principal, Scope
from shared.web.access import resources
from shared.web.auth import requires_page
from shared.web.forms import Fields, Form, Option, read_form
from shared.web.templating import reader_of

router = APIRouter(include_in_schema=False)

_Reader = Annotated[Principal, Depends(requires_page(Scope.SETTINGS_READ))]
_Writer = Annotated[Principal, Depends(requires_page(Scope.POLICIES_WRITE))]

PATH: Final = "/settings/schemes"
DONE: Final[Mapping[str, str]] = {
    "added": marked("The scheme is published. Rules can name it."),
    "changed": marked("The next version is published. Open tasks keep the one they have."),
    "restored": marked("The former version is published again."),
}
CLOCKS: Final[Mapping[str, str]] = {
    "customer": marked("every hour: as the customer waits"),
    "team": marked("opening hours of the calendar"),
}
LEVELS: Final[Mapping[str, str]] = {"lead": marked("lead"), "head": marked("head")}


@dataclass(frozen=True, kw_only=True)
class SchemeLine:
    """One scheme in the list."""

    href: str
    name: str
    version: int
    first_contact: str
    resolution: str
    clock: str
    reminders: str
    escalations: str


@dataclass(frozen=True, kw_only=True)
class SchemesPage:
    """What the list of schemes shows."""

    lines: Sequence[SchemeLine]
    done: str
    may_write: bool


@dataclass(frozen=True, kw_only=True)
class SchemePage:
    """What the page of one scheme shows."""

    id: str
    title: str
    version: int
    form: Form
    clocks: Sequence[Option]
    calendars: Sequence[Option]
    modes: Sequence[Option]
    languages: Sequence[Option]
    versions: Sequence[VersionLine]
    done: str
    may_write: bool


@router.get(PATH)
async def show_list(request: Request, caller: _Reader) -> Response:
    """Show the schemes that apply to new tasks."""
    loop, reader = resources(request, Loop), reader_of(request)
    async with loop.database.reading() as view:
        found = await list_schemes(view)
    context = SchemesPage(
        lines=[_line(one, reader) for one in found],
        done=done_of(request, DONE, reader),
        may_write=caller.may(Scope.POLICIES_WRITE),
    )
    return pages.render(request, "schemes.html", context)


@router.get(f"{PATH}/one")
async def show(request: Request, caller: _Reader) -> Response:
    """Show one scheme, or the form of a new one."""
    return await _page(request, caller, request.query_params.get("id", ""))


@router.post(f"{PATH}/one")
async def save(request: Request, caller: _Writer) -> Response:
    """Publish a new scheme, or the next version of one."""
    loop, reader = resources(request, Loop), reader_of(request)
    fields = Fields(await read_form(request), reader)
    scheme_id = fields.values.get("id", "")
    now = loop.clock.now()
    try:
        async with loop.database.transaction() as tx:
            known = await find_scheme(tx, scheme_id) if scheme_id else None
            former = full_document(known.document) if known else None
            document = scheme_document(fields, reader, former)
            if fields.errors:
                form = fields.form("scheme")
            elif known is not None:
                form = None
                expected = fields.whole("version")
                await change_scheme(
                    tx, known.id, document, expected=expected, by=caller, now=now
                )
            else:
                form = None
                taken = [one.id for one in await list_schemes(tx)]
                scheme_id = free_id(document["name"], taken)
                await publish_scheme(tx, {**document, "id": scheme_id}, by=caller, now=now)
    except NotFound:
        raise
    except Refused as refusal:
        form = refused(fields.form("scheme"), refusal, reader, _field_of)
        return await _page(
            request, caller, fields.values.get("id", ""), form=form, status=refusal.status
        )
    if form is not None:
        return await _page(request, caller, scheme_id, form=form, status=422)
    return RedirectResponse(_href(scheme_id, done="changed" if known else "added"), 303)


@router.post(f"{PATH}/restore")
async def restore(request: Request, caller: _Writer) -> Response:
    """Publish a former version once more."""
    loop = resources(request, Loop)
    fields = Fields(await read_form(request), reader_of(request))
    scheme_id = fields.values.get("id", "")
    async with loop.database.transaction() as tx:
        former = await find_scheme(tx, scheme_id, fields.whole("restore") or 0)
        document = full_document(former.document)
        await change_scheme(
            tx, scheme_id, document, expected=None, by=caller, now=loop.clock.now()
        )
    return RedirectResponse(_href(scheme_id, done="restored"), 303)


async def _page(
    request: Request,
    caller: Principal,
    scheme_id: str,
    *,
    form: Form | None = None,
    status: int = 200,
) -> Response:
    loop, reader = resources(request, Loop), reader_of(request)
    async with loop.database.reading() as view:
        known = await find_scheme(view, scheme_id) if scheme_id else None
        calendars = await list_calendars(view)
        versions = await version_lines(view, SCHEMES, scheme_id, reader) if known else []
    context = SchemePage(
        id=known.id if known else "",
        title=(
            reader.gettext(known.document["name"]) if known else reader.gettext("New scheme")
        ),
        version=known.version if known else 0,
        form=form or form_of(full_document(known.document) if known else None),
        clocks=options(CLOCKS, reader),
        calendars=[Option(value=one.id, label=one.document["name"]) for one in calendars],
        modes=options(MODES, reader),
        languages=options(LANGUAGES, reader),
        versions=versions,
        done=done_of(request, DONE, reader) if status == 200 else "",
        may_write=caller.may(Scope.POLICIES_WRITE),
    )
    return pages.render(request, "scheme.html", context, status=status)


def _line(one: Published, reader: Reader) -> SchemeLine:
    full = full_document(one.document)
    return SchemeLine(
        href=_href(one.id),
        name=reader.gettext(full["name"]),
        version=one.version,
        first_contact=f"{full['first_contact_within_hours']:g}",
        resolution=f"{full['resolve_within_hours']:g}",
        clock=reader.gettext(CLOCKS[full["clock"]]),
        reminders=percents_text(full["reminders"]),
        escalations=", ".join(
            f"{each['at'] * 100:g} % {reader.gettext(LEVELS[each['to']])}"
            for each in full["escalations"]
        ),
    )


def _field_of(finding: Finding) -> str:
    return finding.pointer.split("/")[1]


def _href(scheme_id: str, **more: object) -> str:
    found = {"id": scheme_id} if scheme_id else {}
    return f"{PATH}/one?{urlencode({**found, **more})}"
