"""Who is away and who has enough: the new tasks go to somebody else meanwhile."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Final

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from services.loop.journey.domain import Absence
from services.loop.journey.handlers.absences import (
    absences_from,
    end_absence,
    limit_workload,
    may_decide_for,
    note_absence,
    workloads,
)
from services.loop.pages.journey.shared import owner_options, refused, staff_options
from services.loop.pages.site import done_of, pages
from services.loop.resources import Loop
from services.loop.tasks.handlers.sight import LEADING
from services.loop.tasks.store import open_by_owner
from shared.db.transaction import Transaction
from shared.errors import Forbidden, NotFound, Refused
from shared.i18n import marked
from shared.identity.principal import Principal, Scope
from shared.web.access import resources
from shared.web.auth import requires_page
from shared.web.forms import Fields, Form, Option, read_form
from shared.web.templating import reader_of

router = APIRouter(include_in_schema=False)

_Caller = Annotated[Principal, Depends(requires_page(Scope.TASKS_WRITE))]

DONE: Final[Mapping[str, str]] = {
    "noted": marked("The absence is noted."),
    "ended": marked("The absence is over."),
    "limited": marked("The limit is saved."),
}
_PATH: Final = "/settings/absences"


@dataclass(frozen=True, kw_only=True)
class AbsenceLine:
    """One absence."""

    id: str
    name: str
    deputy: str | None
    begins_at: datetime
    ends_at: datetime | None
    is_running: bool
    can_end: bool


@dataclass(frozen=True, kw_only=True)
class LoadLine:
    """One person with the tasks that are open, and the form of the limit."""

    id: str
    name: str
    open: int
    most: int | None
    deputy: str | None
    version: int
    form: Form


@dataclass(frozen=True, kw_only=True)
class AbsencesPage:
    """What the page of absences and limits shows."""

    lines: Sequence[AbsenceLine]
    loads: Sequence[LoadLine]
    form: Form
    refusal: Form
    staff: Sequence[Option]
    deputies: Sequence[Option]
    leads: bool
    done: str


@router.get("/settings/absences")
async def show(request: Request, caller: _Caller) -> Response:
    """Show who is away now or later, and for who leads how much everybody has open."""
    return await _page(request, caller)


@router.post("/settings/absences")
async def note(request: Request, caller: _Caller) -> Response:
    """Note that somebody is away."""
    fields = Fields(await read_form(request), reader_of(request))
    staff_id = fields.text("staff_id", most=40)
    deputy_id = fields.optional("deputy_id", most=40)
    begins_at, ends_at = fields.moment("begins_at"), fields.moment("ends_at")

    async def act(tx: Transaction, now: datetime) -> None:
        new = Absence(
            id="",
            staff_id=staff_id,
            deputy_id=deputy_id,
            begins_at=begins_at or now,
            ends_at=ends_at,
        )
        await note_absence(tx, new, by=caller, now=now)

    return await _carry_out(request, caller, fields.form("new"), act, "noted")


@router.post("/settings/absences/end")
async def end(request: Request, caller: _Caller) -> Response:
    """Say that somebody is back."""
    fields = Fields(await read_form(request), reader_of(request))
    absence_id = fields.values.get("id", "")

    async def act(tx: Transaction, now: datetime) -> None:
        await end_absence(tx, absence_id, by=caller, now=now)

    return await _carry_out(request, caller, fields.form("end"), act, "ended")


@router.post("/settings/absences/limit")
async def limit(request: Request, caller: _Caller) -> Response:
    """Save how many open tasks somebody is given at most."""
    reader = reader_of(request)
    fields = Fields(await read_form(request), reader)
    staff_id = fields.text("staff_id", most=40)
    most_open = fields.whole("most_open")
    if fields.values.get("most_open") and most_open is None:
        fields.errors["most_open"] = reader.gettext("Please write a number.")

    async def act(tx: Transaction, now: datetime) -> None:
        await limit_workload(
            tx,
            staff_id,
            most_open=most_open,
            deputy_id=fields.optional("deputy_id", most=40),
            expected=fields.whole("version"),
            by=caller,
            now=now,
        )

    return await _carry_out(request, caller, fields.form(staff_id), act, "limited")


async def _carry_out(
    request: Request,
    caller: Principal,
    form: Form,
    act: Callable[[Transaction, datetime], Awaitable[None]],
    done: str,
) -> Response:
    loop = resources(request, Loop)
    if form.errors:
        return await _page(request, caller, form=form, status=422)
    try:
        async with loop.database.transaction() as tx:
            await act(tx, loop.clock.now())
    except (NotFound, Forbidden):
        raise
    except Refused as refusal:
        form = refused(form, refusal, reader_of(request))
        return await _page(request, caller, form=form, status=refusal.status)
    return RedirectResponse(f"{_PATH}?done={done}", 303)


async def _page(
    request: Request, caller: Principal, *, form: Form | None = None, status: int = 200
) -> Response:
    loop, reader = resources(request, Loop), reader_of(request)
    now = loop.clock.now()
    leads = caller.role in LEADING
    async with loop.database.reading() as view:
        absences = await absences_from(view, now)
        limits = await workloads(view) if leads else {}
        staff, deputies = await staff_options(view), await owner_options(view)
        load = await open_by_owner(view, [one.value for one in staff]) if leads else {}
    names = {one.value: one.label for one in deputies}
    forms = {form.name: form} if form else {}
    context = AbsencesPage(
        lines=[
            AbsenceLine(
                id=one.id,
                name=names.get(one.staff_id, one.staff_id),
                deputy=names.get(one.deputy_id or ""),
                begins_at=one.begins_at,
                ends_at=one.ends_at,
                is_running=one.holds(now),
                can_end=may_decide_for(caller, one.staff_id),
            )
            for one in absences
        ],
        loads=[
            LoadLine(
                id=one.value,
                name=one.label,
                open=load.get(one.value, 0),
                most=found.most_open if (found := limits.get(one.value)) else None,
                deputy=names.get(found.deputy_id or "") if found else None,
                version=found.version if found else 0,
                form=forms.get(one.value)
                or Form(
                    name=one.value,
                    values={
                        "most_open": (
                            str(found.most_open)
                            if found and found.most_open is not None
                            else ""
                        ),
                        "deputy_id": (found.deputy_id or "") if found else "",
                    },
                ),
            )
            for one in (staff if leads else ())
        ],
        form=forms.get("new") or Form(name="new", values={"staff_id": caller.id}),
        refusal=forms.get("end") or Form(name="end"),
        staff=[one for one in staff if leads or one.value == caller.id],
        deputies=deputies,
        leads=leads,
        done=done_of(request, DONE, reader) if status == 200 else "",
    )
    return pages.render(request, "absences.html", context, status=status)
