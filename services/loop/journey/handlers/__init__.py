"""The use cases of the journey: resolving a poll's codes, describing and mapping them."""

from __future__ import annotations

from services.loop.journey.handlers.folding import Folds, every_alias, folds_of, meant_by
from services.loop.journey.handlers.lists import (
    add_bank_reasons,
    add_code,
    change_code,
    ensure_other,
    find_code,
    list_codes,
    names_of,
    reason_emotions,
    retire_code,
)
from services.loop.journey.handlers.noting import (
    Named,
    count_answers,
    count_emotion,
    note_codes,
)
from services.loop.journey.handlers.owning import (
    check_responsible,
    end_ownership,
    find_periods,
    owners_of,
    plan_ownership,
)
from services.loop.journey.handlers.touchpoints import (
    Completeness,
    add_touchpoint,
    change_touchpoint,
    completeness,
    find_touchpoint,
    list_touchpoints,
)

__all__ = [
    "Completeness",
    "Folds",
    "Named",
    "add_bank_reasons",
    "add_code",
    "add_touchpoint",
    "change_code",
    "change_touchpoint",
    "check_responsible",
    "completeness",
    "count_answers",
    "count_emotion",
    "end_ownership",
    "ensure_other",
    "every_alias",
    "find_code",
    "find_periods",
    "find_touchpoint",
    "folds_of",
    "list_codes",
    "list_touchpoints",
    "meant_by",
    "names_of",
    "note_codes",
    "owners_of",
    "plan_ownership",
    "reason_emotions",
    "retire_code",
]
