"""Touchpoints: where customers meet the company, and who keeps the promises made there.

A code that nobody has described yet is a touchpoint all the same; it stands on a list until
somebody maps it, and its responses are never dropped.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from datetime import datetime


@dataclass(frozen=True, kw_only=True)
class OwnerRef:
    """Who keeps a promise: a member of staff, or a team that holds it unclaimed."""

    id: str
    kind: Literal["person", "team"]


@dataclass(frozen=True, kw_only=True)
class Touchpoint:
    """A place where the customer meets the company, known by the code that sources send."""

    code: str
    name: str | None
    macro: str | None
    owner: OwnerRef | None
    department_id: str | None
    mapped: bool
    first_seen_at: datetime
    version: int
