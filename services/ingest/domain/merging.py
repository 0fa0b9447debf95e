"""Many parts, one response: whatever order they arrive in, they end in one state.

The later ``answered_at`` wins, then the later arrival; a part that lacks a member does not
blank it. Merging is a fold over the parts in that order, so that it depends on the set of
parts and on nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING, Any

from services.ingest.domain.part import Part
from shared.errors import Finding, Invalid
from shared.stats.categories import RANGES, Metric

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Posted:
    """A part and its arrival; ``revision`` counts the arrivals under one natural key."""

    part: Part
    revision: int
    received_at: datetime

    @property
    def rank(self) -> tuple[datetime, datetime, int]:
        """Return what decides between parts; one without a time was answered on arrival."""
        return self.part.answered_at or self.received_at, self.received_at, self.revision


@dataclass(frozen=True, slots=True, kw_only=True)
class Merged:
    """What all parts together say, and when that was answered."""

    part: Part
    answered_at: datetime


def merge(posted: Sequence[Posted]) -> Merged:
    """Return the one response that these parts make, in whatever order they are given."""
    ranked = sorted(posted, key=lambda one: one.rank)
    part = reduce(_laid_over, (one.part for one in ranked))
    return Merged(part=part, answered_at=part.answered_at or ranked[-1].received_at)


def _laid_over(earlier: Part, later: Part) -> Part:
    return Part(
        clear={**earlier.clear, **later.clear},
        answered_at=later.answered_at or earlier.answered_at,
        transaction_id=later.transaction_id or earlier.transaction_id,
        comment=earlier.comment if later.comment is None else later.comment,
        customer=_customer(earlier.customer, later.customer),
        attributes={**earlier.attributes, **later.attributes},
    )


def _customer(earlier: Mapping[str, Any], later: Mapping[str, Any]) -> Mapping[str, Any]:
    """Add what is new; another person's block replaces the whole, so that no two mix."""
    for name in ("id", "email"):
        if name in earlier and name in later:
            if str(earlier[name]).strip().lower() != str(later[name]).strip().lower():
                return later
            break
    merged = {**earlier, **later}
    for name in ("annual_value", "consent"):
        if name in earlier and name in later:
            merged[name] = {**earlier[name], **later[name]}
    return merged


def measurement_of(clear: Mapping[str, Any]) -> str:
    """Return the kind of measurement: as it was said, else by whether there is a score.

    Without a score nobody can have been asked for one: only a hook's part may be so, and it
    becomes transactional once a later part brings the score.
    """
    said = clear.get("measurement")
    if said is not None:
        return str(said)
    return "unsolicited" if clear.get("score") is None else "transactional"


def check(part: Part, *, may_lack_score: bool = False) -> None:
    """Raise ``Invalid`` if the members fit each on its own but not together."""
    metric = part.clear.get("metric", "nps")
    score = part.clear.get("score")
    lowest, highest = RANGES[metric]
    if score is not None and not lowest <= score <= highest:
        raise Invalid(
            "The score does not fit the metric that earlier parts of this response named.",
            [score_out_of_range(metric)],
        )
    said = part.clear.get("measurement")
    if score is None and said != "unsolicited" and (said is not None or not may_lack_score):
        raise Invalid(
            "A response needs a score.",
            [
                Finding(
                    pointer="/score",
                    code="missing",
                    detail="There is no score.",
                    fix=f"Send an integer from {lowest} to {highest}, or measurement"
                    ' "unsolicited" for feedback without a score.',
                )
            ],
        )


def score_out_of_range(metric: Metric) -> Finding:
    """Return the finding for a score outside its metric's range."""
    lowest, highest = RANGES[metric]
    return Finding(
        pointer="/score",
        code="out_of_range",
        detail=f"The score is outside the range of {metric}.",
        fix=f"Send an integer from {lowest} to {highest}.",
    )
