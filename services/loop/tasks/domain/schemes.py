"""Recovery schemes: the promise behind a follow-up, answered as ten questions.

Who answers and in what time, by which mode, what is said, what staff may grant, what they need
to know, what it is meant to lead to, whether it is shared, and how one learns that the customer
was content and stayed. A task keeps the version of the scheme that it was opened with; its
deadlines are set once, and later changes of a scheme do not move them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta
from decimal import Decimal
from typing import Any, Literal

from services.loop.journey.domain.calendars import AROUND_THE_CLOCK, BusinessCalendar

Clock = Literal["team", "customer"]
"""Whose time a promise is measured in: the team's opening hours or the customer's wall time."""
Level = Literal["lead", "head"]
MODES = ("phone", "email", "in_person", "message")


@dataclass(frozen=True, kw_only=True)
class SchemeRef:
    """The scheme of one task, as it stood at the opening."""

    id: str
    name: str
    version: int
    attempts: int


@dataclass(frozen=True, kw_only=True)
class Escalation:
    """Who else learns of a task after this part of its time."""

    at: float
    to: Level


@dataclass(frozen=True, kw_only=True)
class Deadlines:
    """The promises of one task, and when somebody is told how they stand."""

    first_contact_due_at: datetime
    due_at: datetime
    reminders: tuple[datetime, ...]
    escalations: tuple[tuple[datetime, Level], ...]


@dataclass(frozen=True, kw_only=True)
class QuietHours:
    """When nobody calls, by the customer's clock; it may span midnight."""

    start: time
    end: time


@dataclass(frozen=True, kw_only=True)
class AttemptPolicy:
    """What has to be tried before a customer counts as unreachable."""

    number: int
    days: int = 1
    """On how many different days."""
    channels: int = 1
    """By how many different modes."""
    quiet_hours: QuietHours | None = None


@dataclass(frozen=True, kw_only=True)
class Money:
    """An amount in one currency."""

    amount: Decimal
    currency: str


@dataclass(frozen=True, kw_only=True)
class Remedy:
    """What may be offered: alone up to ``limit``, beyond it with approval.

    A remedy in kind without a limit may be granted alone; one in money without a limit always
    needs approval.
    """

    id: str
    name: str
    kind: Literal["money", "kind"]
    limit: Money | None = None


@dataclass(frozen=True, kw_only=True)
class AskCustomer:
    """When the customer is asked whether it is settled, and how long an answer is awaited."""

    after: timedelta = timedelta()
    silent_for: timedelta = timedelta(days=14)


@dataclass(frozen=True, kw_only=True)
class RecoveryScheme:
    """The answers to the ten questions; the times are our choice, for you to change."""

    id: str
    name: str
    version: int
    first_contact_within: timedelta
    resolve_within: timedelta
    attempt_policy: AttemptPolicy
    clock: Clock = "customer"
    """Which of the two clocks breaches; both are shown."""
    calendar: str | None = None
    hours: BusinessCalendar | None = field(default=None, repr=False)
    """The calendar itself, as it stands when the scheme is read."""
    reminders: tuple[float, ...] = (0.75,)
    """The parts of the time to the deadline after which the owner is reminded."""
    escalations: tuple[Escalation, ...] = ()
    pauses_in: frozenset[str] = frozenset()
    """The states in which the clock of the resolution stands still."""
    night: bool = False
    """Whether alerts may come when nobody is at work."""
    mode: str | None = None
    intended: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    """What one has to know before calling."""
    talk_guide: Mapping[str, str] = field(default_factory=dict)
    remedies: tuple[Remedy, ...] = ()
    ask_customer: AskCustomer = AskCustomer()
    saved_within: timedelta = timedelta(days=90)
    share_practice: bool = False

    @property
    def attempts(self) -> int:
        """Return how many tries without an answer it takes at least."""
        return self.attempt_policy.number

    @property
    def ref(self) -> SchemeRef:
        """Return what a task keeps of its scheme."""
        return SchemeRef(
            id=self.id, name=self.name, version=self.version, attempts=self.attempts
        )

    @property
    def breaching(self) -> BusinessCalendar:
        """Return the clock that its promises are measured by."""
        return self.clock_of(self.hours)

    def clock_of(self, calendar: BusinessCalendar | None) -> BusinessCalendar:
        """Return the clock that counts if ``calendar`` holds the opening hours."""
        if self.clock == "customer" or calendar is None:
            return AROUND_THE_CLOCK
        return calendar

    def deadlines(
        self, opened_at: datetime, calendar: BusinessCalendar | None = None
    ) -> Deadlines:
        """Return the promises of a task that opens now.

        ``calendar`` is tried instead of the scheme's own. First contact and resolution are
        counted apart: neither deadline moves the other.
        """
        clock = self.clock_of(calendar or self.hours)
        return Deadlines(
            first_contact_due_at=clock.add(opened_at, self.first_contact_within),
            due_at=clock.add(opened_at, self.resolve_within),
            reminders=tuple(
                clock.add(opened_at, self.resolve_within * share) for share in self.reminders
            ),
            escalations=tuple(
                (clock.add(opened_at, self.resolve_within * one.at), one.to)
                for one in self.escalations
            ),
        )


DEFAULT_SCHEME: Mapping[str, Any] = {
    "id": "standard",
    "name": "24 hours",
    "version": 1,
    "first_contact_within_hours": 8,
    "resolve_within_hours": 24,
    "remind_at": 0.75,
    "escalations": [{"at": 1.0, "to": "lead"}, {"at": 1.5, "to": "head"}],
    "attempts": 3,
    "mode": "phone",
    "talk_guide": {
        "en": (
            "Say your name, and that you have read what they wrote. Say sorry before you ask.\n"
            "Let them tell what happened, and what it meant for them.\n"
            "Ask what would make it good. Offer what you can do today.\n"
            "Repeat what you agreed on, and say when you will be in touch again."
        ),
        "de": (
            "Nennen Sie Ihren Namen und sagen Sie, dass Sie die Antwort gelesen haben."
            " Bitten Sie um Entschuldigung, bevor Sie fragen.\n"
            "Lassen Sie sich erzählen, was geschehen ist und was es ausgelöst hat.\n"
            "Fragen Sie, was es wiedergutmachen würde."
            " Bieten Sie an, was Sie heute tun können.\n"
            "Wiederholen Sie, was vereinbart ist, und sagen Sie, wann Sie sich wieder melden."
        ),
    },
}
"""The scheme that applies until somebody publishes another version of it."""


def full_document(document: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the fuller form of a document: every question has an answer in it."""
    attempts, ask = document["attempts"], document.get("ask_customer") or {}
    if isinstance(attempts, int):
        attempts = {"number": attempts}
    known = {name: document[name] for name in _PLAIN if name in document}
    return {
        **_UNSAID,
        **known,
        "reminders": list(_reminders(document)),
        "attempts": {"days": 1, "channels": 1, "quiet_hours": None, **attempts},
        "ask_customer": {"after_hours": 0, "silent_days": 14, **ask},
    }


_UNSAID: Mapping[str, Any] = {
    "clock": "customer",
    "calendar": None,
    "escalations": [],
    "pauses_in": [],
    "night": False,
    "mode": None,
    "intended": [],
    "needs": [],
    "talk_guide": {},
    "remedies": [],
    "saved_within_days": 90,
    "share_practice": False,
}
"""How a document is read that leaves these out."""

_PLAIN = (
    "id",
    "name",
    "version",
    "first_contact_within_hours",
    "resolve_within_hours",
    *_UNSAID,
)


def scheme_from(
    document: Mapping[str, Any], *, hours: BusinessCalendar | None = None
) -> RecoveryScheme:
    """Read a scheme from its JSON form, the earlier and shorter one included.

    ``hours`` is the calendar that the document names.
    """
    full = full_document(document)
    ask = full["ask_customer"]
    return RecoveryScheme(
        id=full["id"],
        name=full["name"],
        version=full["version"],
        first_contact_within=timedelta(hours=full["first_contact_within_hours"]),
        resolve_within=timedelta(hours=full["resolve_within_hours"]),
        attempt_policy=_attempt_policy(full["attempts"]),
        clock=full["clock"],
        calendar=full["calendar"],
        hours=hours,
        reminders=tuple(full["reminders"]),
        escalations=tuple(
            Escalation(at=one["at"], to=one["to"]) for one in full["escalations"]
        ),
        pauses_in=frozenset(full["pauses_in"]),
        night=full["night"],
        mode=full["mode"],
        intended=tuple(full["intended"]),
        needs=tuple(full["needs"]),
        talk_guide=full["talk_guide"],
        remedies=tuple(_remedy(one) for one in full["remedies"]),
        ask_customer=AskCustomer(
            after=timedelta(hours=ask["after_hours"]),
            silent_for=timedelta(days=ask["silent_days"]),
        ),
        saved_within=timedelta(days=full["saved_within_days"]),
        share_practice=full["share_practice"],
    )


def _reminders(document: Mapping[str, Any]) -> tuple[float, ...]:
    if "reminders" in document:
        return tuple(sorted(document["reminders"]))
    return (document["remind_at"],) if "remind_at" in document else ()


def _attempt_policy(attempts: Mapping[str, Any]) -> AttemptPolicy:
    quiet = attempts["quiet_hours"]
    return AttemptPolicy(
        number=attempts["number"],
        days=attempts["days"],
        channels=attempts["channels"],
        quiet_hours=(
            QuietHours(
                start=time.fromisoformat(quiet["from"]), end=time.fromisoformat(quiet["to"])
            )
            if quiet
            else None
        ),
    )


def _remedy(document: Mapping[str, Any]) -> Remedy:
    limit = document.get("limit")
    return Remedy(
        id=document["id"],
        name=document["name"],
        kind=document["kind"],
        limit=(
            Money(amount=Decimal(str(limit["amount"])), currency=limit["currency"])
            if limit
            else None
        ),
    )
