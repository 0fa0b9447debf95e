"""What a customer's page shows: the names that its template may use."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from services.loop.pages.shapes import Customer, Mark, Words
from services.loop.pages.task.page import Said


@dataclass(frozen=True, kw_only=True)
class Happened:
    """One event in a customer's life with us."""

    at: datetime
    kind: str
    what: str
    by: str
    detail: str
    href: str
    """The task it belongs to, or nothing."""
    mark: Mark | None
    words: Words = field(repr=False)
    said: Sequence[Said] = field(default=(), repr=False)


@dataclass(frozen=True, kw_only=True)
class Part:
    """One kind of events to look at alone."""

    label: str
    href: str
    current: bool
    count: str


@dataclass(frozen=True, kw_only=True)
class CustomerPage:
    """What a customer's page shows."""

    title: str
    now: datetime
    customer: Customer
    restricted: bool
    scores: Sequence[int]
    """The latest scores of one metric, the oldest of them first."""
    metric: str
    open_tasks: int
    parts: Sequence[Part]
    events: Sequence[Happened]
    json: str
    csv: str
    privacy: str | None = None
    """Where they can be exported and erased, for whoever may."""
