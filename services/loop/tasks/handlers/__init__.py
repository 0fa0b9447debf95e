"""The use cases of follow-up: opening a poll's tasks, acting on one, ringing, reading."""

from __future__ import annotations

from services.loop.tasks.handlers.acting import act_on, resolve_owner
from services.loop.tasks.handlers.opening import Opened, open_tasks
from services.loop.tasks.handlers.reading import (
    QueueRow,
    TaskView,
    list_tasks,
    queue,
    queue_counts,
    read_task,
)
from services.loop.tasks.handlers.ringing import ring
from services.loop.tasks.handlers.undelivered import note_undelivered

__all__ = [
    "Opened",
    "QueueRow",
    "TaskView",
    "act_on",
    "list_tasks",
    "note_undelivered",
    "open_tasks",
    "queue",
    "queue_counts",
    "read_task",
    "resolve_owner",
    "ring",
]
