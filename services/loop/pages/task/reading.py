"""A task as its page shows it: everything that one read of the database gives, in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from services.loop.journey import store as journey
from services.loop.journey.handlers import names_of
from services.loop.pages import labels
from services.loop.pages.forms import ACTS, missing_text
from services.loop.pages.labels import options, said
from services.loop.pages.shapes import Clock, Customer, Words, customer_now, mark_of, words_of
from services.loop.pages.task.page import (
    ActionLine,
    Choices,
    HistoryLine,
    Said,
    StepLine,
    TaskPage,
    ThemeRef,
)
from services.loop.pages.task.revision import change_in_short, revision_of
from services.loop.pages.task.support import support_of
from services.loop.responses.domain import Personal
from services.loop.responses.domain import Response as Answer
from services.loop.responses.store import find
from services.loop.tasks.domain.clocks import clocks_of
from services.loop.tasks.domain.facts import (
    Entry,
)
from services.loop.tasks.domain.task import (
    FollowUpTask,
    Step,
    StepDone,
    TaskState,
)
from services.loop.tasks.handlers import TaskView
from services.loop.themes.handlers import current_taxonomy
from shared.db.transaction import Reading
from shared.i18n import Reader, marked
from shared.identity.groups import list_teams
from shared.identity.people import list_staff
from shared.identity.principal import Principal, Scope
from shared.web.forms import Form, Option


async def read_page(
    view: Reading,
    seen: TaskView,
    reader: Reader,
    caller: Principal,
    *,
    now: datetime,
    form: Form | None,
    since: int | None,
) -> TaskPage:
    """Return what the page shows of a task.

    ``form`` is the form that was sent and not carried out; ``since`` is the version it was
    sent from, when somebody else was faster.
    """
    task = seen.task
    answer = await find(view, task.response_id)
    names = await journey.named(view)
    segments = await names_of(view, "segment", reader.catalogue)
    products = await names_of(view, "product", reader.catalogue)
    taxonomy = (await current_taxonomy(view)).taxonomy
    theme_names = {theme.id: theme.name_in(reader.catalogue) for theme in taxonomy.themes}
    customer = customer_now(seen.personal, erased=seen.erased, refused=seen.refused)
    choices = await _choices(view, reader)
    until = task.ended_at or now
    return TaskPage(
        id=task.id,
        version=task.version,
        title=_title(seen, customer, reader),
        now=now,
        mark=mark_of(task.metric, task.score),
        customer=customer,
        timeline=f"/customers/{task.person_ref}",
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
        segment=segments.get(task.segment or "", task.segment),
        product=products.get(task.product or "", task.product),
        answered_at=answer.answered_at if answer else None,
        transaction_id=seen.personal.transaction_id if seen.personal else None,
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
        due=Clock(at=task.due_at, now=min(task.paused_since or until, until)),
        waits=max(until - task.waiting_since, timedelta()),
        clocks=clocks_of(task, seen.scheme, now=now),
        paused_since=task.paused_since,
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
        revision=revision_of(seen, reader),
        history=[
            history_line(entry, seen, reader, since=since) for entry in reversed(seen.history)
        ],
        forms=_forms(form, caller),
        choices=choices,
        stale=since is not None,
        typed=_typed(form, reader) if since is not None else [],
        done="",
        advice=[],
        others=[],
        support=await support_of(
            view, seen, customer, answer, reader=reader, caller=caller, now=now
        ),
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
            why_not=_why_not(step, taken, reader) if task.is_open else "",
        )
        for step in Step
    ]


def _why_not(step: Step, taken: Mapping[Step, StepDone], reader: Reader) -> str:
    """Say what has to come before a step: what was agreed before it is carried out."""
    if step in taken:
        return ""
    if step is Step.VERIFY:
        return reader.gettext("by recording what was agreed")
    if step is Step.ELIMINATE and Step.VERIFY not in taken:
        return reader.gettext("after V: first record what was agreed")
    if step is Step.DOCUMENT:
        return (
            reader.gettext("by resolving")
            if Step.ELIMINATE in taken
            else reader.gettext("after E: first carry out what was agreed")
        )
    return ""


def _typed(form: Form | None, reader: Reader) -> Sequence[Said]:
    """Return what stands in a form that came too late, as far as it is text."""
    values = form.values if form else {}
    return [
        Said(label=said(_SAID, name, reader), text=text)
        for name, text in values.items()
        if text and name in _SAID
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
    if agreement is None:
        return []
    if seen.is_erased(agreement.entry):
        return [Said(label=reader.gettext("What was agreed"), text=reader.gettext("[erased]"))]
    return _said_in(seen.words_of(agreement.entry), reader)


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
            *(
                [
                    Said(
                        label=reader.gettext("How is it known?"),
                        text=said(labels.KNOWN_BY, done.content_known_by, reader),
                    )
                ]
                if done.content_known_by
                else []
            ),
            Said(
                label=reader.gettext("Was it avoidable?"),
                text=said(labels.VERDICTS, done.avoidable, reader),
            ),
            *(
                Said(
                    label=reader.gettext("What it was good for"),
                    text=said(labels.BENEFITS, benefit, reader),
                )
                for benefit in done.benefits
            ),
            *(
                [
                    Said(
                        label=reader.gettext("What it was worth"),
                        text=f"{reader.number(float(done.worth), 2)} {done.currency}",
                    )
                ]
                if done.worth is not None and done.currency is not None
                else []
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
    "comment": marked("What the customer wrote"),
    "note": marked("Note"),
    "text": marked("Note"),
    "reason": marked("Reason"),
    "asked_for": marked("What the customer asked for"),
    "agreed": marked("What was agreed"),
    "with": marked("Agreed with"),
    "what": marked("Action"),
    "root_cause": marked("Root cause"),
    "lesson": marked("Lesson to share"),
    "cause": marked("Root cause"),
    "agreed_with": marked("Agreed with"),
}


def _said_in(words: Mapping[str, str], reader: Reader) -> list[Said]:
    return [Said(label=said(_SAID, name, reader), text=text) for name, text in words.items()]


def history_line(
    entry: Entry, seen: TaskView, reader: Reader, *, since: int | None = None
) -> HistoryLine:
    """Return one thing that was done, in words; new if done after version ``since``."""
    return HistoryLine(
        at=entry.at,
        by=reader.gettext("Customer") if entry.by.kind == "customer" else entry.by.name,
        act=said(labels.ACTS, entry.act, reader),
        detail=" · ".join(_details(entry, seen, reader)),
        words=_said_in(entry.words, reader),
        erased=entry.erased,
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
    # Of a remedy what stands in the scheme, and the number.
    "remedy": {},
    "amount": {},
    "currency": {},
}


def _details(entry: Entry, seen: TaskView, reader: Reader) -> Sequence[str]:
    detail: Mapping[str, Any] = entry.detail
    if entry.act == "open":
        return [reader.gettext(seen.task.rule_name), *_because(detail, seen, reader)]
    if entry.act == "revise":
        return change_in_short(entry, seen.task, reader)
    if entry.act == "undeliverable":
        return _undelivered(detail, seen, reader)
    if entry.act == "erase":
        return [said(labels.ERASED_BECAUSE, detail.get("reason"), reader)]
    if entry.act in {"claim", "assign", "recognitions", "escalated"}:
        names = [seen.names[who] for who in entry.named if who in seen.names]
        return [reader.listed(names)] if names else []
    return [
        said(_SHOWN[name], value, reader) for name, value in detail.items() if name in _SHOWN
    ]


_BECAUSE: Final[Mapping[str, str]] = {
    "absent": marked("%(name)s is away"),
    "full": marked("%(name)s has as many tasks as the limit allows"),
    "gone": marked("%(name)s no longer works here"),
}


def _because(detail: Mapping[str, Any], seen: TaskView, reader: Reader) -> Sequence[str]:
    """Say why others than the one who was meant got the task."""
    steps = [str(step).partition(":") for step in detail.get("because") or ()]
    return [
        reader.gettext(_BECAUSE[why], name=seen.names.get(who, who))
        for why, _, who in steps
        if why in _BECAUSE
    ]


def _undelivered(detail: Mapping[str, Any], seen: TaskView, reader: Reader) -> Sequence[str]:
    """Return whom a mail did not reach, and who was told instead."""
    if detail.get("target") == seen.task.person_ref:
        return [reader.gettext("to the customer")]
    target = seen.names.get(str(detail.get("target")))
    told = [seen.names[who] for who in detail.get("told") or () if who in seen.names]
    return [
        *([reader.gettext("to %(name)s", name=target)] if target else []),
        reader.gettext("told instead: %(names)s", names=", ".join(told))
        if told
        else reader.gettext("nobody could be told instead"),
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
        known_by=options(labels.KNOWN_BY, reader),
        benefits=options(labels.BENEFITS, reader),
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
