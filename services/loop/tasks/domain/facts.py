"""What became of an act: its line of history, and the fact that others are told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from services.loop.journey.domain import OwnerRef
from services.loop.tasks.domain.task import (
    Actor,
    AgreedAction,
    Closure,
    ContactAttempt,
    Done,
    FollowUpTask,
    GrantedRemedy,
    Recognition,
    Resolution,
    TaskState,
)


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One line of a task's history: what was done, and what was said (sealed when kept)."""

    version: int
    act: str
    at: datetime
    by: Actor
    detail: Mapping[str, object] = field(default_factory=dict)
    words: Mapping[str, str] = field(default_factory=dict, repr=False)
    erased: bool = False
    """Whether something was said that nobody can read any more."""

    @property
    def named(self) -> Sequence[str]:
        """Return the ids of the persons and teams that this line is about."""
        told = self.detail.get("told")
        ids = [self.detail.get("to"), self.detail.get("target")]
        ids += told if isinstance(told, list) else []
        because = self.detail.get("because")
        if isinstance(because, list):
            ids += [str(step).partition(":")[2] for step in because]
        return [each for each in ids if isinstance(each, str)]


@dataclass(frozen=True, kw_only=True)
class Assigned:
    """Somebody else owns the task now."""

    former_owner: OwnerRef


@dataclass(frozen=True, kw_only=True)
class Contacted:
    """Staff tried to reach the customer."""

    attempt: ContactAttempt
    first: bool


@dataclass(frozen=True, kw_only=True)
class Recognised:
    """A customer praised a colleague, who is to hear it."""

    recognition: Recognition


@dataclass(frozen=True, kw_only=True)
class Promised:
    """Something was promised to the customer: an action, with a due time of its own."""

    action: AgreedAction


@dataclass(frozen=True, kw_only=True)
class ApprovalAsked:
    """A remedy beyond what the owner may grant alone waits for somebody's yes."""

    remedy: GrantedRemedy


@dataclass(frozen=True, kw_only=True)
class Resolved:
    """Staff documented outcome and cause."""

    resolution: Resolution


@dataclass(frozen=True, kw_only=True)
class Confirmed:
    """It is settled, the customer says."""

    confirmation: Done


@dataclass(frozen=True, kw_only=True)
class Closed:
    """The task ended without a resolution."""

    closure: Closure


@dataclass(frozen=True, kw_only=True)
class Reopened:
    """A task that had ended is open again."""

    former_state: TaskState
    by: Actor


Fact = (
    Assigned
    | Contacted
    | Promised
    | ApprovalAsked
    | Recognised
    | Resolved
    | Confirmed
    | Closed
    | Reopened
)


@dataclass(frozen=True, kw_only=True)
class Acted:
    """What an act leads to: the task after it, its line of history, the fact to announce."""

    task: FollowUpTask
    entry: Entry
    fact: Fact | None = None
