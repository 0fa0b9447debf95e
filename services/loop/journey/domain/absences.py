"""When somebody can be given no more tasks, and who gets them instead."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, kw_only=True)
class Absence:
    """A period: ``begins_at`` belongs to it, ``ends_at`` no longer does."""

    id: str
    staff_id: str
    deputy_id: str | None
    begins_at: datetime
    ends_at: datetime | None

    def holds(self, at: datetime) -> bool:
        """Tell whether the person is absent at this moment."""
        return self.begins_at <= at and (self.ends_at is None or at < self.ends_at)


@dataclass(frozen=True, kw_only=True)
class Workload:
    """How many open tasks somebody is given at most; None is as many as come."""

    staff_id: str
    most_open: int | None
    deputy_id: str | None
    version: int


def absent_at(absences: Iterable[Absence], at: datetime) -> Mapping[str, Absence]:
    """Return the absences of a moment by person; of several the one that began last counts."""
    return {
        absence.staff_id: absence
        for absence in sorted(absences, key=lambda one: (one.begins_at, one.id))
        if absence.holds(at)
    }
