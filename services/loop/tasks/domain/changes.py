"""What an act changes, and how an act is refused: shared by everything the playbook does."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from services.loop.tasks.domain.acts import ALLOWED_FROM, Act
from services.loop.tasks.domain.facts import (
    Fact,
)
from services.loop.tasks.domain.task import (
    Done,
    FollowUpTask,
    Record,
    Step,
    StepDone,
    TaskState,
)
from shared.errors import Conflict


@dataclass(frozen=True)
class Change:
    """The task after an act, and what its line of history says."""

    task: FollowUpTask
    detail: Mapping[str, object] = field(default_factory=dict)
    words: Mapping[str, str | None] = field(default_factory=dict)
    fact: Fact | None = None


def with_step(record: Record, step: Step, done: Done) -> Record:
    """Return the record with one more step taken."""
    return replace(record, steps=(*record.steps, StepDone(**members_of_done(done), step=step)))


def members_of_done(done: Done) -> dict[str, Any]:
    """Return by whom and when, as members of a record."""
    return {"entry": done.entry, "at": done.at, "by": done.by}


def present(**members: object) -> dict[str, object]:
    """Return the members that are there."""
    return {name: value for name, value in members.items() if value is not None}


def text_of(moment: datetime | None) -> str | None:
    """Return a moment as the history keeps it."""
    if moment is None:
        return None
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def said(task: FollowUpTask) -> str:
    """Return what the state of a task is called in a sentence."""
    return task.state.value.replace("_", " ")


def refusal(task: FollowUpTask, act: Act, detail: str, missing: Iterable[str] = ()) -> Conflict:
    """Return the refusal of an act: the state, what would allow it, and what is missing."""
    return Conflict(
        detail,
        extra={
            "state": task.state.value,
            "allowed_from": [
                state.value for state in TaskState if state in ALLOWED_FROM[act.NAME]
            ],
            "missing": list(missing),
        },
    )
