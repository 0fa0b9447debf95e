"""A response as loop knows it, and the one function that says what its score means."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

Metric = Literal["nps", "csat", "ces"]


class Category(StrEnum):
    """What a score says about the customer; the first three for NPS, the others else."""

    DETRACTOR = "detractor"
    PASSIVE = "passive"
    PROMOTER = "promoter"
    DISSATISFIED = "dissatisfied"
    NEUTRAL = "neutral"
    SATISFIED = "satisfied"


@dataclass(frozen=True, kw_only=True)
class Response:
    """One answered survey, or unsolicited feedback; what is personal stays sealed."""

    id: str
    revision: int
    source: str
    external_id: str
    measurement: Literal["transactional", "periodic", "unsolicited"]
    metric: Metric
    score: int | None
    category: Category | None
    sentiment: Literal["negative", "neutral", "positive"] | None
    language: str | None
    touchpoint: str | None
    transaction_id: str | None
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


@dataclass(frozen=True, kw_only=True)
class Personal:
    """The sealed part of a response, opened: never stored, never logged."""

    comment: str | None = field(default=None, repr=False)
    customer: Mapping[str, Any] = field(default_factory=dict, repr=False)
    attributes: Mapping[str, Any] = field(default_factory=dict, repr=False)
