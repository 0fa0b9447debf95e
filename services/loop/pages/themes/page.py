"""What the pages of themes show."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime

from services.loop.pages.corrections import Done
from services.loop.pages.shapes import Mark, Words
from services.loop.tasks.handlers import Learned
from services.loop.themes.domain.ranking import Impact
from services.loop.themes.domain.risers import Seen, Verdict
from shared.stats.impact import Change
from shared.stats.intervals import Estimate
from shared.stats.scores import ScoreRow
from shared.web.forms import Form, Option


@dataclass(frozen=True, kw_only=True)
class Tab:
    """One way to look at themes."""

    label: str
    href: str
    current: bool
    count: int | None = None


@dataclass(frozen=True, kw_only=True)
class Line:
    """One theme in a period."""

    rank: int | None
    former_rank: int | None
    id: str
    name: str
    in_use: bool
    href: str
    mentions: int
    share: Estimate
    change: int
    former: int
    unhappy: Estimate
    impact: Impact
    department: str | None
    """What the department is called; None where nobody answers for the theme."""
    weeks: Sequence[int]
    verdict: Verdict | None


@dataclass(frozen=True, kw_only=True)
class Sender:
    """How many of the comments one source sent."""

    source: str
    share: float


@dataclass(frozen=True, kw_only=True)
class Choices:
    """What one can choose among."""

    periods: Sequence[Option]
    touchpoints: Sequence[Option]
    segments: Sequence[Option]
    products: Sequence[Option]
    departments: Sequence[Option]
    orders: Sequence[Option]


@dataclass(frozen=True, kw_only=True)
class Said:
    """A comment that shows what something is about, without who wrote it."""

    mark: Mark
    words: Words = field(repr=False)
    answered_at: datetime


@dataclass(frozen=True, kw_only=True)
class Voice:
    """One customer's words, and why they stand here."""

    response_id: str
    mark: Mark
    words: Words = field(repr=False)
    answered_at: datetime
    touchpoint: str | None
    by: str | None
    """What decided, as the taxonomy lists it."""
    task: str | None
    """Where the task is that the response belongs to, and how far it is."""
    state: str | None


@dataclass(frozen=True, kw_only=True)
class Voices:
    """A page of voices, the latest first."""

    may_read: bool
    lines: Sequence[Voice]
    older: str | None
    newer: str | None


@dataclass(frozen=True, kw_only=True)
class ThemesPage:
    """What the list of themes shows."""

    tab: str
    tabs: Sequence[Tab]
    first: date
    last: date
    days: int
    now: datetime
    filters: Form
    choices: Choices
    narrowed: bool
    whole: str
    comments: int
    without: Estimate
    former_without: Estimate
    read_without: str
    lines: Sequence[Line]
    voices: Voices | None
    senders: Sequence[Sender]
    nps: ScoreRow
    may_edit: bool
    where: str
    json: str
    csv: str


@dataclass(frozen=True, kw_only=True)
class Place:
    """A theme at one touchpoint, in one segment or of one product."""

    name: str
    href: str
    mentions: int
    share: Estimate
    row: ScoreRow
    deviates: str
    frequency: str


@dataclass(frozen=True, kw_only=True)
class Where:
    """Where a theme is mentioned, by one dimension."""

    title: str
    places: Sequence[Place]


@dataclass(frozen=True, kw_only=True)
class Linked:
    """Tasks that customers opened who mentioned the theme."""

    label: str
    count: int
    href: str


@dataclass(frozen=True, kw_only=True)
class ThemePage:
    """What the page of one theme shows."""

    line: Line
    back: str
    filters: Form
    choices: Choices
    first: date
    last: date
    days: int
    now: datetime
    weeks: Sequence[Seen]
    where: Sequence[Where]
    change: Change | None
    senders: Sequence[Sender]
    voices: Voices
    others: Sequence[Option]
    """The themes that a voice may be about as well, for whoever may correct."""
    here: str
    done: Done | None
    linked: Sequence[Linked]
    learned: Learned
    causes: Sequence[tuple[str, int]]
    examples: str
    edit: str | None
    csv: str
    json: str
