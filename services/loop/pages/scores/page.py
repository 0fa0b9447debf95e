"""What the page of scores shows: the names that its template may use."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from shared.web.forms import Form, Option


@dataclass(frozen=True, kw_only=True)
class Line:
    """The score of one group, with everything said that belongs to it."""

    name: str
    href: str
    score: str
    """As text; empty where there are too few answers for a number."""
    interval: str
    beside: str
    """How it lies to the score of all these answers together, in words."""
    n: int
    promoters: int
    passives: int
    detractors: int


@dataclass(frozen=True, kw_only=True)
class Column:
    """A column that the rows can be sorted by."""

    name: str
    label: str
    href: str
    sorted: str
    """``ascending``, ``descending``, or empty."""


@dataclass(frozen=True, kw_only=True)
class Narrowed:
    """A filter that holds, and the address without it."""

    label: str
    value: str
    without: str


@dataclass(frozen=True, kw_only=True)
class ScoresPage:
    """What the page of scores shows."""

    first: date
    last: date
    sentence: str
    filters: Form
    metrics: Sequence[Option]
    measurements: Sequence[Option]
    groups: Sequence[Option]
    periods: Sequence[Option]
    choices: Sequence[tuple[str, str, Sequence[Option]]]
    """The filters one can choose: the field, its label, what it offers."""
    hidden: Mapping[str, str]
    narrowed: Sequence[Narrowed]
    bands: tuple[str, str, str]
    """What the lowest, the middle and the highest answers are called."""
    columns: Sequence[Column]
    lines: Sequence[Line]
    more: int
    """How many rows the page leaves out; the file has them."""
    csv: str
    json: str
