"""A task and its row: where it stands as columns, what was done as one JSON document."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import Row

from services.loop.journey.domain import OwnerRef
from services.loop.tasks.domain.schemes import SchemeRef
from services.loop.tasks.domain.task import Asked, FollowUpTask, Record, TaskState

_record: TypeAdapter[Record] = TypeAdapter(Record)
_scheme: TypeAdapter[SchemeRef] = TypeAdapter(SchemeRef)

_PLAIN = (
    "id",
    "version",
    "response_id",
    "response_revision",
    "person_ref",
    "opened_at",
    "first_contact_due_at",
    "due_at",
    "waiting_since",
    "first_contact_at",
    "next_contact_at",
    "waiting_until",
    "snoozed_until",
    "paused_since",
    "ended_at",
    "rule",
    "rule_name",
    "metric",
    "score",
    "touchpoint",
    "segment",
    "product",
    "sealed_person",
    "import_id",
    "repeat",
)


def row_of(task: FollowUpTask) -> dict[str, Any]:
    """Return a task as its row."""
    return {name: getattr(task, name) for name in _PLAIN} | {
        "state": task.state.value,
        "owner_id": task.owner.id,
        "owner_kind": task.owner.kind,
        "next_due_at": task.next_due_at,
        **_counted(task),
        "other_responses": list(task.other_responses),
        "scheme": _scheme.dump_python(task.scheme, mode="json"),
        "record": _record.dump_python(task.record, mode="json", exclude_defaults=True),
    }


def _counted(task: FollowUpTask) -> dict[str, datetime | None]:
    """Return what the rates count, as columns of its own: read from the record, never back."""
    record = task.record
    resolution, confirmation = record.resolution, record.confirmation
    asking = resolution.asking if resolution else None
    denied_at = record.denials[-1].at if record.denials else None
    return {
        "reached_at": task.reached_at,
        # Whoever said no was asked, although the resolution is no longer there.
        "asked_at": asking.at if isinstance(asking, Asked) else denied_at,
        "denied_at": denied_at,
        "confirmed_at": (
            confirmation.at if confirmation and task.is_confirmed_by_customer else None
        ),
        "saved_until": resolution.saved_until if resolution else None,
        "example_at": record.example.at if record.example else None,
    }


def task_of(row: Row[Any]) -> FollowUpTask:
    """Return a row as its task."""
    return FollowUpTask(
        **{name: getattr(row, name) for name in _PLAIN},
        state=TaskState(row.state),
        owner=OwnerRef(id=row.owner_id, kind=row.owner_kind),
        other_responses=tuple(row.other_responses),
        scheme=_scheme.validate_python(row.scheme),
        record=_record.validate_python(row.record),
    )
