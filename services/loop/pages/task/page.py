"""What a task's page shows: the names that its template may use."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from services.loop.pages.shapes import Clock, Customer, Mark, Words
from services.loop.pages.task.support import Support
from services.loop.tasks.domain.clocks import Clocks
from shared.web.forms import Form, Option


@dataclass(frozen=True, kw_only=True)
class ThemeRef:
    """A theme of this response; ``n`` marks its evidence in the words."""

    n: int
    id: str
    name: str
    has_evidence: bool


@dataclass(frozen=True, kw_only=True)
class StepLine:
    """A step of RESOLVED and whether it was taken."""

    value: str
    letter: str
    name: str
    at: datetime | None
    by: str
    can_take: bool
    why_not: str
    """What has to come before it."""


@dataclass(frozen=True, kw_only=True)
class ActionLine:
    """Something promised to the customer."""

    n: int
    what: str = field(repr=False)
    owner: str
    clock: Clock
    finished_at: datetime | None


@dataclass(frozen=True, kw_only=True)
class Said:
    """One piece of text in the history, with what it answers."""

    label: str
    text: str = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class HistoryLine:
    """One thing that was done."""

    at: datetime
    by: str
    act: str
    detail: str
    words: Sequence[Said] = field(default=(), repr=False)
    erased: bool = False
    """Whether something was said that was erased."""
    is_new: bool = False
    """Whether it was done after the page that a form was sent from."""


@dataclass(frozen=True, kw_only=True)
class Revision:
    """That the customer changed the answer, and what came of it."""

    at: datetime
    change: str
    meaning: str


@dataclass(frozen=True, kw_only=True)
class Choices:
    """What the page's forms offer."""

    modes: Sequence[Option]
    results: Sequence[Option]
    feelings: Sequence[Option]
    outcomes: Sequence[Option]
    causes: Sequence[Option]
    verdicts: Sequence[Option]
    known_by: Sequence[Option]
    benefits: Sequence[Option]
    reasons: Sequence[Option]
    waiting_for: Sequence[Option]
    owners: Sequence[Option]


@dataclass(frozen=True, kw_only=True)
class TaskPage:
    """What a task's page shows."""

    id: str
    version: int
    title: str
    now: datetime
    mark: Mark
    customer: Customer
    timeline: str
    """Where everything stands that happened with this customer."""
    restricted: bool
    words: Words = field(repr=False)
    themes: Sequence[ThemeRef]
    touchpoint: str | None
    segment: str | None
    product: str | None
    answered_at: datetime | None
    transaction_id: str | None
    language: str | None
    attributes: Sequence[tuple[str, str]] = field(repr=False)
    unknown: Sequence[str]
    """What we do not know of the customer and would like to."""
    owner: str
    unclaimed: bool
    is_mine: bool
    state: str
    is_open: bool
    is_waiting: bool
    waiting_until: datetime | None
    next_contact_at: datetime | None
    ended_at: datetime | None
    first_contact_at: datetime | None
    first_contact_late: bool
    first_contact: Clock
    due: Clock
    waits: timedelta
    clocks: Clocks
    """How both clocks stand: the customer's and the team's."""
    paused_since: datetime | None
    tries: int
    tries_asked: int
    scheme: str
    rule: str
    steps: Sequence[StepLine]
    actions: Sequence[ActionLine]
    agreement: Sequence[Said] = field(repr=False)
    ending: Sequence[Said] = field(repr=False)
    missing: Sequence[str]
    revision: Revision | None
    history: Sequence[HistoryLine]
    forms: Mapping[str, Form] = field(repr=False)
    choices: Choices
    stale: bool
    typed: Sequence[Said] = field(repr=False)
    """What was typed into a form that somebody else was faster than."""
    done: str
    advice: Sequence[str]
    others: Sequence[str]
    """Who else has the task open."""
    support: Support
    may_act: bool
