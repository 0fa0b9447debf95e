"""What helps whoever works on a task: talk guide, remedies, advice, and what came later."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from services.loop.pages import labels
from services.loop.pages.labels import said
from services.loop.pages.shapes import Customer, mark_of
from services.loop.responses.domain import Response as Answer
from services.loop.responses.store import first_rated_after
from services.loop.tasks.domain.advice import Advice
from services.loop.tasks.domain.attempts import attempts_left, is_quiet, own_zone_of, zone_of
from services.loop.tasks.domain.schemes import RecoveryScheme, Remedy
from services.loop.tasks.domain.task import Asked, FollowUpTask, NotAsked
from services.loop.tasks.handlers import TaskView
from services.loop.tasks.handlers.sight import LEADING
from services.loop.tasks.store import scheme_of
from shared.db.transaction import Reading
from shared.i18n import SOURCE, Reader, marked
from shared.identity.principal import Principal
from shared.web.forms import Option

ADVICE: Final = {
    Advice.POLICY_PHRASE: marked(
        "Your words talk of a rule. Customers want to hear what happens now: try it without"
        " policy, department or lack of staff."
    ),
    Advice.QUIET_HOURS: marked(
        "This was in the quiet hours of the customer. Please promise the next contact for"
        " another time of day."
    ),
}

_WHY_NOT: Final = {
    "no_consent": marked("The customer was not asked: there is no consent to a follow-up."),
    "do_not_contact": marked("The customer was not asked: they do not want to be contacted."),
    "no_address": marked("The customer was not asked: there is no usable e-mail address."),
    "erased": marked("The customer was not asked: nothing is known of them any more."),
}

_REMEDY_STATES: Final = {
    "granted": marked("granted"),
    "asked": marked("waits for approval"),
    "approved": marked("approved"),
    "declined": marked("declined"),
}


@dataclass(frozen=True, kw_only=True)
class RemedyLine:
    """Something given, or asked for, to make good."""

    n: int
    name: str
    value: str
    state: str
    waits: bool
    by: str


@dataclass(frozen=True, kw_only=True)
class Support:
    """Everything beside the facts that helps to work on a task."""

    guide: str = field(repr=False)
    guide_language: str
    intended: Sequence[str]
    mode: str
    offers: Sequence[str]
    """What may be offered, each with its limit."""
    remedies: Sequence[Option]
    given: Sequence[RemedyLine]
    may_decide: bool
    missing: Sequence[str]
    """What the scheme wants to be known before calling, and is not."""
    quiet: str
    """What time it is where the customer is, in quiet hours."""
    tries: Sequence[str]
    """What is missing before the customer counts as unreachable."""
    asked: str
    """Whether the customer is asked if it is settled, and what came of it."""
    before_after: str
    is_example: bool
    snoozed_until: datetime | None


async def support_of(
    view: Reading,
    seen: TaskView,
    customer: Customer,
    answer: Answer | None,
    *,
    reader: Reader,
    caller: Principal,
    now: datetime,
) -> Support:
    """Return what the task's scheme says to whoever works on it."""
    task = seen.task
    scheme = await scheme_of(view, task.scheme.id, task.scheme.version)
    guide, language = talk_guide(
        scheme, [customer.language, answer.language if answer else None, reader.language]
    )
    return Support(
        guide=guide,
        guide_language=language,
        intended=scheme.intended,
        mode=said(labels.MODES, scheme.mode, reader) if scheme.mode else "",
        offers=[_offer(remedy, reader) for remedy in scheme.remedies],
        remedies=[Option(value=each.id, label=each.name) for each in scheme.remedies],
        given=_given(task, reader),
        may_decide=caller.role in LEADING,
        missing=[] if seen.restricted or seen.erased else _missing(scheme, seen, customer),
        quiet=_quiet(seen, scheme, reader, now),
        tries=_tries(seen, scheme, reader),
        asked=_asked(task, reader),
        before_after=await _before_after(view, task, reader, now=now),
        is_example=task.record.example is not None,
        snoozed_until=task.snoozed_until if task.is_snoozed(now) else None,
    )


def talk_guide(scheme: RecoveryScheme, tags: Sequence[str | None]) -> tuple[str, str]:
    """Return the talk guide in the first of these languages that it has, and which it is."""
    guides = {name.lower(): text for name, text in scheme.talk_guide.items()}
    for tag in (*tags, SOURCE, next(iter(guides), None)):
        for name in ((tag or "").lower(), (tag or "").lower().partition("-")[0]):
            if name in guides:
                return guides[name], name
    return "", ""


def _offer(remedy: Remedy, reader: Reader) -> str:
    if remedy.limit is not None:
        return reader.gettext(
            "%(name)s up to %(amount)s %(currency)s",
            name=remedy.name,
            amount=reader.number(float(remedy.limit.amount), 2),
            currency=remedy.limit.currency,
        )
    if remedy.kind == "money":
        return reader.gettext("%(name)s, with approval", name=remedy.name)
    return remedy.name


def _given(task: FollowUpTask, reader: Reader) -> Sequence[RemedyLine]:
    return [
        RemedyLine(
            n=each.n,
            name=each.name,
            value=" ".join(part for part in (each.amount, each.currency) if part),
            state=said(_REMEDY_STATES, each.state, reader),
            waits=each.state == "asked",
            by=(each.decided or each).by.name,
        )
        for each in task.record.remedies
    ]


def _missing(scheme: RecoveryScheme, seen: TaskView, customer: Customer) -> Sequence[str]:
    """Name what the scheme needs to be known and nobody has sent."""
    attributes = seen.personal.attributes if seen.personal else {}
    known = {name.casefold() for name, value in attributes.items() if value not in {None, ""}}
    known |= {name for name in ("name", "email", "phone", "account") if getattr(customer, name)}
    known |= {name for name in ("segment", "product") if getattr(seen.task, name)}
    return [name for name in scheme.needs if name.casefold() not in known]


def _quiet(seen: TaskView, scheme: RecoveryScheme, reader: Reader, now: datetime) -> str:
    hours = scheme.attempt_policy.quiet_hours
    zone = zone_of(seen.personal, scheme)
    if hours is None or not is_quiet(now, hours, zone, mode="phone"):
        return ""
    there = Reader(language=reader.language, time_zone=zone.key)
    text = (
        marked("Where the customer is it is %(time)s (%(zone)s): quiet hours until %(end)s.")
        if own_zone_of(seen.personal)
        else marked(
            "It is not known where the customer is; by the clock of %(zone)s it is %(time)s:"
            " quiet hours until %(end)s."
        )
    )
    return reader.gettext(
        text, time=there.time(now), zone=zone.key, end=hours.end.strftime("%H:%M")
    )


def _tries(seen: TaskView, scheme: RecoveryScheme, reader: Reader) -> Sequence[str]:
    zone = zone_of(seen.personal, scheme)
    left = attempts_left(seen.task, scheme.attempt_policy, zone)
    texts = {
        "attempts": reader.ngettext(
            "%(n)s more try", "%(n)s more tries", left.get("attempts", 0)
        ),
        "days": reader.ngettext(
            "tries on %(n)s more day", "tries on %(n)s more days", left.get("days", 0)
        ),
        "channels": reader.ngettext(
            "tries by %(n)s more way", "tries by %(n)s more ways", left.get("channels", 0)
        ),
    }
    return [texts[name] for name in left]


def _asked(task: FollowUpTask, reader: Reader) -> str:
    record = task.record
    if task.is_confirmed_by_customer:
        return reader.gettext("The customer says that it is settled.")
    if record.confirmation is not None:
        return reader.gettext("Confirmed by staff; the customer has not said so.")
    asking = record.resolution.asking if record.resolution else None
    match asking:
        case Asked():
            return reader.gettext(
                "The customer is asked by mail whether it is settled; an answer is awaited"
                " until %(date)s.",
                date=reader.date(asking.until),
            )
        case NotAsked():
            return reader.gettext(_WHY_NOT[asking.why])
        case None:
            return ""


async def _before_after(
    view: Reading, task: FollowUpTask, reader: Reader, *, now: datetime
) -> str:
    """Say what the same customer said later, beside what they said before."""
    if task.ended_at is None:
        return ""
    later = await first_rated_after(
        view, person_ref=task.person_ref, besides=task.response_id, after=task.ended_at
    )
    until = task.record.resolution.saved_until if task.record.resolution else None
    if later is None:
        return _awaited(until, reader, now=now)
    before, after = mark_of(task.metric, task.score), mark_of(later.metric, later.score)
    said_before = (
        reader.gettext("no score")
        if before.score is None
        else _score(before.score, before.most, task.metric)
    )
    change = reader.gettext(
        "Before: %(before)s. After, on %(date)s: %(after)s.",
        before=said_before,
        after=_score(after.score or 0, after.most, later.metric),
        date=reader.date(later.answered_at),
    )
    if until is None or later.answered_at > until:
        return change
    verdict = (
        reader.gettext("The customer was not saved.")
        if later.is_low
        else reader.gettext("The customer was saved.")
    )
    return f"{change} {verdict}"


def _awaited(until: datetime | None, reader: Reader, *, now: datetime) -> str:
    """Say that nobody knows yet, or will not any more, whether the customer was saved."""
    if until is None:
        return reader.gettext("No later answer of this customer has come yet.")
    if now <= until:
        return reader.gettext(
            "Whether the customer was saved is pending: a later answer until %(date)s decides.",
            date=reader.date(until),
        )
    return reader.gettext("Nothing was heard in time: nobody knows whether it helped.")


def _score(score: int, most: int, metric: str) -> str:
    return f"{metric.upper()} {score}/{most}"
