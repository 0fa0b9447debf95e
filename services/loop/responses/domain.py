"""A response as loop knows it, and what single scores add up to.

What happened stands in the clear, what is personal stays sealed. The sums can be moved when an
answer is revised: what the former answer counted is taken out where the new one is put in.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any, Final, Literal, NamedTuple

from services.loop.journey.domain import UNKNOWN
from shared.stats.categories import Category, Metric

SAMPLE_SOURCE: Final = "closed-loop:sample"
"""The installation's own source: what it posts opens a task, and counts in no figure."""

_HIGH: Final = frozenset({Category.PROMOTER, Category.SATISFIED})
_LOW: Final = frozenset({Category.DETRACTOR, Category.DISSATISFIED})


@dataclass(frozen=True, kw_only=True)
class Response:
    """One answered survey, or unsolicited feedback; what is personal stays sealed."""

    id: str
    revision: int
    source: str
    measurement: Literal["transactional", "periodic", "unsolicited"]
    metric: Metric
    score: int | None
    category: Category | None
    sentiment: Literal["negative", "neutral", "positive"] | None
    language: str | None
    touchpoint: str | None
    segment: str | None
    product: str | None
    channel: str | None
    reason: str | None
    emotion: str | None
    question_version: str | None
    answered_at: datetime
    received_at: datetime
    as_new: bool
    person_ref: str
    has_comment: bool
    sealed_person: str | None = field(repr=False)
    import_id: str | None = None

    @property
    def is_sample(self) -> bool:
        """Tell whether the installation posted it itself, for somebody to see a task arrive."""
        return self.source == SAMPLE_SOURCE

    @property
    def is_rated(self) -> bool:
        """Tell whether it is known how the customer feels: by a score or by sentiment."""
        return self.category is not None or self.sentiment is not None

    @property
    def is_low(self) -> bool:
        """Tell whether the customer is unhappy: by the score, or without one by sentiment."""
        if self.category is not None:
            return self.category in _LOW
        return self.sentiment == "negative"

    @property
    def is_high(self) -> bool:
        """Tell whether the customer is happy: by the score, or without one by sentiment."""
        if self.category is not None:
            return self.category in _HIGH
        return self.sentiment == "positive"

    @property
    def day(self) -> date:
        """Return the UTC day of the answer, by which everything is counted."""
        return self.answered_at.astimezone(UTC).date()


@dataclass(frozen=True, kw_only=True)
class Personal:
    """The sealed part of a response, opened: never stored, never logged."""

    comment: str | None = field(default=None, repr=False)
    customer: Mapping[str, Any] = field(default_factory=dict, repr=False)
    attributes: Mapping[str, Any] = field(default_factory=dict, repr=False)
    transaction_id: str | None = field(default=None, repr=False)
    unusable: frozenset[str] = frozenset()
    """Which of e-mail and phone are kept as given although nobody can be reached by them."""

    @classmethod
    def read(cls, document: Mapping[str, Any]) -> Personal:
        """Return what an opened sealed document says."""
        return cls(
            comment=document.get("comment"),
            customer=document.get("customer") or {},
            attributes=document.get("attributes") or {},
            transaction_id=document.get("transaction_id"),
            unusable=frozenset(document.get("unusable") or ()),
        )


class Cell(NamedTuple):
    """What one roll-up is about; scores of different metrics or measurements never meet."""

    day: date
    metric: Metric
    measurement: str
    touchpoint: str
    segment: str
    product: str
    channel: str
    reason: str


@dataclass(slots=True)
class Sums:
    """How many scores, in which bands, with their sum and their sum of squares."""

    n: int = 0
    high: int = 0
    middle: int = 0
    low: int = 0
    total: int = 0
    squares: int = 0

    def count(self, response: Response, sign: int = 1) -> None:
        """Count one scored response in, or with ``sign`` -1 out again."""
        score = response.score or 0
        self.n += sign
        self.total += sign * score
        self.squares += sign * score * score
        if response.category in _HIGH:
            self.high += sign
        elif response.category in _LOW:
            self.low += sign
        else:
            self.middle += sign

    def merge(self, other: Sums) -> None:
        """Take in what a neighbouring cell counted."""
        self.n += other.n
        self.high += other.high
        self.middle += other.middle
        self.low += other.low
        self.total += other.total
        self.squares += other.squares


def cell_of(response: Response) -> Cell:
    """Return the roll-up in which this response counts."""
    return Cell(
        response.day,
        response.metric,
        response.measurement,
        response.touchpoint or UNKNOWN,
        response.segment or UNKNOWN,
        response.product or UNKNOWN,
        response.channel or UNKNOWN,
        response.reason or UNKNOWN,
    )


def moves(
    counted: Iterable[Response], uncounted: Iterable[Response] = ()
) -> Mapping[Cell, Sums]:
    """Return by how much each roll-up changes; those that stay as they are do not appear."""
    changes: dict[Cell, Sums] = {}
    for sign, responses in ((1, counted), (-1, uncounted)):
        for response in responses:
            if response.score is not None:
                changes.setdefault(cell_of(response), Sums()).count(response, sign)
    nothing = Sums()
    return {cell: change for cell, change in changes.items() if change != nothing}
