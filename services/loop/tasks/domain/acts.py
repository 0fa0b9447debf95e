"""What may be done with a task, as values, and from which states.

``playbook.carry_out`` says what each act leads to.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import ClassVar, Literal

from services.loop.journey.domain import OwnerRef
from services.loop.tasks.domain.task import (
    ENDED,
    OPEN,
    WAITING,
    Asked,
    Benefit,
    CauseArea,
    CloseReason,
    ContactMode,
    ContactResult,
    HowItEnded,
    KnownBy,
    NotAsked,
    Step,
    TaskState,
    Verdict,
)


@dataclass(frozen=True, kw_only=True)
class Claim:
    """Take a task that a team holds; the first one wins."""

    NAME: ClassVar[str] = "claim"


@dataclass(frozen=True, kw_only=True)
class Assign:
    """Give a task to a person or a team."""

    NAME: ClassVar[str] = "assign"
    owner: OwnerRef
    reason: str = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class LogContact:
    """Record a try to reach the customer."""

    NAME: ClassVar[str] = "contacts"
    mode: ContactMode
    result: ContactResult
    note: str | None = field(default=None, repr=False)
    next_contact_at: datetime | None = None
    emotion_before: str | None = None
    emotion_after: str | None = None


@dataclass(frozen=True, kw_only=True)
class TakeStep:
    """Record a step of RESOLVED; the last one, document, is the resolution itself."""

    NAME: ClassVar[str] = "steps"
    step: Step
    note: str | None = field(default=None, repr=False)


@dataclass(frozen=True, kw_only=True)
class Agree:
    """Record what the customer asked for and what was agreed: the step verify."""

    NAME: ClassVar[str] = "agreement"
    agreed: str = field(repr=False)
    asked_for: str | None = field(default=None, repr=False)
    agreed_with: str | None = field(default=None, repr=False)
    at: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class PromiseAction:
    """Record something promised to the customer, with its own owner and due time."""

    NAME: ClassVar[str] = "actions"
    what: str = field(repr=False)
    owner: OwnerRef
    due_at: datetime


@dataclass(frozen=True, kw_only=True)
class FinishAction:
    """Record that a promised action has been carried out."""

    NAME: ClassVar[str] = "actions/done"
    n: int


@dataclass(frozen=True, kw_only=True)
class HandAction:
    """Give a promised action to somebody else, for whoever promised it leaves."""

    NAME: ClassVar[str] = "actions/handed"
    n: int
    owner: OwnerRef


@dataclass(frozen=True, kw_only=True)
class Wait:
    """Say that the next move is the customer's or another department's."""

    NAME: ClassVar[str] = "wait"
    waiting_for: Literal["customer", "internal"]
    until: datetime | None = None
    note: str | None = field(default=None, repr=False)


@dataclass(frozen=True, kw_only=True)
class Resume:
    """Go on after waiting."""

    NAME: ClassVar[str] = "resume"


@dataclass(frozen=True, kw_only=True)
class Snooze:
    """Put a task out of sight until then; its clock runs on."""

    NAME: ClassVar[str] = "snooze"
    until: datetime


@dataclass(frozen=True, kw_only=True)
class Grant:
    """Give the customer one of the scheme's remedies, or ask for leave to."""

    NAME: ClassVar[str] = "remedies"
    remedy: str
    amount: Decimal | None = None
    currency: str | None = None
    note: str | None = field(default=None, repr=False)


@dataclass(frozen=True, kw_only=True)
class Approve:
    """Allow a remedy that was asked for; without a number the one that waits."""

    NAME: ClassVar[str] = "approve"
    n: int | None = None
    note: str | None = field(default=None, repr=False)


@dataclass(frozen=True, kw_only=True)
class Decline:
    """Refuse a remedy that was asked for; without a number the one that waits."""

    NAME: ClassVar[str] = "decline"
    n: int | None = None
    reason: str | None = field(default=None, repr=False)


@dataclass(frozen=True, kw_only=True)
class AddNote:
    """Keep a note for colleagues."""

    NAME: ClassVar[str] = "notes"
    text: str = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class Resolve:
    """Document outcome and root cause: the step document, and the end of the work."""

    NAME: ClassVar[str] = "resolve"
    outcome: HowItEnded
    cause_area: CauseArea
    cause: str = field(repr=False)
    content: Verdict
    avoidable: Verdict
    lesson: str | None = field(default=None, repr=False)
    benefits: tuple[Benefit, ...] = ()
    content_known_by: KnownBy | None = None
    """Without it, what is known counts as said in the contact."""
    worth: Decimal | None = None
    currency: str | None = None
    asking: Asked | NotAsked | None = None
    """Whether the customer is asked; decided by the use case, which may read the customer."""


@dataclass(frozen=True, kw_only=True)
class Confirm:
    """Record that it is settled, as the customer says."""

    NAME: ClassVar[str] = "confirm"


@dataclass(frozen=True, kw_only=True)
class Close:
    """End a task without a resolution, for a stated reason."""

    NAME: ClassVar[str] = "close"
    reason: CloseReason
    note: str = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class Recognise:
    """Pass a customer's praise on to a colleague."""

    NAME: ClassVar[str] = "recognitions"
    owner: OwnerRef
    note: str | None = field(default=None, repr=False)


@dataclass(frozen=True, kw_only=True)
class ShareExample:
    """Let colleagues learn from an ended task, or no longer."""

    NAME: ClassVar[str] = "example"
    shared: bool = True


@dataclass(frozen=True, kw_only=True)
class Reopen:
    """Open an ended task again; its clock never stopped."""

    NAME: ClassVar[str] = "reopen"
    reason: str = field(repr=False)


Act = (
    Claim
    | Assign
    | LogContact
    | TakeStep
    | Agree
    | PromiseAction
    | FinishAction
    | HandAction
    | Wait
    | Resume
    | Snooze
    | Grant
    | Approve
    | Decline
    | AddNote
    | Resolve
    | Confirm
    | Close
    | Recognise
    | ShareExample
    | Reopen
)

ALLOWED_FROM: dict[str, frozenset[TaskState]] = {
    kind.NAME: OPEN
    for kind in (
        Claim,
        Assign,
        LogContact,
        TakeStep,
        Agree,
        PromiseAction,
        FinishAction,
        HandAction,
        Snooze,
        Grant,
        Approve,
        Decline,
        AddNote,
        Resolve,
        Close,
    )
} | {
    Wait.NAME: frozenset({TaskState.ASSIGNED, TaskState.IN_PROGRESS}),
    Resume.NAME: WAITING,
    Confirm.NAME: frozenset({TaskState.RESOLVED}),
    Reopen.NAME: ENDED,
    Recognise.NAME: OPEN | ENDED,
    ShareExample.NAME: ENDED,
}
"""The states from which each act is allowed."""
