"""The hand-over: what somebody who leaves has in hand goes to somebody else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from services.loop.journey.store import named
from services.loop.pages.journey.shared import owner_options, refused, staff_options
from services.loop.pages.site import pages
from services.loop.resources import Loop
from services.loop.tasks.handlers.handing_over import InHand, hand_over, in_hand
from services.loop.tasks.handlers.sight import LEADING
from shared.errors import Forbidden, NotFound, Refused
from shared.i18n import Reader
from shared.identity.owners import owners
from shared.identity.principal import Principal, Scope
from shared.web.access import resources
from shared.web.auth import requires_page
from shared.web.forms import Fields, Form, Option, read_form
from shared.web.query import whole_number
from shared.web.templating import reader_of

router = APIRouter(include_in_schema=False)

_Caller = Annotated[Principal, Depends(requires_page(Scope.TASKS_WRITE))]
_PATH = "/settings/handover"
_KINDS = 4
"""How many kinds of things go over."""


@dataclass(frozen=True, kw_only=True)
class HandoverPage:
    """What the hand-over shows: first whose work, then what it is and who takes it."""

    of: str
    name: str
    found: InHand | None
    touchpoints: Sequence[str]
    staff: Sequence[Option]
    targets: Sequence[Option]
    form: Form
    may_touchpoints: bool
    done: str


@router.get("/settings/handover")
async def show(request: Request, caller: _Caller) -> Response:
    """Show what somebody has in hand, or ask whose work it is about."""
    return await _page(request, caller, request.query_params.get("of", ""))


@router.post("/settings/handover")
async def carry_out(request: Request, caller: _Caller) -> Response:
    """Hand over what was chosen."""
    loop, reader = resources(request, Loop), reader_of(request)
    fields = Fields(await read_form(request), reader)
    staff_id, to = fields.values.get("of", ""), fields.text("to", most=40)
    tasks = fields.values.get("tasks") == "yes"
    touchpoints = fields.values.get("touchpoints") == "yes"
    rules = fields.values.get("rules") == "yes"
    if not (tasks or touchpoints or rules):
        fields.errors["what"] = reader.gettext("Please choose one.")
    form = fields.form("handover")
    if fields.errors:
        return await _page(request, caller, staff_id, form=form, status=422)
    try:
        async with loop.database.transaction() as tx:
            done = await hand_over(
                tx,
                staff_id,
                to,
                tasks=tasks,
                touchpoints=touchpoints,
                rules=rules,
                by=caller,
                person_keys=loop.person_keys,
                now=loop.clock.now(),
            )
    except (NotFound, Forbidden):
        raise
    except Refused as refusal:
        form = refused(form, refusal, reader)
        return await _page(request, caller, staff_id, form=form, status=refusal.status)
    counts = f"{done.tasks}-{done.actions}-{done.touchpoints}-{done.rules}"
    return RedirectResponse(f"{_PATH}?of={staff_id}&done={counts}", 303)


async def _page(
    request: Request,
    caller: Principal,
    staff_id: str,
    *,
    form: Form | None = None,
    status: int = 200,
) -> Response:
    if caller.role not in LEADING:
        raise Forbidden("Only somebody who leads can hand over what others have in hand.")
    loop, reader = resources(request, Loop), reader_of(request)
    async with loop.database.reading() as view:
        found = await in_hand(view, staff_id, now=loop.clock.now()) if staff_id else None
        names = await named(view)
        person = (await owners(view, [staff_id])).get(staff_id)
        staff, targets = await staff_options(view), await owner_options(view)
    may_touchpoints = caller.may(Scope.POLICIES_WRITE)
    context = HandoverPage(
        of=staff_id,
        name=person.name if person else "",
        found=found,
        touchpoints=[names.get(code, code) for code in found.touchpoints] if found else [],
        staff=staff,
        targets=[one for one in targets if one.value != staff_id],
        form=form
        or Form(
            name="handover",
            values={"tasks": "yes"}
            | (dict.fromkeys(("touchpoints", "rules"), "yes") if may_touchpoints else {}),
        ),
        may_touchpoints=may_touchpoints,
        done=_done(request.query_params.get("done", ""), reader) if status == 200 else "",
    )
    return pages.render(request, "handover.html", context, status=status)


def _done(counts: str, reader: Reader) -> str:
    """Say how much went over, as the address names it after the redirect."""
    numbers = [whole_number(one, digits=4) for one in counts.split("-")]
    if len(numbers) != _KINDS or None in numbers:
        return ""
    tasks, actions, touchpoints, rules = numbers
    return reader.gettext(
        "Handed over: open tasks %(tasks)s, promises %(actions)s, touchpoints %(touchpoints)s,"
        " rules %(rules)s.",
        tasks=tasks,
        actions=actions,
        touchpoints=touchpoints,
        rules=rules,
    )
