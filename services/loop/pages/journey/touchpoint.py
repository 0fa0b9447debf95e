"""One touchpoint: what it is called, what it stands for, and who answers for it when."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Final
from urllib.parse import urlencode

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from services.loop.journey import store
from services.loop.journey.domain import OwnerRef, Ownership, Touchpoint
from services.loop.journey.handlers import (
    change_touchpoint,
    end_ownership,
    find_periods,
    find_touchpoint,
    plan_ownership,
)
from services.loop.pages.journey.shared import (
    department_options,
    owner_options,
    owner_ref,
    refused,
)
from services.loop.pages.journey.touchpoints import href_of
from services.loop.pages.site import done_of, pages
from services.loop.resources import Loop
from shared.db.transaction import Reading, Transaction
from shared.errors import NotFound, Refused
from shared.i18n import Reader, marked
from shared.identity.groups import list_departments
from shared.identity.owners import Owner, owners
from shared.identity.principal import Principal, Scope
from shared.web.access import resources
from shared.web.auth import requires_page
from shared.web.forms import Fields, Form, Option, read_form
from shared.web.templating import reader_of

router = APIRouter(include_in_schema=False)

_Reader = Annotated[Principal, Depends(requires_page(Scope.SETTINGS_READ))]
_Writer = Annotated[Principal, Depends(requires_page(Scope.POLICIES_WRITE))]

DONE: Final[Mapping[str, str]] = {
    "described": marked("The description is saved."),
    "map": marked("The code stands for what you chose."),
    "unmap": marked("The code stands for itself again."),
    "owner": marked("The owner is saved."),
    "end": marked("The period ends as you asked."),
}


@dataclass(frozen=True, kw_only=True)
class PeriodLine:
    """A period in which somebody answers for the touchpoint."""

    id: str
    owner: str | None
    department: str | None
    valid_from: datetime
    valid_until: datetime | None
    state: str
    is_planned: bool
    can_end: bool


@dataclass(frozen=True, kw_only=True)
class TouchpointPage:
    """What the page of one touchpoint shows."""

    touchpoint: Touchpoint
    name: str
    stands_for: str | None
    target: str
    """The address of the touchpoint that this one stands for."""
    owner: str | None
    periods: Sequence[PeriodLine]
    describing: Form
    mapping: Form
    owning: Form
    ending: Form
    targets: Sequence[Option]
    owners: Sequence[Option]
    departments: Sequence[Option]
    scores: str
    done: str
    may_write: bool


Act = Callable[[Transaction, Loop, str, int | None, Principal], Awaitable[None]]


@router.get("/settings/touchpoints/one")
async def show(request: Request, caller: _Reader) -> Response:
    """Show one touchpoint."""
    return await _page(request, _code(request), caller)


@router.post("/settings/touchpoints/describe")
async def describe(request: Request, caller: _Writer) -> Response:
    """Save what the touchpoint is called and which department it belongs to."""
    fields = await _fields(request)
    changes: dict[str, Any] = {
        "name": fields.text("name", most=200) or None,
        "macro": fields.optional("macro", most=200),
        "key": fields.values.get("key") == "yes",
    }
    department_id = fields.optional("department_id", most=40)

    async def act(
        tx: Transaction, loop: Loop, code: str, expected: int | None, by: Principal
    ) -> None:
        now = loop.clock.now()
        known = await find_touchpoint(tx, code, now=now)
        if department_id != known.department_id:
            changes["department_id"] = department_id
        await change_touchpoint(tx, code, changes, expected=expected, by=by, now=now)

    return await _carry_out(request, fields, "describe", act, caller, done="described")


@router.post("/settings/touchpoints/map")
async def map_to(request: Request, caller: _Writer) -> Response:
    """Let the code stand for another touchpoint, or for itself again."""
    fields = await _fields(request)
    target = fields.optional("alias_of", most=200)

    async def act(
        tx: Transaction, loop: Loop, code: str, expected: int | None, by: Principal
    ) -> None:
        changes = {"alias_of": target}
        await change_touchpoint(
            tx, code, changes, expected=expected, by=by, now=loop.clock.now()
        )

    return await _carry_out(
        request, fields, "map", act, caller, done="map" if target else "unmap"
    )


@router.post("/settings/touchpoints/owners")
async def own(request: Request, caller: _Writer) -> Response:
    """Have somebody answer for the touchpoint from a moment on."""
    fields = await _fields(request)
    owner_id = fields.text("owner", most=40)
    department_id = fields.optional("department_id", most=40)
    begins, ends = fields.moment("valid_from"), fields.moment("valid_until")

    async def act(
        tx: Transaction, loop: Loop, code: str, expected: int | None, by: Principal
    ) -> None:
        now = loop.clock.now()
        new = Ownership(
            id="",
            owner=owner_ref(owner_id),
            department_id=department_id,
            valid_from=begins or now,
            valid_until=ends,
        )
        await plan_ownership(tx, code, new, expected=expected, by=by, now=now)

    return await _carry_out(request, fields, "owner", act, caller, done="owner")


@router.post("/settings/touchpoints/end")
async def end(request: Request, caller: _Writer) -> Response:
    """End a period now, or drop a planned one."""
    fields = await _fields(request)
    period_id = fields.text("period", most=40)

    async def act(
        tx: Transaction, loop: Loop, code: str, expected: int | None, by: Principal
    ) -> None:
        now = loop.clock.now()
        await end_ownership(tx, code, period_id, at=now, expected=expected, by=by, now=now)

    return await _carry_out(request, fields, "end", act, caller, done="end")


async def _fields(request: Request) -> Fields:
    return Fields(await read_form(request), reader_of(request))


async def _carry_out(
    request: Request, fields: Fields, name: str, act: Act, caller: Principal, *, done: str
) -> Response:
    """Carry out what a form asks for, or show the page again with what is in the way."""
    loop = resources(request, Loop)
    code = fields.values.get("code", "")
    form = fields.form(name)
    if fields.errors:
        return await _page(request, code, caller, form=form, status=422)
    try:
        async with loop.database.transaction() as tx:
            await act(tx, loop, code, fields.whole("version"), caller)
    except NotFound:
        raise
    except Refused as refusal:
        form = refused(form, refusal, reader_of(request))
        return await _page(request, code, caller, form=form, status=refusal.status)
    return RedirectResponse(href_of(code, done=done), 303)


def _code(request: Request) -> str:
    return request.query_params.get("code", "").replace("\0", "")[:200]


async def _page(
    request: Request,
    code: str,
    caller: Principal,
    *,
    form: Form | None = None,
    status: int = 200,
) -> Response:
    loop = resources(request, Loop)
    reader = reader_of(request)
    now = loop.clock.now()
    async with loop.database.reading() as view:
        touchpoint = await find_touchpoint(view, code, now=now)
        periods = await find_periods(view, code)
        names = await store.named(view)
        lines, owner = await _periods(view, touchpoint, periods, reader, now)
        targets = [
            Option(value=other, label=label)
            for other, label in (await store.offered(view, mapped=True)).items()
            if other != code
        ]
        people = await owner_options(view)
        departments = await department_options(view)
    forms = _forms(touchpoint) | ({form.name: form} if form else {})
    alias_of = touchpoint.alias_of
    context = TouchpointPage(
        touchpoint=touchpoint,
        name=touchpoint.name or code,
        stands_for=names.get(code, alias_of) if alias_of else None,
        target=href_of(alias_of) if alias_of else "",
        owner=owner,
        periods=lines,
        describing=forms["describe"],
        mapping=forms["map"],
        owning=forms["owner"],
        ending=forms["end"],
        targets=sorted(targets, key=lambda option: option.label.casefold()),
        owners=people,
        departments=departments,
        scores=_scores(alias_of or code) if caller.may(Scope.SCORES_READ) else "",
        done=done_of(request, DONE, reader) if status == 200 else "",
        may_write=caller.may(Scope.POLICIES_WRITE),
    )
    return pages.render(request, "touchpoint.html", context, status=status)


def _forms(touchpoint: Touchpoint) -> dict[str, Form]:
    return {
        "describe": Form(
            name="describe",
            values={
                "name": touchpoint.name or "",
                "macro": touchpoint.macro or "",
                "key": "yes" if touchpoint.key else "",
                "department_id": touchpoint.department_id or "",
            },
        ),
        "map": Form(name="map", values={"alias_of": touchpoint.alias_of or ""}),
        "owner": Form(name="owner", values={"department_id": touchpoint.department_id or ""}),
        "end": Form(name="end"),
    }


async def _periods(
    view: Reading,
    touchpoint: Touchpoint,
    periods: Sequence[Ownership],
    reader: Reader,
    now: datetime,
) -> tuple[Sequence[PeriodLine], str | None]:
    """Return the periods, the latest first, and who owns the touchpoint now."""
    ids = [period.owner.id for period in periods if period.owner]
    people = await owners(view, [*ids, *([touchpoint.owner.id] if touchpoint.owner else [])])
    parts = {part.id: part.name for part in await list_departments(view)}
    lines = [
        PeriodLine(
            id=period.id,
            owner=_name(people, period.owner),
            department=parts.get(period.department_id or ""),
            valid_from=period.valid_from,
            valid_until=period.valid_until,
            state=(
                reader.gettext("now")
                if period.holds(now)
                else reader.gettext("planned")
                if now < period.valid_from
                else reader.gettext("over")
            ),
            is_planned=now < period.valid_from,
            can_end=period.valid_until is None or now < period.valid_until,
        )
        for period in reversed(periods)
    ]
    return lines, _name(people, touchpoint.owner)


def _name(people: Mapping[str, Owner], owner: OwnerRef | None) -> str | None:
    if owner is None:
        return None
    return people[owner.id].name if owner.id in people else owner.id


def _scores(code: str) -> str:
    return "/scores?" + urlencode({"group": "week", "touchpoint": code})
