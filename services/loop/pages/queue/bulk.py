"""The same act on many tasks: chosen in the queue, previewed here, done, and taken back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Final, cast

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from services.loop.pages.forms import why_refused
from services.loop.pages.labels import CLOSE_REASONS, WAITING_FOR, options
from services.loop.pages.queue.asked import Asked
from services.loop.pages.shapes import customer_of
from services.loop.pages.site import pages
from services.loop.resources import Loop
from services.loop.tasks.domain import acts
from services.loop.tasks.handlers import (
    BulkOutcome,
    InBulk,
    TaskView,
    do_in_bulk,
    list_tasks,
    note_looks,
    resolve_owner,
    take_back,
    try_in_bulk,
)
from services.loop.tasks.store import TaskFilter
from shared.db.transaction import Reading
from shared.errors import Conflict, Forbidden, Invalid, NotFound, Refused, Stale
from shared.i18n import Reader, marked
from shared.identity.groups import list_teams
from shared.identity.people import list_staff
from shared.identity.principal import Principal, Scope
from shared.web.access import resources
from shared.web.auth import requires_page
from shared.web.forms import Fields, Form, Option, read_form
from shared.web.query import whole_number
from shared.web.templating import reader_of

router = APIRouter(include_in_schema=False)

_Writer = Annotated[Principal, Depends(requires_page(Scope.TASKS_WRITE))]

TITLES: Final[Mapping[str, str]] = {
    "assign": marked("Assign several tasks"),
    "snooze": marked("Put several tasks off"),
    "wait": marked("Let several tasks wait"),
    "close": marked("Close several tasks"),
}
_PICKED: Final = "pick."
_LONG: Final = 5_000
_MOST: Final = 200


@dataclass(frozen=True, kw_only=True)
class Chosen:
    """A task that was chosen, and why it will be left out, if it will."""

    id: str
    version: int
    name: str = field(repr=False)
    owner: str
    why: str = ""


@dataclass(frozen=True, kw_only=True)
class BulkPage:
    """What is shown before something is done to several tasks."""

    title: str
    act: str
    form: Form
    chosen: Sequence[Chosen]
    previewed: bool
    possible: int
    owners: Sequence[Option]
    waiting_for: Sequence[Option]
    reasons: Sequence[Option]
    back: str


@router.post("/queue/bulk")
async def bulk(request: Request, caller: _Writer) -> Response:
    """Ask for what is missing, then show what would happen, then do it."""
    loop = resources(request, Loop)
    reader = reader_of(request)
    fields = Fields(await read_form(request), reader)
    name = fields.values.get("act", "")
    if name not in TITLES:
        raise NotFound("There is nothing at this address.")
    versions = _versions(fields.values)
    now = loop.clock.now()
    stage = fields.values.get("stage", "")
    outcome: BulkOutcome | None = None
    if versions and stage in {"preview", "do"}:
        async with loop.database.reading() as view:
            act = await _act(name, fields, view, caller)
        if not fields.errors and stage == "do":
            async with loop.database.transaction() as tx:
                outcome = await do_in_bulk(
                    tx, versions, act, by=caller, person_keys=loop.person_keys, now=now
                )
            if outcome.done:
                more = {"bulk": outcome.id, "skipped": str(len(outcome.skipped) or "")}
                return RedirectResponse(_back(fields.values).href(**more), 303)
        elif not fields.errors:
            outcome = await try_in_bulk(
                loop.database,
                versions,
                act,
                by=caller,
                person_keys=loop.person_keys,
                now=now,
            )
    async with loop.database.reading() as view:
        seen = await list_tasks(
            view,
            TaskFilter(ids=frozenset(versions)),
            caller=caller,
            person_keys=loop.person_keys,
            now=now,
            after=None,
            most=_MOST,
            whole=False,
        )
        owners = await _owners(view)
    await note_looks(loop.database, seen, by=caller, via="list", now=now)
    form = fields.form(
        "bulk",
        refusal="" if versions else reader.gettext("Choose at least one task in the queue."),
    )
    context = _context(name, form, seen, versions, outcome, owners=owners, reader=reader)
    status = 422 if fields.errors or not versions else 200
    return pages.render(request, "bulk.html", context, status=status)


@router.post("/queue/undo")
async def undo(request: Request, caller: _Writer) -> Response:
    """Take back what this person just did to several tasks."""
    loop = resources(request, Loop)
    values = await read_form(request)
    reader = reader_of(request)
    async with loop.database.transaction() as tx:
        await take_back(
            tx,
            values.get("bulk", ""),
            by=caller,
            reason=reader.gettext("Taken back"),
            person_keys=loop.person_keys,
            now=loop.clock.now(),
        )
    return RedirectResponse(_back(values).href(done="undo"), 303)


def _versions(values: Mapping[str, str]) -> dict[str, int]:
    """Return the chosen tasks, each as which version it was seen."""
    return {
        name.removeprefix(_PICKED): version
        for name, value in values.items()
        if name.startswith(_PICKED) and (version := whole_number(value, digits=8)) is not None
    }


def _back(values: Mapping[str, str]) -> Asked:
    """Return the queue that the tasks were chosen in; nothing else can be led back to."""
    return Asked.read(values.get("back", "").partition("?")[2])


async def _act(name: str, fields: Fields, view: Reading, caller: Principal) -> InBulk:
    """Return the act; only of use while ``fields`` has no errors."""
    match name:
        case "assign":
            owner = fields.choice("owner", [one.value for one in await _owners(view)])
            return acts.Assign(
                owner=await resolve_owner(view, owner or "me", by=caller),
                reason=fields.text("reason", most=_LONG),
            )
        case "snooze":
            until = fields.moment("until", required=True)
            return acts.Snooze(until=cast("Any", until))
        case "wait":
            return acts.Wait(
                waiting_for=cast("Any", fields.choice("for", list(WAITING_FOR))),
                until=fields.moment("until"),
                note=fields.optional("note", most=_LONG),
            )
        case _:
            return acts.Close(
                reason=cast("Any", fields.choice("reason", list(CLOSE_REASONS))),
                note=fields.text("note", most=_LONG),
            )


async def _owners(view: Reading) -> Sequence[Option]:
    staff = [Option(value=person.id, label=person.name) for person in await list_staff(view)]
    teams = [Option(value=team.id, label=team.name) for team in await list_teams(view)]
    return [
        *sorted(staff, key=lambda option: option.label.casefold()),
        *sorted(teams, key=lambda option: option.label.casefold()),
    ]


def _context(
    name: str,
    form: Form,
    seen: Sequence[TaskView],
    versions: Mapping[str, int],
    outcome: BulkOutcome | None,
    *,
    owners: Sequence[Option],
    reader: Reader,
) -> BulkPage:
    why = {one.task_id: one.why for one in outcome.skipped} if outcome else {}
    return BulkPage(
        title=reader.gettext(TITLES[name]),
        act=name,
        form=form,
        chosen=[
            Chosen(
                id=each.task.id,
                version=versions[each.task.id],
                name=_name(each, reader),
                owner=each.owner.name,
                why=_why(name, why[each.task.id], reader) if each.task.id in why else "",
            )
            for each in seen
        ],
        previewed=outcome is not None,
        possible=len(outcome.done) if outcome else 0,
        owners=owners,
        waiting_for=options(WAITING_FOR, reader),
        reasons=options(CLOSE_REASONS, reader),
        back=_back(form.values).href(),
    )


def _name(seen: TaskView, reader: Reader) -> str:
    if seen.restricted:
        return reader.gettext("Task of %(owner)s", owner=seen.owner.name)
    if seen.erased:
        return reader.gettext("Erased customer")
    return customer_of(seen.personal).name or reader.gettext("Customer without a name")


def _why(name: str, refusal: Refused, reader: Reader) -> str:
    """Say in the reader's language why a task is left out."""
    match refusal:
        case Stale():
            return reader.gettext("Somebody has changed it meanwhile.")
        case Forbidden():
            return reader.gettext("It belongs to another team.")
        case Invalid():
            return reader.gettext("The time has to lie in the future.")
        case Conflict() if refusal.extra.get("missing") == ["promised"]:
            return reader.gettext("Something was promised to this customer.")
        case Conflict():
            return why_refused(name, refusal, reader)
        case _:
            return reader.gettext("It is not there any more.")
