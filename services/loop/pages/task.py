"""One task: the customer's words, the clocks, and a form for everything one may do about it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from services.loop.journey import store as journey
from services.loop.pages import labels
from services.loop.pages.forms import ACTS, act_of, missing_text, why_refused
from services.loop.pages.labels import options, said
from services.loop.pages.shapes import (
    Clock,
    Customer,
    Mark,
    Words,
    customer_of,
    mark_of,
    words_of,
)
from services.loop.pages.site import done_of, pages
from services.loop.resources import Loop
from services.loop.responses.domain import Personal
from services.loop.responses.domain import Response as Answer
from services.loop.responses.store import find
from services.loop.tasks.domain.task import Entry, FollowUpTask, Step, TaskState
from services.loop.tasks.handlers import TaskView, act_on, read_task
from services.loop.themes.handlers import current_taxonomy
from shared.db.transaction import Reading
from shared.errors import Conflict, NotFound, Stale
from shared.i18n import Reader, marked
from shared.identity.people import list_staff, list_teams
from shared.identity.principal import Principal, Scope
from shared.web.access import resources
from shared.web.auth import requires_page
from shared.web.forms import Fields, Form, Option, read_form
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
    "resolve": marked("The task is resolved."),
    "close": marked("The task is closed."),
    "reopen": marked("The task is open again."),
}


@dataclass(frozen=True, kw_only=True)
class ThemeRef:
    """A theme of this response; ``n`` marks its evidence in the words."""

    n: int
    id: str
    name: str
    has_evidence: bool


@dataclass(frozen=True, kw_only=True)
class StepLine:
    """A step of RESOLVED and whether it was taken."""

    value: str
    letter: str
    name: str
    at: datetime | None
    by: str
    can_take: bool


@dataclass(frozen=True, kw_only=True)
class ActionLine:
    """Something promised to the customer."""

    n: int
    what: str = field(repr=False)
    owner: str
    clock: Clock
    finished_at: datetime | None


@dataclass(frozen=True, kw_only=True)
class Said:
    """One piece of text in the history, with what it answers."""

    label: str
    text: str = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class HistoryLine:
    """One thing that was done."""

    at: datetime
    by: str
    act: str
    detail: str
    words: Sequence[Said] = field(default=(), repr=False)
    is_new: bool = False
    """Whether it was done after the page that a form was sent from."""


@dataclass(frozen=True, kw_only=True)
class Choices:
    """What the page's forms offer."""

    modes: Sequence[Option]
    results: Sequence[Option]
    feelings: Sequence[Option]
    outcomes: Sequence[Option]
    causes: Sequence[Option]
    verdicts: Sequence[Option]
    reasons: Sequence[Option]
    waiting_for: Sequence[Option]
    owners: Sequence[Option]


@dataclass(frozen=True, kw_only=True)
class TaskPage:
    """What a task's page shows."""

    id: str
    version: int
    title: str
    now: datetime
    mark: Mark
    customer: Customer
    restricted: bool
    words: Words = field(repr=False)
    themes: Sequence[ThemeRef]
    touchpoint: str | None
    segment: str | None
    product: str | None
    answered_at: datetime | None
    transaction_id: str | None
    language: str | None
    attributes: Sequence[tuple[str, str]] = field(repr=False)
    unknown: Sequence[str]
    """What we do not know of the customer and would like to."""
    owner: str
    unclaimed: bool
    is_mine: bool
    state: str
    is_open: bool
    is_waiting: bool
    waiting_until: datetime | None
    next_contact_at: datetime | None
    ended_at: datetime | None
    first_contact_at: datetime | None
    first_contact_late: bool
    first_contact: Clock
    due: Clock
    waits: timedelta
    tries: int
    tries_asked: int
    scheme: str
    rule: str
    steps: Sequence[StepLine]
    actions: Sequence[ActionLine]
    agreement: Sequence[Said] = field(repr=False)
    ending: Sequence[Said] = field(repr=False)
    missing: Sequence[str]
    history: Sequence[HistoryLine]
    forms: Mapping[str, Form] = field(repr=False)
    choices: Choices
    stale: bool
    done: str
    may_act: bool


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
        context = await _context(
            view, seen, reader, caller, now=loop.clock.now(), form=form, since=since
        )
    context = replace(context, done=done_of(request, DONE, reader) if status == 200 else "")
    return pages.render(request, "task.html", context, status=status)


async def _context(
    view: Reading,
    seen: TaskView,
    reader: Reader,
    caller: Principal,
    *,
    now: datetime,
    form: Form | None,
    since: int | None,
) -> TaskPage:
    task = seen.task
    answer = await find(view, task.response_id)
    names = await journey.named(view)
    taxonomy = (await current_taxonomy(view)).taxonomy
    theme_names = {theme.id: theme.name_in(reader.catalogue) for theme in taxonomy.themes}
    customer = replace(customer_of(seen.personal), erased=seen.erased)
    choices = await _choices(view, reader)
    until = task.ended_at or now
    return TaskPage(
        id=task.id,
        version=task.version,
        title=_title(seen, customer, reader),
        now=now,
        mark=mark_of(task.metric, task.score),
        customer=customer,
        restricted=seen.restricted,
        words=_words(seen, answer),
        themes=[
            ThemeRef(
                n=n,
                id=found.theme_id,
                name=theme_names.get(found.theme_id, found.theme_id),
                has_evidence=found.evidence is not None and not seen.restricted,
            )
            for n, found in enumerate(seen.themes, start=1)
        ],
        touchpoint=names.get(task.touchpoint or "", task.touchpoint),
        segment=task.segment,
        product=task.product,
        answered_at=answer.answered_at if answer else None,
        transaction_id=answer.transaction_id if answer else None,
        language=_language(customer, answer, reader),
        attributes=_attributes(seen.personal),
        unknown=[] if seen.restricted or seen.erased else _unknown(customer, task, reader),
        owner=seen.owner.name,
        unclaimed=not task.is_claimed,
        is_mine=task.owner.id == caller.id,
        state=said(labels.STATES, task.state, reader),
        is_open=task.is_open,
        is_waiting=task.state in {TaskState.WAITING_CUSTOMER, TaskState.WAITING_INTERNAL},
        waiting_until=task.waiting_until,
        next_contact_at=task.next_contact_at,
        ended_at=task.ended_at,
        first_contact_at=task.first_contact_at,
        first_contact_late=(
            task.first_contact_at is not None
            and task.first_contact_at > task.first_contact_due_at
        ),
        first_contact=Clock(at=task.first_contact_due_at, now=now),
        due=Clock(at=task.due_at, now=until),
        waits=max(until - task.waiting_since, timedelta()),
        tries=task.tries,
        tries_asked=task.scheme.attempts,
        scheme=reader.gettext(
            "%(name)s, version %(version)s",
            name=reader.gettext(task.scheme.name),
            version=task.scheme.version,
        ),
        rule=reader.gettext(task.rule_name),
        steps=_steps(task, reader),
        actions=_actions(seen, reader, now=now),
        agreement=_agreement(seen, reader),
        ending=_ending(seen, reader),
        missing=[missing_text(name, reader) for name in task.missing_to_resolve()],
        history=[
            _history_line(entry, seen, reader, since=since) for entry in reversed(seen.history)
        ],
        forms=_forms(form, caller),
        choices=choices,
        stale=since is not None,
        done="",
        may_act=caller.may(Scope.TASKS_WRITE) and not seen.restricted,
    )


def _title(seen: TaskView, customer: Customer, reader: Reader) -> str:
    if seen.restricted:
        return reader.gettext("Task of %(owner)s", owner=seen.owner.name)
    if seen.erased:
        return reader.gettext("Erased customer")
    return customer.name or reader.gettext("Customer without a name")


def _words(seen: TaskView, answer: Answer | None) -> Words:
    if seen.restricted:
        return Words()
    if seen.erased:
        return Words(erased=True)
    evidence = [found.evidence for found in seen.themes]
    return words_of(seen.personal or Personal(), answer.language if answer else None, evidence)


def _language(customer: Customer, answer: Answer | None, reader: Reader) -> str | None:
    tag = customer.language or (answer.language if answer else None)
    return said(labels.LANGUAGES, tag.partition("-")[0].lower(), reader) if tag else None


def _attributes(personal: Personal | None) -> Sequence[tuple[str, str]]:
    found = personal.attributes if personal else {}
    return [(str(name), "" if value is None else str(value)) for name, value in found.items()]


def _unknown(customer: Customer, task: FollowUpTask, reader: Reader) -> Sequence[str]:
    known = {
        reader.gettext("name"): customer.name,
        reader.gettext("telephone"): customer.phone,
        reader.gettext("e-mail address"): customer.email,
        reader.gettext("segment"): task.segment,
        reader.gettext("product"): task.product,
    }
    return [label for label, value in known.items() if not value]


def _steps(task: FollowUpTask, reader: Reader) -> Sequence[StepLine]:
    taken = {done.step: done for done in task.record.steps}
    return [
        StepLine(
            value=step.value,
            letter=step.letter,
            name=said(labels.STEPS, step, reader),
            at=taken[step].at if step in taken else None,
            by=taken[step].by.name if step in taken else "",
            can_take=(
                task.is_open
                and step not in taken
                and step not in {Step.VERIFY, Step.DOCUMENT}
                and (step is not Step.ELIMINATE or Step.VERIFY in taken)
            ),
        )
        for step in Step
    ]


def _actions(seen: TaskView, reader: Reader, *, now: datetime) -> Sequence[ActionLine]:
    return [
        ActionLine(
            n=action.n,
            what=seen.words_of(action.entry).get("what")
            or reader.gettext("Action %(n)s", n=action.n),
            owner=seen.names.get(action.owner.id, action.owner.id),
            clock=Clock(at=action.due_at, now=now),
            finished_at=action.finished.at if action.finished else None,
        )
        for action in seen.task.record.actions
    ]


def _agreement(seen: TaskView, reader: Reader) -> Sequence[Said]:
    agreement = seen.task.record.agreement
    return _said_in(seen.words_of(agreement.entry), reader) if agreement else []


def _ending(seen: TaskView, reader: Reader) -> Sequence[Said]:
    record = seen.task.record
    if record.resolution is not None:
        done = record.resolution
        return [
            Said(
                label=reader.gettext("Outcome"),
                text=said(labels.OUTCOMES, done.outcome, reader),
            ),
            Said(
                label=reader.gettext("Area of the cause"),
                text=said(labels.CAUSES, done.cause_area, reader),
            ),
            *_said_in(seen.words_of(done.entry), reader),
            Said(
                label=reader.gettext("Is the customer content with the follow-up?"),
                text=said(labels.VERDICTS, done.content, reader),
            ),
            Said(
                label=reader.gettext("Was it avoidable?"),
                text=said(labels.VERDICTS, done.avoidable, reader),
            ),
        ]
    if record.closure is not None:
        return [
            Said(
                label=reader.gettext("Reason"),
                text=said(labels.CLOSE_REASONS, record.closure.reason, reader),
            ),
            *_said_in(seen.words_of(record.closure.entry), reader),
        ]
    return []


_SAID: Final[Mapping[str, str]] = {
    "note": marked("Note"),
    "text": marked("Note"),
    "reason": marked("Reason"),
    "asked_for": marked("What the customer asked for"),
    "agreed": marked("What was agreed"),
    "with": marked("Agreed with"),
    "what": marked("Action"),
    "root_cause": marked("Root cause"),
    "lesson": marked("Lesson to share"),
}


def _said_in(words: Mapping[str, str], reader: Reader) -> list[Said]:
    return [Said(label=said(_SAID, name, reader), text=text) for name, text in words.items()]


def _history_line(
    entry: Entry, seen: TaskView, reader: Reader, *, since: int | None
) -> HistoryLine:
    return HistoryLine(
        at=entry.at,
        by=entry.by.name,
        act=said(labels.ACTS, entry.act, reader),
        detail=" · ".join(_details(entry, seen, reader)),
        words=_said_in(entry.words, reader),
        is_new=since is not None and entry.version > since,
    )


_SHOWN: Final[Mapping[str, Mapping[str, str]]] = {
    "mode": labels.MODES,
    "result": labels.RESULTS,
    "step": labels.STEPS,
    "outcome": labels.OUTCOMES,
    "root_cause_area": labels.CAUSES,
    "for": labels.WAITING_FOR,
    "reason": labels.CLOSE_REASONS,
    "emotion_before": labels.FEELINGS,
    "emotion_after": labels.FEELINGS,
}


def _details(entry: Entry, seen: TaskView, reader: Reader) -> Sequence[str]:
    detail: Mapping[str, Any] = entry.detail
    if entry.act == "open":
        return [reader.gettext(seen.task.rule_name)]
    if entry.act in {"claim", "assign"}:
        name = seen.names.get(str(detail.get("to")))
        return [name] if name else []
    return [
        said(_SHOWN[name], value, reader) for name, value in detail.items() if name in _SHOWN
    ]


async def _choices(view: Reading, reader: Reader) -> Choices:
    teams = [Option(value=team.id, label=team.name) for team in await list_teams(view)]
    staff = [Option(value=person.id, label=person.name) for person in await list_staff(view)]
    return Choices(
        modes=options(labels.MODES, reader),
        results=options(labels.RESULTS, reader),
        feelings=options(labels.FEELINGS, reader),
        outcomes=options(labels.OUTCOMES, reader),
        causes=options(labels.CAUSES, reader),
        verdicts=options(labels.VERDICTS, reader),
        reasons=options(labels.CLOSE_REASONS, reader),
        waiting_for=options(labels.WAITING_FOR, reader),
        owners=[
            *sorted(staff, key=lambda option: option.label.casefold()),
            *sorted(teams, key=lambda option: option.label.casefold()),
        ],
    )


def _forms(sent: Form | None, caller: Principal) -> Mapping[str, Form]:
    """Return every form of the page: the one that was sent as it was, the others fresh."""
    forms = {name: Form(name=name) for name in ACTS}
    forms["contacts"] = Form(name="contacts", values={"mode": "phone"})
    forms["actions"] = Form(name="actions", values={"owner": caller.id})
    if sent is not None:
        forms[sent.name] = sent
    return forms
