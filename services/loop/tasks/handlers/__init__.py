"""The use cases of follow-up: opening a poll's tasks, acting on one, ringing, reading."""

from __future__ import annotations

from services.loop.tasks.handlers.acting import act_on, resolve_owner
from services.loop.tasks.handlers.advising import advise
from services.loop.tasks.handlers.bulk import (
    UNDO_FOR,
    BulkOutcome,
    InBulk,
    do_in_bulk,
    find_undoable,
    take_back,
    try_in_bulk,
)
from services.loop.tasks.handlers.closure import Closure, Learned, closure_rates, learned_of
from services.loop.tasks.handlers.confirming import Question, read_question, take_answer
from services.loop.tasks.handlers.looking import look_at, note_looks, note_looks_in
from services.loop.tasks.handlers.opening import Opened, open_tasks
from services.loop.tasks.handlers.reading import (
    QueueRow,
    TaskView,
    list_tasks,
    queue,
    read_task,
)
from services.loop.tasks.handlers.ringing import ring
from services.loop.tasks.handlers.search import asked_for, index_tasks
from services.loop.tasks.handlers.timeline import CustomerView, look_at_customer
from services.loop.tasks.handlers.undelivered import note_undelivered
from services.loop.tasks.handlers.views import (
    VIEWS,
    Counts,
    Sought,
    counts_of,
    order_of,
    reach_of,
    wanted_of,
)

__all__ = [
    "UNDO_FOR",
    "VIEWS",
    "BulkOutcome",
    "Closure",
    "Counts",
    "CustomerView",
    "InBulk",
    "Learned",
    "Opened",
    "Question",
    "QueueRow",
    "Sought",
    "TaskView",
    "act_on",
    "advise",
    "asked_for",
    "closure_rates",
    "counts_of",
    "do_in_bulk",
    "find_undoable",
    "index_tasks",
    "learned_of",
    "list_tasks",
    "look_at",
    "look_at_customer",
    "note_looks",
    "note_looks_in",
    "note_undelivered",
    "open_tasks",
    "order_of",
    "queue",
    "reach_of",
    "read_question",
    "read_task",
    "resolve_owner",
    "ring",
    "take_answer",
    "take_back",
    "try_in_bulk",
    "wanted_of",
]
