"""What the lead's page shows: the names that its template may use."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class LoadLine:
    """What somebody has to do."""

    name: str
    is_team: bool
    href: str
    open: int
    late: int
    waiting: int


@dataclass(frozen=True, kw_only=True)
class AgeLine:
    """How many customers wait for how long."""

    label: str
    count: int
    share: float


@dataclass(frozen=True, kw_only=True)
class SignLine:
    """One of the five signs, and the cases to look at."""

    id: str
    title: str
    meaning: str
    found: str
    groups: Sequence[Sequence[str]]
    """Ids of tasks that belong together."""
    touchpoints: Sequence[str]


@dataclass(frozen=True, kw_only=True)
class TeamPage:
    """What the lead's page shows."""

    title: str
    open: int
    loads: Sequence[LoadLine]
    ages: Sequence[AgeLine]
    signs: Sequence[SignLine]
    looked_at: int
    days: int
