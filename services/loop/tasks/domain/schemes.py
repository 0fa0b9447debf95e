"""Recovery schemes: how soon a customer hears from us, and how often we try.

A task keeps the version of the scheme that it was opened with; its deadlines are set once and
later changes of a scheme do not move them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any


@dataclass(frozen=True, kw_only=True)
class SchemeRef:
    """The scheme of one task, as it stood at the opening."""

    id: str
    name: str
    version: int
    attempts: int


@dataclass(frozen=True, kw_only=True)
class Deadlines:
    """The promises of one task, by wall clock."""

    first_contact_due_at: datetime
    remind_at: datetime
    due_at: datetime


@dataclass(frozen=True, kw_only=True)
class RecoveryScheme:
    """How soon and how often; the times are this product's choice, for you to change."""

    id: str
    name: str
    version: int
    first_contact_within: timedelta
    resolve_within: timedelta
    remind_at: float
    """The part of the time to the deadline after which the owner is reminded."""
    attempts: int
    """Tries without an answer before a customer counts as unreachable."""

    @property
    def ref(self) -> SchemeRef:
        """Return what a task keeps of its scheme."""
        return SchemeRef(
            id=self.id, name=self.name, version=self.version, attempts=self.attempts
        )

    def deadlines(self, opened_at: datetime) -> Deadlines:
        """Return the promises of a task that opens now."""
        return Deadlines(
            first_contact_due_at=opened_at + self.first_contact_within,
            remind_at=opened_at + self.resolve_within * self.remind_at,
            due_at=opened_at + self.resolve_within,
        )


DEFAULT_SCHEME: Mapping[str, Any] = {
    "id": "standard",
    "name": "24 hours",
    "version": 1,
    "first_contact_within_hours": 8,
    "resolve_within_hours": 24,
    "remind_at": 0.75,
    "attempts": 3,
}
"""The scheme that applies until somebody publishes another version of it."""


def scheme_from(document: Mapping[str, Any]) -> RecoveryScheme:
    """Read a scheme from its JSON form."""
    return RecoveryScheme(
        id=document["id"],
        name=document["name"],
        version=document["version"],
        first_contact_within=timedelta(hours=document["first_contact_within_hours"]),
        resolve_within=timedelta(hours=document["resolve_within_hours"]),
        remind_at=document["remind_at"],
        attempts=document["attempts"],
    )
