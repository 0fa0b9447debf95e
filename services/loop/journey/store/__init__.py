"""Touchpoints, their owners and the lists of codes in and out of the database."""

from __future__ import annotations

from services.loop.journey.store.counting import Answers, answers_of, emotions_of, move_counts
from services.loop.journey.store.lists import (
    CodeFilter,
    add_code,
    all_list_aliases,
    find_code,
    list_aliases,
    lock_codes,
    mapped_codes,
    note_codes,
    page_of_codes,
    save_code,
)
from services.loop.journey.store.periods import (
    owners_at,
    periods_of,
    replace_periods,
    responsible_at,
)
from services.loop.journey.store.touchpoints import (
    Order,
    TouchpointFilter,
    add,
    aliases,
    every,
    exists,
    find,
    lock,
    named,
    note_unmapped,
    offered,
    page_of,
    rank_of,
    save,
)

__all__ = [
    "Answers",
    "CodeFilter",
    "Order",
    "TouchpointFilter",
    "add",
    "add_code",
    "aliases",
    "all_list_aliases",
    "answers_of",
    "emotions_of",
    "every",
    "exists",
    "find",
    "find_code",
    "list_aliases",
    "lock",
    "lock_codes",
    "mapped_codes",
    "move_counts",
    "named",
    "note_codes",
    "note_unmapped",
    "offered",
    "owners_at",
    "page_of",
    "page_of_codes",
    "periods_of",
    "rank_of",
    "replace_periods",
    "responsible_at",
    "save",
    "save_code",
]
