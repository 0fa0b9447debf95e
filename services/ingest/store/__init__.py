"""Rows of ingest in and out: the only room that knows its tables.

Everything takes sequences; a whole batch costs as many statements as one response does.
"""

from __future__ import annotations

from services.ingest.store.promises import (
    PROMISED_FOR,
    Promise,
    add_promises,
    drop_promises,
    find_promises,
    forget_promises,
    keep_promises,
)
from services.ingest.store.responses import (
    add_parts,
    add_responses,
    find_by_natural_keys,
    find_response,
    fingerprints_of,
    list_responses,
    parts_of,
    save_responses,
)
from services.ingest.store.rows import NaturalKey, StoredPart, StoredResponse
from services.ingest.store.upkeep import (
    Handled,
    TaskStands,
    has_upkeep,
    mark_handled,
    mark_tasks,
    publish_again,
    set_next_announcements,
    take_due,
    unhandled,
)

__all__ = [
    "PROMISED_FOR",
    "Handled",
    "NaturalKey",
    "Promise",
    "StoredPart",
    "StoredResponse",
    "TaskStands",
    "add_parts",
    "add_promises",
    "add_responses",
    "drop_promises",
    "find_by_natural_keys",
    "find_promises",
    "find_response",
    "fingerprints_of",
    "forget_promises",
    "has_upkeep",
    "keep_promises",
    "list_responses",
    "mark_handled",
    "mark_tasks",
    "parts_of",
    "publish_again",
    "save_responses",
    "set_next_announcements",
    "take_due",
    "unhandled",
]
