"""The departments: what they are called, and who heads each of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Final

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from services.loop.pages.journey.shared import refused, staff_options
from services.loop.pages.site import done_of, pages
from services.loop.resources import Loop
from shared.errors import NotFound, Refused
from shared.i18n import marked
from shared.identity.groups import Department, list_departments
from shared.identity.owners import owners
from shared.identity.principal import Principal, Scope
from shared.identity.teams import create_department, update_department
from shared.web.access import resources
from shared.web.auth import requires_page
from shared.web.forms import Fields, Form, Option, read_form
from shared.web.paging import Page, Paged, encode_cursor
from shared.web.templating import reader_of

router = APIRouter(include_in_schema=False)

_Reader = Annotated[Principal, Depends(requires_page(Scope.SETTINGS_READ))]
_Writer = Annotated[Principal, Depends(requires_page(Scope.SETTINGS_WRITE))]

DONE: Final[Mapping[str, str]] = {
    "added": marked("The department is on the list."),
    "changed": marked("The department is saved."),
}
_LIMIT: Final = 50
_PATH: Final = "/settings/departments"


@dataclass(frozen=True, kw_only=True)
class Line:
    """One department, and the form in which it can be changed."""

    id: str
    name: str
    version: int
    head: str | None
    form: Form


@dataclass(frozen=True, kw_only=True)
class DepartmentsPage:
    """What the list of departments shows."""

    lines: Sequence[Line]
    newer: str | None
    older: str | None
    form: Form
    staff: Sequence[Option]
    done: str
    may_write: bool


@router.get("/settings/departments")
async def show(request: Request, caller: _Reader, page: Paged) -> Response:
    """Show the departments, a part at a time."""
    return await _page(request, caller, page)


@router.post("/settings/departments")
async def save(request: Request, caller: _Writer) -> Response:
    """Add a department, or change the one that the form names."""
    loop, reader = resources(request, Loop), reader_of(request)
    fields = Fields(await read_form(request), reader)
    department_id = fields.values.get("id", "")
    name, head_id = fields.text("name", most=200), fields.values.get("head_id", "")
    form = fields.form(department_id or "new")
    if fields.errors:
        return await _page(request, caller, Page(), form=form, status=422)
    now = loop.clock.now()
    try:
        async with loop.database.transaction() as tx:
            if department_id:
                await update_department(
                    tx,
                    department_id,
                    name=name,
                    head_id=head_id,
                    expected=fields.whole("version"),
                    by=caller,
                    now=now,
                )
            else:
                await create_department(
                    tx, name=name, head_id=head_id or None, by=caller, now=now
                )
    except NotFound:
        raise
    except Refused as refusal:
        form = refused(form, refusal, reader)
        return await _page(request, caller, Page(), form=form, status=refusal.status)
    done = "changed" if department_id else "added"
    return RedirectResponse(f"{_PATH}?done={done}", 303)


async def _page(
    request: Request,
    caller: Principal,
    page: Page,
    *,
    form: Form | None = None,
    status: int = 200,
) -> Response:
    loop, reader = resources(request, Loop), reader_of(request)
    of = "page/departments"
    after = page.after(loop.keyring, of=of)
    async with loop.database.reading() as view:
        found = await list_departments(
            view, limit=_LIMIT + 1, after=after[0] if after else None
        )
        heads = await owners(view, [part.head_id for part in found if part.head_id])
        staff = await staff_options(view)
    shown = found[:_LIMIT]
    more = len(found) > _LIMIT
    cursor = encode_cursor(loop.keyring, [shown[-1].id], of=of) if more else ""
    context = DepartmentsPage(
        lines=[
            Line(
                id=part.id,
                name=part.name,
                version=part.version,
                head=head.name if (head := heads.get(part.head_id or "")) else None,
                form=form if form and form.name == part.id else _form(part),
            )
            for part in shown
        ],
        newer=_PATH if after is not None else None,
        older=f"{_PATH}?cursor={cursor}" if more else None,
        form=form if form and form.name == "new" else Form(name="new"),
        staff=staff,
        done=done_of(request, DONE, reader) if status == 200 else "",
        may_write=caller.may(Scope.SETTINGS_WRITE),
    )
    return pages.render(request, "departments.html", context, status=status)


def _form(part: Department) -> Form:
    return Form(name=part.id, values={"name": part.name, "head_id": part.head_id or ""})
