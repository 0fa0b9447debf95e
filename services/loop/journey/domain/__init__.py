"""The pure part of the journey: touchpoints and who answers for them, codes and their names."""

from __future__ import annotations

from services.loop.journey.domain.absences import Absence, Workload, absent_at
from services.loop.journey.domain.aliases import (
    UNKNOWN,
    Aliases,
    Selection,
    why_not_an_alias,
)
from services.loop.journey.domain.codes import (
    BANK_REASONS,
    KINDS,
    OTHER,
    AnswerCell,
    Code,
    CodeKind,
    ListKind,
    other_reason,
)
from services.loop.journey.domain.ownership import (
    Overlaps,
    OwnerRef,
    Ownership,
    ended,
    in_force,
    moved,
    planned,
    taken_over,
)
from services.loop.journey.domain.touchpoints import Touchpoint

__all__ = [
    "BANK_REASONS",
    "KINDS",
    "OTHER",
    "UNKNOWN",
    "Absence",
    "Aliases",
    "AnswerCell",
    "Code",
    "CodeKind",
    "ListKind",
    "Overlaps",
    "OwnerRef",
    "Ownership",
    "Selection",
    "Touchpoint",
    "Workload",
    "absent_at",
    "ended",
    "in_force",
    "moved",
    "other_reason",
    "planned",
    "taken_over",
    "why_not_an_alias",
]
