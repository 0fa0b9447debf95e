"""What the values of the domain are called on pages; every text here is in the catalogues."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from services.loop.tasks.domain.task import Step, TaskState
from shared.i18n import Reader, marked
from shared.stats.categories import Category
from shared.web.forms import Option

STATES: Final[Mapping[str, str]] = {
    TaskState.ASSIGNED: marked("Not started"),
    TaskState.IN_PROGRESS: marked("In progress"),
    TaskState.WAITING_CUSTOMER: marked("Waiting for the customer"),
    TaskState.WAITING_INTERNAL: marked("Waiting for colleagues"),
    TaskState.RESOLVED: marked("Resolved"),
    TaskState.CONFIRMED: marked("Confirmed by the customer"),
    TaskState.CLOSED: marked("Closed"),
}

CATEGORIES: Final[Mapping[str, str]] = {
    Category.DETRACTOR: marked("Detractor"),
    Category.PASSIVE: marked("Passive"),
    Category.PROMOTER: marked("Promoter"),
    Category.DISSATISFIED: marked("Dissatisfied"),
    Category.NEUTRAL: marked("Neutral"),
    Category.SATISFIED: marked("Satisfied"),
}

MODES: Final[Mapping[str, str]] = {
    "phone": marked("Phone"),
    "email": marked("E-mail"),
    "in_person": marked("In person"),
    "message": marked("Message"),
}

RESULTS: Final[Mapping[str, str]] = {
    "reached": marked("Reached"),
    "no_answer": marked("No answer"),
    "left_message": marked("Left a message"),
    "wrong_contact": marked("Wrong contact details"),
}

FEELINGS: Final[Mapping[str, str]] = {
    "angry": marked("Angry"),
    "disappointed": marked("Disappointed"),
    "worried": marked("Worried"),
    "calm": marked("Calm"),
    "content": marked("Content"),
}

STEPS: Final[Mapping[str, str]] = {
    Step.RESPOND: marked("Respond to the person"),
    Step.EMPATHISE: marked("Empathise and apologise"),
    Step.SEEK: marked("Seek to solve, no excuses"),
    Step.OPEN: marked("Open to their own solution"),
    Step.LISTEN: marked("Listen, and note their words"),
    Step.VERIFY: marked("Verify what was agreed, and until when"),
    Step.ELIMINATE: marked("Eliminate the problem: carry it out"),
    Step.DOCUMENT: marked("Document outcome and cause"),
}

OUTCOMES: Final[Mapping[str, str]] = {
    "solved": marked("Solved"),
    "partly": marked("Partly solved"),
    "not_solved": marked("Not solved"),
}

CAUSES: Final[Mapping[str, str]] = {
    "people": marked("People"),
    "process": marked("Process"),
    "customer": marked("Customer"),
    "finance": marked("Finance"),
}

BENEFITS: Final[Mapping[str, str]] = {
    "kept_customer": marked("The customer stays"),
    "limited_damage": marked("Less bad talk"),
    "idea": marked("An idea for us"),
    "growth": marked("A chance to grow"),
}

VERDICTS: Final[Mapping[str, str]] = {
    "yes": marked("Yes"),
    "no": marked("No"),
    "unknown": marked("Unknown"),
}

KNOWN_BY: Final[Mapping[str, str]] = {
    "said": marked("The customer said so"),
    "survey": marked("The customer was asked later"),
    "none": marked("Nobody knows"),
}

CLOSE_REASONS: Final[Mapping[str, str]] = {
    "unreachable": marked("The customer cannot be reached"),
    "not_needed": marked("No follow-up is needed"),
    "customer_revised": marked("The customer changed the answer"),
    "duplicate": marked("Another task covers this"),
}

WAITING_FOR: Final[Mapping[str, str]] = {
    "customer": marked("The customer"),
    "internal": marked("Colleagues"),
}

MISSING: Final[Mapping[str, str]] = {
    "reached_contact": marked("a contact in which the customer was reached"),
    "verify": marked("what was agreed with the customer (V)"),
    "eliminate": marked("that the solution was carried out (E)"),
}

ACTS: Final[Mapping[str, str]] = {
    "open": marked("Opened"),
    "claim": marked("Claimed"),
    "assign": marked("Assigned"),
    "contacts": marked("Contact"),
    "steps": marked("Step taken"),
    "agreement": marked("Agreement"),
    "actions": marked("Action promised"),
    "actions/done": marked("Action carried out"),
    "actions/handed": marked("Action handed over"),
    "wait": marked("Waiting"),
    "resume": marked("Resumed"),
    "notes": marked("Note"),
    "snooze": marked("Put off"),
    "remedies": marked("Remedy"),
    "approve": marked("Remedy approved"),
    "decline": marked("Remedy declined"),
    "recognitions": marked("Praise passed on"),
    "example": marked("Good example"),
    "promise-due": marked("Reminder of a promise sent"),
    "resolve": marked("Resolved"),
    "confirm": marked("Confirmed"),
    "close": marked("Closed"),
    "reopen": marked("Reopened"),
    "revise": marked("The customer answered again"),
    "revise_other": marked("The customer changed a further answer"),
    "repeat": marked("The customer was unhappy again: one case, due sooner"),
    "due-soon": marked("Reminder sent"),
    "overdue": marked("Overdue"),
    "escalated": marked("Escalated"),
    "undeliverable": marked("Mail not delivered"),
    "erase": marked("Personal data erased"),
}

ERASED_BECAUSE: Final[Mapping[str, str]] = {
    "request": marked("because it was asked for"),
    "retention": marked("because their time was over"),
}

SHIPPED: Final = (marked("Unhappy customer"), marked("24 hours"))
"""The names of the rule and the scheme that come with the product."""

LANGUAGES: Final[Mapping[str, str]] = {
    "en": marked("English"),
    "de": marked("German"),
    "pl": marked("Polish"),
    "da": marked("Danish"),
    "cs": marked("Czech"),
    "ru": marked("Russian"),
}


def options(labels: Mapping[str, str], reader: Reader) -> tuple[Option, ...]:
    """Return what a field offers, in the reader's language and in the order of ``labels``."""
    return tuple(
        Option(value=str(value), label=reader.gettext(label)) for value, label in labels.items()
    )


def said(labels: Mapping[str, str], value: object, reader: Reader) -> str:
    """Return what a value is called; a value without a name stands for itself."""
    label = labels.get(str(value))
    return str(value) if label is None else reader.gettext(label)
