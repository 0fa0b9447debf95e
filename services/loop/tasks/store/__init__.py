"""Tasks, their lists, and the rules behind them, in and out of the database."""

from __future__ import annotations

from services.loop.tasks.store.closure import (
    BeforeAndAfter,
    ClosureCounts,
    ClosureFilter,
    before_and_after,
    closure_counts,
)
from services.loop.tasks.store.lists import (
    MOST_COUNTED,
    Order,
    TaskFilter,
    counts_of,
    note_escalated,
    page_of,
    place_of,
)
from services.loop.tasks.store.policies import (
    current_rules,
    current_schemes,
    scheme_of,
    schemes_of,
)
from services.loop.tasks.store.search import Indexed, index, terms_of
from services.loop.tasks.store.tasks import (
    add,
    add_entries,
    cases_of,
    find,
    find_for_change,
    first_owners,
    histories_of,
    join,
    joined_to,
    lock_many,
    of_responses,
    open_by_owner,
    opened_between,
    save,
    stale,
)

__all__ = [
    "MOST_COUNTED",
    "BeforeAndAfter",
    "ClosureCounts",
    "ClosureFilter",
    "Indexed",
    "Order",
    "TaskFilter",
    "add",
    "add_entries",
    "before_and_after",
    "cases_of",
    "closure_counts",
    "counts_of",
    "current_rules",
    "current_schemes",
    "find",
    "find_for_change",
    "first_owners",
    "histories_of",
    "index",
    "join",
    "joined_to",
    "lock_many",
    "note_escalated",
    "of_responses",
    "open_by_owner",
    "opened_between",
    "page_of",
    "place_of",
    "save",
    "scheme_of",
    "schemes_of",
    "stale",
    "terms_of",
]
