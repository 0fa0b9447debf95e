"""Tasks, their lists, and the rules behind them, in and out of the database."""

from __future__ import annotations

from services.loop.tasks.store.lists import (
    Counts,
    Order,
    TaskFilter,
    counts_for,
    page_of,
    place_of,
)
from services.loop.tasks.store.policies import current_rules, current_schemes
from services.loop.tasks.store.tasks import (
    add,
    add_entries,
    find,
    find_for_change,
    histories_of,
    lock_many,
    of_responses,
    save,
    stale,
)

__all__ = [
    "Counts",
    "Order",
    "TaskFilter",
    "add",
    "add_entries",
    "counts_for",
    "current_rules",
    "current_schemes",
    "find",
    "find_for_change",
    "histories_of",
    "lock_many",
    "of_responses",
    "page_of",
    "place_of",
    "save",
    "stale",
]
