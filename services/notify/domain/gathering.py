"""When a summary goes out: a little after the last of an import's tasks, but not much later."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from services.notify.domain.alerts import TaskFacts

QUIET: Final = timedelta(seconds=60)
"""So long a summary waits for more after each addition."""

LONGEST: Final = timedelta(minutes=10)
"""So long at most it waits after the first one; what comes then is told in the next."""

SHOWN: Final = 5
"""So many tasks are named in a summary, those whose time is up first."""


def due_at(*, first: datetime, last: datetime) -> datetime:
    """Return when a summary that began at ``first`` and grew at ``last`` is sent."""
    return min(last + QUIET, first + LONGEST)


@dataclass(frozen=True, kw_only=True)
class Summary:
    """Tasks of one import, or of one burst, that their owner is told about in one mail."""

    tasks: tuple[TaskFacts, ...]

    @property
    def is_burst(self) -> bool:
        """Tell whether many were unhappy at once, and no import brought these."""
        return all((task.import_id or "").startswith("burst_") for task in self.tasks)

    @property
    def earliest(self) -> datetime:
        """Return the deadline that is over first."""
        return min(task.deadline for task in self.tasks)

    @property
    def worst(self) -> tuple[TaskFacts, ...]:
        """Return the tasks to name: by due time, then the unhappier customer first."""
        ordered = sorted(
            self.tasks,
            key=lambda task: (
                task.deadline,
                task.score is not None,
                task.score or 0,
                task.task_id,
            ),
        )
        return tuple(ordered[:SHOWN])
