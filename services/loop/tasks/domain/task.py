"""The follow-up task: the promise to contact one customer, and the record of keeping it.

It holds no customer's and no colleague's words: those stand in the entries of its history,
sealed, and the records here point to their entry by its version.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Literal

from services.loop.journey.domain import OwnerRef
from services.loop.tasks.domain.schemes import SchemeRef
from shared.consent import WhyNot
from shared.stats.categories import Metric

ContactMode = Literal["phone", "email", "in_person", "message"]
ContactResult = Literal["reached", "no_answer", "left_message", "wrong_contact"]
HowItEnded = Literal["solved", "partly", "not_solved"]
CauseArea = Literal["people", "process", "customer", "finance"]
Verdict = Literal["yes", "no", "unknown"]
KnownBy = Literal["said", "survey", "none"]
"""How it is known whether a customer is content: said so in the contact, or asked later."""
CloseReason = Literal["unreachable", "not_needed", "customer_revised", "duplicate"]
Benefit = Literal["kept_customer", "limited_damage", "idea", "growth"]
"""What following up was good for: a customer who stays, fewer bad words, an idea, a chance."""
RemedyState = Literal["granted", "asked", "approved", "declined"]


class TaskState(StrEnum):
    """Where a task stands; overdue and the like are flags, not states."""

    ASSIGNED = "assigned"
    IN_PROGRESS = "in_progress"
    WAITING_CUSTOMER = "waiting_customer"
    WAITING_INTERNAL = "waiting_internal"
    RESOLVED = "resolved"
    CONFIRMED = "confirmed"
    CLOSED = "closed"


WAITING = frozenset({TaskState.WAITING_CUSTOMER, TaskState.WAITING_INTERNAL})
OPEN = WAITING | {TaskState.ASSIGNED, TaskState.IN_PROGRESS}
ENDED = frozenset(TaskState) - OPEN


class Step(StrEnum):
    """RESOLVED: the first five in any order, then V, E and D in theirs."""

    RESPOND = "respond"
    EMPATHISE = "empathise"
    SEEK = "seek"
    OPEN = "open"
    LISTEN = "listen"
    VERIFY = "verify"
    ELIMINATE = "eliminate"
    DOCUMENT = "document"

    @property
    def letter(self) -> str:
        """Return the step's letter in RESOLVED."""
        return self.value[0].upper()


@dataclass(frozen=True, kw_only=True)
class Actor:
    """Who did something: staff, a machine under its key's name, the program, the customer."""

    id: str
    name: str
    kind: Literal["staff", "key", "system", "customer"]


SYSTEM = Actor(id="system", name="Closed Loop", kind="system")
CUSTOMER = Actor(id="customer", name="Customer", kind="customer")


@dataclass(frozen=True, kw_only=True)
class Done:
    """That something was done: by whom, when, and in which entry of the history."""

    entry: int
    at: datetime
    by: Actor


@dataclass(frozen=True, kw_only=True)
class ContactAttempt(Done):
    """One try to reach the customer, successful or not."""

    mode: ContactMode
    result: ContactResult
    next_contact_at: datetime | None = None
    emotion_before: str | None = None
    emotion_after: str | None = None


@dataclass(frozen=True, kw_only=True)
class StepDone(Done):
    """One step of RESOLVED was taken."""

    step: Step


@dataclass(frozen=True, kw_only=True)
class Agreement(Done):
    """Customer and staff agreed on a solution at ``agreed_at``."""

    agreed_at: datetime


@dataclass(frozen=True, kw_only=True)
class AgreedAction(Done):
    """Something promised to the customer, with an owner and a due time of its own."""

    n: int
    round: int
    owner: OwnerRef
    due_at: datetime
    finished: Done | None = None


@dataclass(frozen=True, kw_only=True)
class GrantedRemedy(Done):
    """Something given to make good: granted alone, or asked for and then decided.

    Of money ``amount`` is the number as text, so that no cent is lost.
    """

    n: int
    remedy: str
    name: str
    state: RemedyState
    amount: str | None = None
    currency: str | None = None
    decided: Done | None = None


@dataclass(frozen=True, kw_only=True)
class Asked:
    """The customer is asked at this time whether it is settled, by a link good until then."""

    at: datetime
    until: datetime
    language: str | None


@dataclass(frozen=True, kw_only=True)
class NotAsked:
    """Nobody may, or can, ask the customer whether it is settled."""

    why: WhyNot


@dataclass(frozen=True, kw_only=True)
class Resolution(Done):
    """How it ended, as staff see it."""

    outcome: HowItEnded
    cause_area: CauseArea
    content: Verdict
    avoidable: Verdict
    within_deadline: bool
    asking: Asked | NotAsked | None = None
    saved_until: datetime | None = None
    """Until when a later answer decides whether the customer was saved."""
    benefits: tuple[Benefit, ...] = ()
    content_known_by: KnownBy | None = None
    """None where it ended before anybody was asked for it."""
    worth: str | None = None
    """What it was worth in money: the number as text, so that no cent is lost."""
    currency: str | None = None


@dataclass(frozen=True, kw_only=True)
class Closure(Done):
    """The task ended without a resolution."""

    reason: CloseReason


@dataclass(frozen=True, kw_only=True)
class Recognition(Done):
    """A customer's praise was passed on to a colleague."""

    to: OwnerRef


@dataclass(frozen=True, kw_only=True)
class Record:
    """What has been done so far; ``round`` counts up when a task is reopened."""

    round: int = 1
    attempts: tuple[ContactAttempt, ...] = ()
    steps: tuple[StepDone, ...] = ()
    agreement: Agreement | None = None
    actions: tuple[AgreedAction, ...] = ()
    remedies: tuple[GrantedRemedy, ...] = ()
    resolution: Resolution | None = None
    confirmation: Done | None = None
    """That it is settled was said, by the customer or for the customer."""
    closure: Closure | None = None
    denials: tuple[Done, ...] = ()
    """Every time the customer said that it is not settled."""
    recognitions: tuple[Recognition, ...] = ()
    example: Done | None = None
    """That colleagues may learn from it, without the customer in it."""


@dataclass(frozen=True, kw_only=True)
class FollowUpTask:
    """The promise to contact one customer: always with an owner and two deadlines."""

    id: str
    version: int
    response_id: str
    response_revision: int
    person_ref: str
    state: TaskState
    owner: OwnerRef
    opened_at: datetime
    first_contact_due_at: datetime
    due_at: datetime
    waiting_since: datetime
    """Since when the customer has waited; the customer's clock, the deadlines are ours."""
    rule: str
    rule_name: str
    scheme: SchemeRef
    metric: Metric
    score: int | None
    touchpoint: str | None
    segment: str | None
    product: str | None
    sealed_person: str | None = field(repr=False)
    import_id: str | None = None
    first_contact_at: datetime | None = None
    next_contact_at: datetime | None = None
    waiting_until: datetime | None = None
    snoozed_until: datetime | None = None
    """Until when its owner has put it out of sight; its clock runs on."""
    paused_since: datetime | None = None
    """Since when the clock of the resolution stands still; ``due_at`` is then as if it ran."""
    ended_at: datetime | None = None
    repeat: bool = False
    """Whether this customer was unhappy more than once within a short time."""
    other_responses: tuple[str, ...] = ()
    """Further answers of the customer that belong to this case."""
    record: Record = Record()

    @property
    def is_open(self) -> bool:
        """Tell whether somebody still has to do something."""
        return self.state in OPEN

    @property
    def is_claimed(self) -> bool:
        """Tell whether one person, and not a team, keeps the promise."""
        return self.owner.kind == "person"

    @property
    def next_due_at(self) -> datetime:
        """Return which promise breaks next: the first contact, then the resolution."""
        if self.first_contact_at is None:
            return min(self.first_contact_due_at, self.due_at)
        return self.due_at

    def is_overdue(self, now: datetime) -> bool:
        """Tell whether the promise to resolve is broken; while it is paused it cannot break."""
        return self.is_open and (self.paused_since or now) > self.due_at

    def is_first_contact_late(self, now: datetime) -> bool:
        """Tell whether nobody has tried to reach the customer in time."""
        return (
            self.is_open and self.first_contact_at is None and (now > self.first_contact_due_at)
        )

    def is_snoozed(self, now: datetime) -> bool:
        """Tell whether its owner wants to see it later."""
        return self.is_open and self.snoozed_until is not None and now < self.snoozed_until

    @property
    def owes(self) -> bool:
        """Tell whether something that was promised to the customer has yet to happen."""
        record = self.record
        return (
            self.next_contact_at is not None
            or any(action.finished is None for action in record.actions)
            or any(each.state in {"granted", "asked", "approved"} for each in record.remedies)
            or (record.agreement is not None and not self.has_step(Step.ELIMINATE))
        )

    @property
    def is_closed_as_revised(self) -> bool:
        """Tell whether the program, and nobody of staff, closed this: the answer changed."""
        closure = self.record.closure
        return (
            closure is not None
            and closure.reason == "customer_revised"
            and closure.by == SYSTEM
        )

    @property
    def is_confirmed_by_customer(self) -> bool:
        """Tell whether the customer's own yes is on record: staff's word is not enough."""
        confirmation = self.record.confirmation
        return confirmation is not None and confirmation.by.kind != "staff"

    @property
    def reached_at(self) -> datetime | None:
        """Return when the customer was reached for the first time."""
        reached = (each.at for each in self.record.attempts if each.result == "reached")
        return min(reached, default=None)

    def has_step(self, step: Step) -> bool:
        """Tell whether a step of RESOLVED was taken."""
        return any(done.step is step for done in self.record.steps)

    @property
    def letters(self) -> str:
        """Return the letters of the steps taken, in the order of RESOLVED."""
        taken = {done.step for done in self.record.steps}
        return "".join(step.letter if step in taken else "." for step in Step)

    @property
    def tries(self) -> int:
        """Return how often staff tried to reach the customer."""
        return len(self.record.attempts)

    @property
    def failed_tries(self) -> int:
        """Return how many tries did not reach the customer."""
        return sum(attempt.result != "reached" for attempt in self.record.attempts)

    def promises_of(self, staff_id: str) -> tuple[int, ...]:
        """Return the numbers of the actions that somebody has yet to carry out."""
        return tuple(
            action.n
            for action in self.record.actions
            if action.owner.id == staff_id and action.finished is None
        )

    def missing_to_resolve(self) -> tuple[str, ...]:
        """Name what has to be recorded before this task can be resolved."""
        record = self.record
        agreed = [action for action in record.actions if action.round == record.round]
        waiting = [action for action in record.actions if action.finished is None]
        missing = []
        if not any(attempt.result == "reached" for attempt in record.attempts):
            missing.append("reached_contact")
        if not self.has_step(Step.VERIFY):
            missing.append("verify")
        if not (self.has_step(Step.ELIMINATE) or (agreed and not waiting)):
            missing.append("eliminate")
        missing += [f"actions/{action.n}" for action in waiting]
        missing += [f"remedies/{each.n}" for each in record.remedies if each.state == "asked"]
        return tuple(missing)
