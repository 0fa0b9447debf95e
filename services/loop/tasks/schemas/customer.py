"""The document of a customer: one event after the other, the latest first."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from services.loop.responses.domain import Response
from services.loop.tasks.domain.task import Asked
from services.loop.tasks.handlers import CustomerView, TaskView
from services.loop.tasks.schemas.document import moment

SYSTEM_ACTS = frozenset({"due-soon", "overdue", "escalate", "undeliverable"})
"""What the program writes down for staff; nothing of it reaches the customer."""


def customer_document(seen: CustomerView, now: datetime) -> dict[str, object]:
    """Return a customer as the interface shows them."""
    events = [_answer(seen, answer) for answer in seen.answers]
    for task in seen.tasks:
        events += _task(task, now)
    personal = seen.personal
    return {
        "id": seen.ref,
        "restricted": seen.restricted,
        "erased": seen.erased,
        "customer": dict(personal.customer) if personal and personal.customer else None,
        "events": sorted(events, key=lambda event: str(event["at"]), reverse=True),
    }


def asked_at(seen: TaskView) -> datetime | None:
    """Return when the customer is asked by mail whether it is settled."""
    resolution = seen.task.record.resolution
    asking = resolution.asking if resolution else None
    return asking.at if isinstance(asking, Asked) else None


def kind_of(act: str) -> str:
    """Return which kind of event a line of a task's history is."""
    if act == "contacts":
        return "contact"
    return "system" if act in SYSTEM_ACTS else "task"


def _answer(seen: CustomerView, answer: Response) -> dict[str, object]:
    person = seen.persons.get(answer.id)
    return {
        "at": moment(answer.answered_at),
        "kind": "answer",
        "response_id": answer.id,
        "metric": answer.metric,
        "score": answer.score,
        "category": answer.category.value if answer.category else None,
        "touchpoint": answer.touchpoint,
        "comment": person.comment if person else None,
        "erased": person is None and not seen.restricted,
    }


def _task(seen: TaskView, now: datetime) -> Iterator[dict[str, object]]:
    for entry in seen.history:
        yield {
            "at": moment(entry.at),
            "kind": kind_of(entry.act),
            "act": entry.act,
            "task_id": seen.task.id,
            "by": {"id": entry.by.id, "name": entry.by.name, "kind": entry.by.kind},
            "detail": dict(entry.detail),
            "words": dict(entry.words) or None,
            "erased": entry.erased,
        }
    asked = asked_at(seen)
    if asked is not None and asked <= now:
        yield {"at": moment(asked), "kind": "mail", "act": "ask", "task_id": seen.task.id}
