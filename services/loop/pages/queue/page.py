"""What the queue shows: the names that its template may use."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from services.loop.pages.shapes import Clock, Customer, Mark, Words
from shared.web.forms import Form, Option


@dataclass(frozen=True, kw_only=True)
class Tab:
    """A part of the queue."""

    label: str
    href: str
    current: bool
    count: str
    """How many tasks stand there, or nothing where nobody has to know."""


@dataclass(frozen=True, kw_only=True)
class Line:
    """One task of the queue."""

    id: str
    version: int
    href: str
    mark: Mark
    customer: Customer
    restricted: bool
    words: Words = field(repr=False)
    themes: Sequence[str]
    touchpoint: str | None
    segment: str | None
    owner: str
    unclaimed: bool
    state: str
    letters: str
    tries: int
    repeat: bool
    put_off_until: datetime | None
    clock: Clock | None
    """The promise that breaks next; None for a task that has ended."""
    first_contact: bool
    """Whether that promise is the first contact."""
    ended_at: datetime | None
    in_time: bool
    waits: timedelta


@dataclass(frozen=True, kw_only=True)
class Choices:
    """What the filters and the forms below the list offer."""

    touchpoints: Sequence[Option]
    segments: Sequence[Option]
    products: Sequence[Option]
    metrics: Sequence[Option]
    scores: Sequence[Option]
    themes: Sequence[Option]
    owners: Sequence[Option]
    states: Sequence[Option]


@dataclass(frozen=True, kw_only=True)
class Kept:
    """A saved view."""

    id: str
    name: str
    href: str
    shared: bool
    may_forget: bool


@dataclass(frozen=True, kw_only=True)
class Undo:
    """What was just done to several tasks, and can be taken back."""

    id: str
    done: int
    skipped: int


@dataclass(frozen=True, kw_only=True)
class QueuePage:
    """What the queue shows."""

    title: str
    tab: str
    tabs: Sequence[Tab]
    mine: int
    late: int
    due_soon: int
    unclaimed: int
    filters: Form
    filtered: bool
    narrowed: bool
    """Whether a filter is used; they are folded away otherwise."""
    whole: str
    """The address of the view without filters."""
    choices: Choices
    lines: Sequence[Line]
    position: str
    newer: str | None
    older: str | None
    json: str
    csv: str
    here: str
    news: str
    """Where to ask how many tasks have come since."""
    kept: Sequence[Kept]
    may_share: bool
    now: datetime
    done: str
    undo: Undo | None
    picked: bool
    """Whether every task of the page is chosen from the start."""
    pick_all: str
    may_act: bool
    first_steps: int
    """How many first steps are open, where whoever reads may take them and wants to know."""
