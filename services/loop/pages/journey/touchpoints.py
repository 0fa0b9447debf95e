"""The list of touchpoints: what nobody has described first, then what nobody owns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Annotated, Final
from urllib.parse import urlencode

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from services.loop.journey import store
from services.loop.journey.domain import Touchpoint
from services.loop.journey.handlers import (
    Completeness,
    add_touchpoint,
    completeness,
    list_touchpoints,
)
from services.loop.journey.store import TouchpointFilter
from services.loop.pages.journey.shared import refused
from services.loop.pages.site import pages, sheet
from services.loop.resources import Loop
from shared.db.transaction import Reading
from shared.errors import Refused
from shared.i18n import Reader, marked
from shared.identity.groups import list_departments
from shared.identity.owners import owners
from shared.identity.principal import Principal, Scope
from shared.stats.intervals import ENOUGH
from shared.web.access import resources
from shared.web.auth import requires_page
from shared.web.forms import Fields, Form, Option, read_form
from shared.web.paging import Page, Paged, encode_cursor
from shared.web.templating import reader_of

router = APIRouter(include_in_schema=False)

_Reader = Annotated[Principal, Depends(requires_page(Scope.SETTINGS_READ))]
_Writer = Annotated[Principal, Depends(requires_page(Scope.POLICIES_WRITE))]

SHOWN: Final[Mapping[str, tuple[str, TouchpointFilter]]] = {
    "unmapped": (marked("not described"), TouchpointFilter(mapped=False)),
    "unowned": (marked("without an owner"), TouchpointFilter(owned=False)),
    "owned": (marked("with an owner"), TouchpointFilter(owned=True)),
}
_LIMIT: Final = 50
_MOST_IN_A_FILE: Final = 2_000


@dataclass(frozen=True, kw_only=True)
class Line:
    """One touchpoint."""

    name: str
    code: str
    href: str
    mapped: bool
    key: bool
    quiet: bool
    """A key touchpoint at which too few customers have answered."""
    stands_for: str | None
    owner: str | None
    owner_gone: bool
    department: str | None
    answers: int
    last_on: date | None


@dataclass(frozen=True, kw_only=True)
class TouchpointsPage:
    """What the list of touchpoints shows."""

    figures: Completeness
    filters: Form
    shown: Sequence[Option]
    filtered: bool
    lines: Sequence[Line]
    position: str
    newer: str | None
    older: str | None
    form: Form
    may_write: bool
    csv: str


def href_of(code: str, **more: str) -> str:
    """Return the address of one touchpoint's page; a code may hold anything."""
    return "/settings/touchpoints/one?" + urlencode({"code": code, **more})


@router.get("/settings/touchpoints")
async def show(request: Request, caller: _Reader, page: Paged) -> Response:
    """Show touchpoints, a part at a time."""
    return await _page(request, caller, page)


@router.post("/settings/touchpoints")
async def add(request: Request, caller: _Writer) -> Response:
    """Describe a touchpoint that has not been named by a response yet."""
    loop = resources(request, Loop)
    reader = reader_of(request)
    fields = Fields(await read_form(request), reader)
    code, name = fields.text("code", most=200), fields.text("name", most=200)
    form = fields.form("new")
    if fields.errors:
        return await _page(request, caller, Page(), form=form, status=422)
    try:
        async with loop.database.transaction() as tx:
            await add_touchpoint(
                tx,
                Touchpoint(
                    code=code,
                    name=name,
                    macro=None,
                    owner=None,
                    department_id=None,
                    mapped=True,
                    first_seen_at=loop.clock.now(),
                    version=1,
                ),
                by=caller,
            )
    except Refused as refusal:
        form = refused(form, refusal, reader)
        return await _page(request, caller, Page(), form=form, status=refusal.status)
    return RedirectResponse(href_of(code, done="described"), 303)


@router.get("/settings/touchpoints.csv")
async def file(request: Request, _caller: _Reader) -> Response:
    """Return the same touchpoints for a spreadsheet, at most 2,000."""
    loop = resources(request, Loop)
    wanted, _ = _wanted(request)
    async with loop.database.reading() as view:
        found = await list_touchpoints(
            view, wanted, now=loop.clock.now(), after=None, most=_MOST_IN_A_FILE, order="todo"
        )
        lines = await _lines(view, found)
    columns = ("code", "name", "described", "key", "stands_for", "owner", "department")
    return sheet(
        "touchpoints",
        (*columns, "answers", "last_answer_on"),
        [
            (
                line.code,
                line.name,
                "yes" if line.mapped else "no",
                "yes" if line.key else "no",
                line.stands_for,
                line.owner,
                line.department,
                line.answers,
                line.last_on.isoformat() if line.last_on else None,
            )
            for line in lines
        ],
    )


def _wanted(request: Request) -> tuple[TouchpointFilter, dict[str, str]]:
    """Return what the address asks for, and the members of it that narrow."""
    text = request.query_params.get("q", "").replace("\0", "").strip()[:200]
    show_only = request.query_params.get("show", "")
    wanted = SHOWN[show_only][1] if show_only in SHOWN else TouchpointFilter()
    members = {"q": text, "show": show_only if show_only in SHOWN else ""}
    return (
        TouchpointFilter(mapped=wanted.mapped, owned=wanted.owned, text=text),
        {name: value for name, value in members.items() if value},
    )


async def _page(
    request: Request,
    caller: Principal,
    page: Page,
    *,
    form: Form | None = None,
    status: int = 200,
) -> Response:
    loop = resources(request, Loop)
    reader = reader_of(request)
    now = loop.clock.now()
    wanted, members = _wanted(request)
    of = f"page/touchpoints?{wanted.text}&{members.get('show', '')}"
    after = page.after(loop.keyring, of=of)
    async with loop.database.reading() as view:
        found = await list_touchpoints(
            view,
            wanted,
            now=now,
            after=after,
            most=_LIMIT + 1,
            order="todo",
        )
        figures = await completeness(view, now=now)
        lines = await _lines(view, found[:_LIMIT])
    more = len(found) > _LIMIT
    last = [store.rank_of(found[_LIMIT - 1]), found[_LIMIT - 1].code] if more else []
    here = "/settings/touchpoints"
    context = TouchpointsPage(
        figures=figures,
        filters=Form(name="filter", values=members),
        shown=[
            Option(value=name, label=reader.gettext(label))
            for name, (label, _) in SHOWN.items()
        ],
        filtered=bool(members),
        lines=lines,
        position=_position(len(lines), reader),
        newer=f"{here}?{urlencode(members)}" if after is not None else None,
        older=(
            f"{here}?"
            + urlencode({**members, "cursor": encode_cursor(loop.keyring, last, of=of)})
            if more
            else None
        ),
        form=form or Form(name="new"),
        may_write=caller.may(Scope.POLICIES_WRITE),
        csv="/settings/touchpoints.csv" + (f"?{urlencode(members)}" if members else ""),
    )
    return pages.render(request, "touchpoints.html", context, status=status)


def _position(n: int, reader: Reader) -> str:
    return reader.ngettext("%(n)s touchpoint", "%(n)s touchpoints", n)


async def _lines(view: Reading, found: Sequence[Touchpoint]) -> Sequence[Line]:
    people = await owners(view, [one.owner.id for one in found if one.owner])
    parts = {part.id: part.name for part in await list_departments(view)}
    names = await store.named(view)
    return [
        Line(
            name=one.name or one.code,
            code=one.code,
            href=href_of(one.code),
            mapped=one.is_mapped,
            key=one.key,
            quiet=one.key and one.answers < ENOUGH,
            stands_for=names.get(one.code, one.alias_of) if one.alias_of else None,
            owner=(people[one.owner.id].name if one.owner and one.owner.id in people else None),
            owner_gone=one.owner is not None and not one.owner_able,
            department=parts.get(one.department_id or ""),
            answers=one.answers,
            last_on=one.last_answer_on,
        )
        for one in found
    ]
