"""What loop publishes: what became of a response, and the life of a follow-up task."""

from __future__ import annotations

from datetime import date
from typing import ClassVar, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field
from typing_extensions import override

from shared.events import topics
from shared.events.envelope import Event
from shared.events.ingest import Metric

TaskState = Literal[
    "assigned",
    "in_progress",
    "waiting_customer",
    "waiting_internal",
    "resolved",
    "confirmed",
    "closed",
]

ActorKind = Literal["staff", "key", "system", "customer"]
"""Who acted: staff, a system under its key, the program itself, or the customer."""


class OwnerRef(BaseModel):
    """Who keeps the promise; names are looked up in identity, not carried."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    id: str
    kind: Literal["person", "team"]


class ResponseHandled(Event):
    """Loop has taken a response in: one per response and revision, read by ingest."""

    TYPE: ClassVar[str] = "response.handled.v1"
    TOPIC: ClassVar[str] = topics.HANDLED
    OWNER: ClassVar[str] = "loop"

    response_id: str
    revision: int
    state: Literal["no_action", "task_open", "closed"]
    reason: str | None = Field(
        default=None,
        description="why nothing follows: no_rule, periodic, too_old, erased, test",
    )
    task_id: str | None = None
    themes: list[str] = Field(default_factory=list)

    @override
    def subject(self) -> str:
        """Return the response's id."""
        return self.response_id


class _Task(Event):
    """What every task event carries; key = ``person_ref``."""

    TOPIC: ClassVar[str] = topics.TASKS
    OWNER: ClassVar[str] = "loop"

    task_id: str
    response_id: str
    version: int
    state: TaskState
    owner: OwnerRef
    metric: Metric
    score: int | None
    touchpoint: str | None = None
    touchpoint_name: str | None = None
    segment: str | None = None
    product: str | None = None
    rule: str
    scheme: str
    opened_at: AwareDatetime
    first_contact_due_at: AwareDatetime
    due_at: AwareDatetime
    import_id: str | None = Field(
        default=None, description="the import that the response came with, if it came with one"
    )
    other_responses: list[str] = Field(
        default_factory=list,
        description="further answers of the customer that belong to this case",
    )
    person_ref: str
    person: str | None = Field(default=None, description="sealed: customer block and comment")

    @override
    def subject(self) -> str:
        """Return the task's id."""
        return self.task_id


class TaskOpened(_Task):
    """A response called for follow-up: an owner and two deadlines stand from now on."""

    TYPE: ClassVar[str] = "task.opened.v1"

    burst: str | None = Field(
        default=None,
        description="the same for tasks of many unhappy customers of one touchpoint at once",
    )


class TaskAssigned(_Task):
    """Somebody else owns the task now, by claim or by assignment."""

    TYPE: ClassVar[str] = "task.assigned.v1"

    former_owner: OwnerRef


class TaskContacted(_Task):
    """Staff tried to reach the customer; ``first`` stops the first-contact clock."""

    TYPE: ClassVar[str] = "task.contacted.v1"

    mode: Literal["phone", "email", "in_person", "message"]
    result: Literal["reached", "no_answer", "left_message", "wrong_contact"]
    contacted_at: AwareDatetime
    first: bool


class TaskDueSoon(_Task):
    """The promise is close to breaking; sent once, never for a task that is done."""

    TYPE: ClassVar[str] = "task.due-soon.v1"


class TaskOverdue(_Task):
    """The promise is broken; sent once, never for a task that is done."""

    TYPE: ClassVar[str] = "task.overdue.v1"


class TaskEscalated(_Task):
    """Others than the owner learn of a task; once a level, never for a task that is done."""

    TYPE: ClassVar[str] = "task.escalated.v1"

    level: Literal["lead", "head"]
    to: list[OwnerRef] = Field(description="who is told")


class TaskPromiseDue(_Task):
    """Something promised to the customer is to be done: an agreed action, or a further contact.

    Told to whoever does it: when an action is given to them, halfway, and when it is late.
    """

    TYPE: ClassVar[str] = "task.promise-due.v1"

    promise: Literal["action", "contact"]
    stage: Literal["given", "due_soon", "overdue"]
    n: int | None = Field(default=None, description="the number of the agreed action")
    promised_by: OwnerRef = Field(description="who does it")
    promise_due_at: AwareDatetime


class TaskApprovalAsked(_Task):
    """A remedy beyond what the owner may grant alone waits for somebody's yes."""

    TYPE: ClassVar[str] = "task.approval-asked.v1"

    n: int
    remedy: str = Field(description="its name in the scheme")
    amount: str | None = None
    currency: str | None = None
    asked_by: str | None = Field(default=None, description="the member of staff who asks")
    to: list[OwnerRef] = Field(description="who is told")


class TaskRecognised(_Task):
    """A customer praised somebody, and a colleague passes it on."""

    TYPE: ClassVar[str] = "task.recognised.v1"

    to: OwnerRef = Field(description="who is praised")
    recognised_by: str


class TaskResolved(_Task):
    """Staff documented outcome and cause; the customer has yet to confirm."""

    TYPE: ClassVar[str] = "task.resolved.v1"

    outcome: Literal["solved", "partly", "not_solved"]
    cause_area: Literal["people", "process", "customer", "finance"]
    content: Literal["yes", "no", "unknown"]
    avoidable: Literal["yes", "no", "unknown"]
    resolved_at: AwareDatetime
    within_deadline: bool
    resolution: int | None = Field(
        default=None, description="the version of the task at which it was resolved"
    )
    resolved_by: str | None = Field(
        default=None, description="the member of staff who resolved it"
    )
    ask_customer_at: AwareDatetime | None = Field(
        default=None,
        description="when the customer is asked whether it is settled; null where nobody may",
    )
    ask_customer_until: AwareDatetime | None = Field(
        default=None, description="until when the customer's answer is taken"
    )
    language: str | None = Field(default=None, description="the customer's language (BCP 47)")


class TaskConfirmed(_Task):
    """It is settled, the customer says: with ``by`` customer by the link in our mail."""

    TYPE: ClassVar[str] = "task.confirmed.v1"

    confirmed_at: AwareDatetime
    by: ActorKind


class TaskClosed(_Task):
    """The task ended without a resolution, for a stated reason."""

    TYPE: ClassVar[str] = "task.closed.v1"

    reason: Literal["unreachable", "not_needed", "customer_revised", "duplicate"]
    closed_at: AwareDatetime


class TaskReopened(_Task):
    """A task that had ended is open again; its deadlines are the ones it always had."""

    TYPE: ClassVar[str] = "task.reopened.v1"

    former_state: Literal["resolved", "confirmed", "closed"]
    reopened_at: AwareDatetime
    by: ActorKind = Field(
        default="staff",
        description="who opened it again; customer: they said that it is not settled",
    )


class TaskRemoved(Event):
    """The task of sample data is taken away; key = ``person_ref``, as of every task event."""

    TYPE: ClassVar[str] = "task.removed.v1"
    TOPIC: ClassVar[str] = topics.TASKS
    OWNER: ClassVar[str] = "loop"

    task_id: str
    person_ref: str

    @override
    def subject(self) -> str:
        """Return the task's id."""
        return self.task_id


class ThemeRising(Event):
    """Customers mention a theme far more often than its past lets expect; key = the theme's id.

    Told once for each week that is over. Counts are those of the weeks from ``first`` to
    ``last``, which are several where one can tell nothing, beside those of the weeks before.
    """

    TYPE: ClassVar[str] = "theme.rising.v1"
    TOPIC: ClassVar[str] = topics.OUTER_LOOP
    OWNER: ClassVar[str] = "loop"

    theme_id: str
    name: str
    names: dict[str, str] = Field(default_factory=dict, description="by language")
    department: str | None = Field(default=None, description="as the taxonomy names it")
    week: date = Field(description="the Monday of the week that was judged")
    first: date = Field(description="the first day of what was judged, by UTC")
    last: date
    mentions: int
    comments: int
    former_mentions: int = Field(description="in the weeks before, with which it was compared")
    former_comments: int
    former_weeks: int
    expected: float = Field(description="how many mentions were to be expected")
    ratio: float = Field(description="how many times as often as before")
    ratio_ci95: tuple[float, float]
    rated: int
    detractors: int = Field(description="unhappy customers among the rated, by score or mood")
    response_ids: list[str] = Field(description="responses that touch the theme most surely")
    item_id: str = Field(description="what was proposed to be looked into")
    to: list[OwnerRef] = Field(
        description="who is told; nobody where the same was dismissed a short while ago"
    )

    @override
    def subject(self) -> str:
        """Return the theme's id."""
        return self.theme_id
