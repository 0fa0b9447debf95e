"""What is posted on a task's page becomes an act, or a form with what is wrong in it."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import Any, Final, cast

from services.loop.journey.domain import OwnerRef
from services.loop.pages.labels import (
    BENEFITS,
    CAUSES,
    CLOSE_REASONS,
    FEELINGS,
    KNOWN_BY,
    MISSING,
    MODES,
    OUTCOMES,
    RESULTS,
    VERDICTS,
    WAITING_FOR,
)
from services.loop.tasks.domain import acts
from services.loop.tasks.domain.acts import Act
from services.loop.tasks.domain.task import Step
from services.loop.tasks.handlers import resolve_owner
from shared.db.transaction import Reading
from shared.errors import Conflict, Invalid
from shared.i18n import Reader, marked
from shared.identity.principal import Principal
from shared.web.forms import Fields

ACTS: Final = frozenset(
    {
        "claim",
        "assign",
        "contacts",
        "steps",
        "agreement",
        "actions",
        "done",
        "wait",
        "resume",
        "notes",
        "snooze",
        "remedies",
        "approve",
        "decline",
        "resolve",
        "close",
        "reopen",
        "recognitions",
        "example",
    }
)
"""The forms of a task's page, by the last part of the address they post to."""

_LONG: Final = 5_000
_SHORT: Final = 200
_STEPS: Final = [step.value for step in Step if step is not Step.DOCUMENT]

_REFUSED: Final = {
    "claim": marked("Somebody has taken this task already."),
    "assign": marked("The task has this owner already."),
    "resolve": marked("Something is missing before this can be resolved: %(missing)s."),
    "close": marked(
        "More tries are needed: the scheme asks for them before a customer counts as"
        " unreachable."
    ),
    "steps": marked(
        "Eliminate comes after verify: first record what was agreed with the customer."
    ),
    "recognitions": marked("Praise is passed on to somebody else."),
    "done": marked("This action has been carried out already."),
    "approve": marked("Who asked for a remedy does not decide on it."),
    "decline": marked("Who asked for a remedy does not decide on it."),
}
_NOT_NOW: Final = marked("This is not possible in the state that the task is in now.")


async def act_of(
    name: str, fields: Fields, view: Reading, caller: Principal, reader: Reader
) -> Act:
    """Return the act that a form asks for; only of use while ``fields`` has no errors."""
    match name:
        case "claim":
            return acts.Claim()
        case "resume":
            return acts.Resume()
        case "assign":
            return acts.Assign(
                owner=await _owner(fields, view, caller, reader),
                reason=fields.text("reason", most=_LONG),
            )
        case "recognitions":
            return acts.Recognise(
                owner=await _owner(fields, view, caller, reader),
                note=fields.optional("note", most=_LONG),
            )
        case "actions":
            return acts.PromiseAction(
                what=fields.text("what", most=_LONG),
                owner=await _owner(fields, view, caller, reader),
                due_at=cast("Any", fields.moment("due_at", required=True)),
            )
        case _:
            return _plain_act_of(name, fields)


def _plain_act_of(name: str, fields: Fields) -> Act:  # noqa: C901, PLR0912 - one case a form
    """Return an act that names no owner; the casts hold since each value was chosen from."""
    act: Any
    match name:
        case "contacts":
            act = acts.LogContact(
                mode=cast("Any", fields.choice("mode", list(MODES))),
                result=cast("Any", fields.choice("result", list(RESULTS))),
                note=fields.optional("note", most=_LONG),
                next_contact_at=fields.moment("next_contact_at"),
                emotion_before=_feeling(fields, "emotion_before"),
                emotion_after=_feeling(fields, "emotion_after"),
            )
        case "steps":
            step = fields.choice("step", _STEPS)
            act = acts.TakeStep(step=Step(step) if step in _STEPS else Step.RESPOND)
        case "agreement":
            act = acts.Agree(
                asked_for=fields.optional("asked_for", most=_LONG),
                agreed=fields.text("agreed", most=_LONG),
                agreed_with=fields.optional("agreed_with", most=_SHORT),
            )
        case "done":
            act = acts.FinishAction(n=fields.whole("n") or 0)
        case "wait":
            act = acts.Wait(
                waiting_for=cast("Any", fields.choice("for", list(WAITING_FOR))),
                until=fields.moment("until"),
                note=fields.optional("note", most=_LONG),
            )
        case "snooze":
            act = acts.Snooze(until=cast("Any", fields.moment("until", required=True)))
        case "remedies":
            act = _remedy_of(fields)
        case "approve":
            act = acts.Approve(n=fields.whole("n"), note=fields.optional("note", most=_LONG))
        case "decline":
            act = acts.Decline(n=fields.whole("n"), reason=fields.optional("note", most=_LONG))
        case "example":
            act = acts.ShareExample(shared=fields.values.get("shared") == "yes")
        case "notes":
            act = acts.AddNote(text=fields.text("text", most=_LONG))
        case "resolve":
            worth, currency = _money_of(fields)
            known_by = fields.values.get("content_known_by")
            act = acts.Resolve(
                outcome=cast("Any", fields.choice("outcome", list(OUTCOMES))),
                cause_area=cast("Any", fields.choice("cause_area", list(CAUSES))),
                cause=fields.text("cause", most=_LONG),
                content=cast("Any", fields.choice("content", list(VERDICTS))),
                avoidable=cast("Any", fields.choice("avoidable", list(VERDICTS))),
                lesson=fields.optional("lesson", most=_LONG),
                benefits=cast("Any", tuple(b for b in BENEFITS if fields.values.get(b))),
                content_known_by=cast("Any", known_by if known_by in KNOWN_BY else None),
                worth=worth,
                currency=currency,
            )
        case "close":
            act = acts.Close(
                reason=cast("Any", fields.choice("reason", list(CLOSE_REASONS))),
                note=fields.text("note", most=_LONG),
            )
        case _:
            act = acts.Reopen(reason=fields.text("reason", most=_LONG))
    return cast("Act", act)


def _money_of(fields: Fields) -> tuple[Decimal | None, str | None]:
    amount = fields.optional("amount", most=20)
    number: Decimal | None = None
    if amount is not None:
        try:
            number = Decimal(amount.replace(",", "."))
        except InvalidOperation:
            number = None
        if number is None or not number.is_finite() or not 0 <= number < 10**12:
            fields.wrong("amount", marked("Please give an amount such as 12.50."))
    currency = fields.optional("currency", most=3)
    if (amount is None) != (currency is None):
        missing = "amount" if amount is None else "currency"
        fields.wrong(missing, marked("Please give amount and currency, or neither."))
    elif currency is not None and not (currency.isascii() and currency.isalpha()):
        fields.wrong("currency", marked("Please give three letters such as EUR."))
    return number, currency.upper() if currency else None


def _remedy_of(fields: Fields) -> acts.Grant:
    number, currency = _money_of(fields)
    return acts.Grant(
        remedy=fields.text("remedy", most=80),
        amount=number,
        currency=currency,
        note=fields.optional("note", most=_LONG),
    )


def why_refused(name: str, refusal: Conflict, reader: Reader) -> str:
    """Say in the reader's language why an act was not possible, and what would allow it."""
    allowed = refusal.extra.get("allowed_from")
    if isinstance(allowed, list) and refusal.extra.get("state") not in allowed:
        return reader.gettext(_NOT_NOW)
    if name not in _REFUSED:
        return refusal.detail
    missing = refusal.extra.get("missing")
    names = missing if isinstance(missing, list) else []
    return reader.gettext(
        _REFUSED[name], missing=reader.listed([missing_text(str(n), reader) for n in names])
    )


def missing_text(name: str, reader: Reader) -> str:
    """Say what one missing thing is."""
    if name.startswith("remedies/"):
        return reader.gettext("the decision on remedy %(n)s", n=name.removeprefix("remedies/"))
    if name.startswith("actions/"):
        return reader.gettext(
            "that action %(n)s was carried out", n=name.removeprefix("actions/")
        )
    return reader.gettext(MISSING.get(name, name))


def _feeling(fields: Fields, name: str) -> str | None:
    return fields.choice(name, list(FEELINGS)) if fields.values.get(name) else None


async def _owner(fields: Fields, view: Reading, caller: Principal, reader: Reader) -> OwnerRef:
    given = fields.text("owner", most=40)
    if given:
        try:
            return await resolve_owner(view, given, by=caller)
        except Invalid:
            fields.errors["owner"] = reader.gettext("Please choose one.")
    return OwnerRef(id=given, kind="person")
