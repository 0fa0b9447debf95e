"""A task's page and what its forms post: show it, carry out an act, say what is in the way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Final

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from services.loop.pages.forms import ACTS, act_of, why_refused
from services.loop.pages.site import done_of, pages
from services.loop.pages.task.reading import read_page
from services.loop.pages.task.support import ADVICE
from services.loop.resources import Loop
from services.loop.tasks.handlers import act_on, advise, look_at, note_looks, read_task
from shared.errors import Conflict, Invalid, NotFound, Stale, TryLater
from shared.i18n import Reader, marked
from shared.identity.principal import Principal, Scope
from shared.web.access import resources
from shared.web.auth import requires_page
from shared.web.forms import Fields, Form, read_form
from shared.web.templating import reader_of

router = APIRouter(include_in_schema=False)

_Reader = Annotated[Principal, Depends(requires_page(Scope.TASKS_READ))]
_Writer = Annotated[Principal, Depends(requires_page(Scope.TASKS_WRITE))]

DONE: Final[Mapping[str, str]] = {
    "claim": marked("The task is yours now."),
    "assign": marked("The task has a new owner."),
    "contacts": marked("The contact is in the history."),
    "steps": marked("The step is in the history."),
    "agreement": marked("The agreement is in the history."),
    "actions": marked("The action is on the list."),
    "done": marked("The action is carried out."),
    "wait": marked("The task waits."),
    "resume": marked("The task goes on."),
    "notes": marked("The note is in the history."),
    "snooze": marked("The task is put off; its clock runs on."),
    "remedies": marked("The remedy is in the history."),
    "approve": marked("The remedy is approved."),
    "decline": marked("The remedy is declined."),
    "recognitions": marked("The praise is passed on."),
    "example": marked("The choice is saved."),
    "resolve": marked("The task is resolved."),
    "close": marked("The task is closed."),
    "reopen": marked("The task is open again."),
}


@router.get("/tasks/{task_id}")
async def show(request: Request, task_id: str, caller: _Reader) -> Response:
    """Show one task."""
    return await _page(request, task_id, caller)


@router.post("/tasks/{task_id}/{name}")
async def act(request: Request, task_id: str, name: str, caller: _Writer) -> Response:
    """Carry out what a form asks for, or show the page again with what is in the way."""
    if name not in ACTS:
        raise NotFound("There is nothing at this address.")
    loop = resources(request, Loop)
    reader = reader_of(request)
    fields = Fields(await read_form(request), reader)
    seen_version = fields.whole("version")
    async with loop.database.reading() as view:
        wanted = await act_of(name, fields, view, caller, reader)
    if fields.errors:
        return await _page(request, task_id, caller, form=fields.form(name), status=422)
    try:
        async with loop.database.transaction() as tx:
            await act_on(
                tx,
                task_id,
                wanted,
                by=caller,
                expected=seen_version,
                person_keys=loop.person_keys,
                now=loop.clock.now(),
            )
            advice = await advise(
                tx, task_id, wanted, person_keys=loop.person_keys, now=loop.clock.now()
            )
    except Invalid as refusal:
        for finding in refusal.findings:
            field = finding.pointer.rpartition("/")[2]
            fields.wrong({"value": "amount"}.get(field, field), finding.detail)
        return await _page(request, task_id, caller, form=fields.form(name), status=422)
    except Stale as refusal:
        return await _page(
            request,
            task_id,
            caller,
            form=fields.form(name),
            since=seen_version,
            status=refusal.status,
        )
    except Conflict as refusal:
        text = why_refused(name, refusal, reader)
        form = fields.form(name, refusal=text)
        return await _page(request, task_id, caller, form=form, status=refusal.status)
    if advice:
        # To the task, wherever it was done from: that is where the advice can be followed.
        return RedirectResponse(f"/tasks/{task_id}?done={name}&advice={','.join(advice)}", 303)
    return RedirectResponse(_after(task_id, name, fields.values.get("back", "")), 303)


def _after(task_id: str, name: str, back: str) -> str:
    """Return where to go after an act: back to the queue it was done from, or to the task."""
    if back == "/":
        return f"/?done={name}"
    if back.startswith("/?") and back.isascii() and back.isprintable() and len(back) < 2_000:
        return f"{back}&done={name}"
    return f"/tasks/{task_id}?done={name}"


async def _page(
    request: Request,
    task_id: str,
    caller: Principal,
    *,
    form: Form | None = None,
    since: int | None = None,
    status: int = 200,
) -> Response:
    loop = resources(request, Loop)
    reader = reader_of(request)
    async with loop.database.reading() as view:
        seen = await read_task(view, task_id, caller=caller, person_keys=loop.person_keys)
        context = await read_page(
            view, seen, reader, caller, now=loop.clock.now(), form=form, since=since
        )
    await note_looks(loop.database, [seen], by=caller, via="task", now=loop.clock.now())
    is_worked_on = seen.task.is_open and not seen.restricted
    others = await _others(loop, task_id, caller) if is_worked_on else []
    context = replace(
        context,
        done=done_of(request, DONE, reader) if status == 200 else "",
        advice=_advice(request, reader) if status == 200 else [],
        others=others,
    )
    return pages.render(request, "task.html", context, status=status)


async def _others(loop: Loop, task_id: str, caller: Principal) -> Sequence[str]:
    """Return who else has the task open; a page is read also while nothing can be written."""
    try:
        async with loop.database.transaction() as tx:
            return await look_at(tx, task_id, by=caller, now=loop.clock.now())
    except TryLater:
        return []


def _advice(request: Request, reader: Reader) -> Sequence[str]:
    """Return what should have been done otherwise, as the address names it after an act."""
    named = request.query_params.get("advice", "").split(",")
    return [reader.gettext(text) for one, text in ADVICE.items() if one.value in named]
