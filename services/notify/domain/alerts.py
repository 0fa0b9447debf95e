"""What is told about a task: which mails, which webhook body, and whether it is still news.

``TaskFacts`` is everything that an event of a task says in the clear; the person's words stay
sealed beside it until the moment of sending.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

EVENT_TYPES = (
    "task.opened",
    "task.assigned",
    "task.contacted",
    "task.due-soon",
    "task.overdue",
    "task.escalated",
    "task.promise-due",
    "task.approval-asked",
    "task.recognised",
    "task.resolved",
    "task.confirmed",
    "task.reopened",
    "task.closed",
    "source.silent",
    "source.resumed",
    "theme.rising",
    "customer.erased",
)
"""What a webhook may ask for."""

EVERYTHING = "*"
"""The pattern that takes in every type, also those to come."""

MAIL_KINDS: Mapping[str, str] = {
    "task.opened": "task_opened",
    "task.due-soon": "task_due_soon",
    "task.overdue": "task_overdue",
    "task.escalated": "task_escalated",
    "task.reopened": "task_reopened",
    "task.promise-due": "task_promise",
    "task.approval-asked": "task_approval",
    "task.recognised": "task_recognised",
}

ALSO_WHEN_DONE = ("task_recognised",)
"""The mails that are worth sending after a task has ended: praise does not go stale."""

"""The events that are worth a mail to the owner, and the mail's kind."""

SUMMARY_KINDS: Mapping[str, str] = {
    "task.opened": "tasks_opened",
    "task.due-soon": "tasks_due_soon",
    "task.overdue": "tasks_overdue",
    "task.escalated": "tasks_escalated",
}
"""The same for the tasks of an import: one mail about many of them."""

DONE_STATES = frozenset({"resolved", "confirmed", "closed"})
LARGEST_BODY = 20_000
_CLOCK_RUNNING = "assigned"  # nobody has tried to reach the customer yet


@dataclass(frozen=True, kw_only=True)
class TaskFacts:
    """One event of a task; ``person`` is sealed and opens with the context ``response_id``."""

    event_id: str
    type: str
    happened_at: datetime
    task_id: str
    response_id: str
    version: int
    state: str
    owner_id: str
    owner_kind: str
    metric: str
    score: int | None
    touchpoint: str | None
    segment: str | None
    product: str | None
    opened_at: datetime
    first_contact_due_at: datetime
    due_at: datetime
    person_ref: str
    person: str | None = field(default=None, repr=False)
    touchpoint_name: str | None = None
    correlation_id: str | None = None
    import_id: str | None = None
    level: str | None = None
    told: tuple[str, ...] = ()
    """The persons to whom an escalation or a question goes, in place of the owner."""
    said_by: str | None = None
    """Who confirmed a task, or opened it again: staff, a key, the program or the customer."""
    promise: str | None = None
    """What is due of what was promised to the customer: an action, or a contact."""
    stage: str | None = None
    n: int | None = None
    remedy: str | None = None
    value: str | None = None

    @property
    def mail_kind(self) -> str | None:
        """Return the kind of mail that its owner gets, if it is worth one.

        That a task is open again is news when the customer said so; staff who did it know.
        """
        if self.type == "task.reopened" and self.said_by != "customer":
            return None
        kind = MAIL_KINDS.get(self.type)
        return None if self.is_done and kind not in ALSO_WHEN_DONE else kind

    def addressed(self) -> Sequence[TaskFacts]:
        """Return what is mailed, once for each who is told: the owner, or those drawn in."""
        if self.type not in {"task.escalated", "task.approval-asked"}:
            return [self]
        return [replace(self, owner_id=one, owner_kind="person", told=()) for one in self.told]

    @property
    def is_done(self) -> bool:
        """Tell whether nobody has to act on the task any more."""
        return self.state in DONE_STATES

    @property
    def deadline(self) -> datetime:
        """Return the deadline that this event is about.

        Until somebody tries to reach the customer that is the first-contact one, unless it was
        over before: then it is the task's own.
        """
        if self.state != _CLOCK_RUNNING or self.type in {"task.contacted", "task.promise-due"}:
            return self.due_at
        if self.type == "task.overdue":
            is_final = self.happened_at >= self.due_at
        else:
            is_final = self.happened_at >= self.first_contact_due_at
        return self.due_at if is_final else self.first_contact_due_at


def public_type(event_type: str) -> str:
    """Return the type as receivers know it: ``task.opened`` for ``task.opened.v1``."""
    name, dot, version = event_type.rpartition(".")
    return name if dot and version[:1] == "v" and version[1:].isdigit() else event_type


def is_wanted(event_type: str, patterns: Sequence[str]) -> bool:
    """Tell whether a pattern takes in this type: exact, a prefix with ``.*``, or ``*``."""
    return any(
        event_type.startswith(pattern[:-1])
        if pattern == EVERYTHING or pattern.endswith(".*")
        else event_type == pattern
        for pattern in patterns
    )


def pattern_problem(pattern: str) -> str | None:
    """Say why a pattern will never match, or None."""
    known = any(is_wanted(event_type, [pattern]) for event_type in EVENT_TYPES)
    return None if known else "unknown_event"


def webhook_body(facts: TaskFacts, *, public_url: str) -> bytes:
    """Return the body without personal data, compact, as it will be signed."""
    return compact(
        {
            "type": facts.type,
            "timestamp": rfc3339(facts.happened_at),
            "data": {
                "task_id": facts.task_id,
                "response_id": facts.response_id,
                "version": facts.version,
                "state": facts.state,
                "metric": facts.metric,
                "score": facts.score,
                "touchpoint": facts.touchpoint,
                "touchpoint_name": facts.touchpoint_name,
                "segment": facts.segment,
                "product": facts.product,
                "owner": {"id": facts.owner_id, "kind": facts.owner_kind},
                "opened_at": rfc3339(facts.opened_at),
                "first_contact_due_at": rfc3339(facts.first_contact_due_at),
                "due_at": rfc3339(facts.due_at),
                **_escalation(facts),
                **_besides(facts),
                "links": {
                    "task": f"{public_url}/tasks/{facts.task_id}",
                    "api": f"{public_url}/v1/tasks/{facts.task_id}",
                },
            },
        }
    )


def _escalation(facts: TaskFacts) -> Mapping[str, Any]:
    if facts.level is None:
        return {}
    return {"level": facts.level, "to": [{"id": one, "kind": "person"} for one in facts.told]}


def _besides(facts: TaskFacts) -> Mapping[str, Any]:
    """Return what only some events say: what is promised, what is asked for, who said so."""
    members = {
        "promise": facts.promise,
        "stage": facts.stage,
        "n": facts.n,
        "remedy": facts.remedy,
        "value": facts.value,
        "by": facts.said_by,
    }
    return {name: value for name, value in members.items() if value is not None}


def ping_body(*, now: datetime, webhook_id: str) -> bytes:
    """Return the body of a test event: true in form, about nobody."""
    data = {"webhook_id": webhook_id, "message": "Closed Loop can reach this endpoint."}
    return compact({"type": "webhook.test", "timestamp": rfc3339(now), "data": data})


def with_person(body: bytes, person: Mapping[str, Any]) -> bytes:
    """Return the body with the customer and the comment added to its data.

    A comment that would make the body larger than receivers like is cut, and said to be.
    """
    document = json.loads(body)
    data = document["data"]
    data["customer"] = person.get("customer") or None
    comment = person.get("comment")
    data["comment"] = comment
    full = compact(document)
    while comment and len(full) > LARGEST_BODY:
        comment = comment[: len(comment) * 3 // 4]
        data |= {"comment": comment, "comment_cut": True}
        full = compact(document)
    return full


def compact(document: Mapping[str, Any]) -> bytes:
    """Return JSON without a byte too many, the same for the same document."""
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()


def rfc3339(moment: datetime) -> str:
    """Return a moment in UTC as the API writes it: with ``Z``, fractions only where needed."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def facts_document(facts: TaskFacts) -> bytes:
    """Return what a mail is made of later, without the person."""
    members = {
        name: rfc3339(value) if isinstance(value, datetime) else value
        for name, value in asdict(facts).items()
        if name != "person"
    }
    return compact(members)


def facts_from(document: bytes) -> TaskFacts:
    """Read what ``facts_document`` wrote."""
    members = json.loads(document)
    for name in ("happened_at", "opened_at", "first_contact_due_at", "due_at"):
        members[name] = datetime.fromisoformat(members[name])
    return TaskFacts(**{**members, "told": tuple(members.get("told", ()))})


def owner_document(facts: TaskFacts) -> bytes:
    """Return what a summary keeps beside its lines: whose tasks it is about."""
    return compact({"owner_id": facts.owner_id, "owner_kind": facts.owner_kind})


def owner_kind_of(document: bytes) -> str:
    """Return whether a person or a team owns what a mail's document is about."""
    return str(json.loads(document)["owner_kind"])


def owner_of(document: bytes) -> tuple[str, str] | None:
    """Return who owns what a mail's document is about, and the kind; None for nobody."""
    members = json.loads(document)
    return (members["owner_id"], members["owner_kind"]) if "owner_id" in members else None
