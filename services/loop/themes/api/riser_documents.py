"""What ``/v1/risers`` and ``/v1/outer-items`` take and give."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from services.loop.journey.schemas.touchpoints import Id, OwnerIn
from services.loop.themes.domain import Theme
from services.loop.themes.domain.outer_items import OuterItem, Reason, State
from services.loop.themes.domain.risers import Verdict
from shared.stats.intervals import Interval
from shared.stats.rising import Word


class _DaysOut(BaseModel):
    model_config = ConfigDict(populate_by_name=True, serialize_by_alias=True)

    first: date = Field(alias="from")
    last: date = Field(alias="to")


class RiserOut(_DaysOut):
    """A theme in a week, or in several where one can tell nothing, beside the weeks before.

    ``verdict`` is “beyond” or “inside” what was to be expected, or “too_few” to tell. A ratio
    is of shares of all comments; without a past there is neither ratio nor expectation.
    """

    theme_id: str
    name: str
    department: str | None
    verdict: Word
    rises: bool
    sharp: bool
    weeks: int
    mentions: int
    comments: int
    former_mentions: int
    former_comments: int
    former_weeks: int
    expected: float | None
    expected_range: tuple[int, int] | None
    ratio: float | None
    ratio_ci95: Interval | None


class RiserList(BaseModel):
    """The verdicts on a calendar week, those that rise most first."""

    week: date
    data: list[RiserOut]
    next_cursor: str | None
    has_more: bool


class ResponsibleOut(BaseModel):
    """A person or a team."""

    id: str
    kind: Literal["person", "team"]


class EvidenceOut(_DaysOut):
    """Why an item was proposed, as counted in the latest week in which its theme rose."""

    mentions: int
    comments: int
    former_mentions: int
    former_comments: int
    former_weeks: int
    expected: float
    ratio: float
    ratio_ci95: Interval
    rated: int
    detractors: int
    response_ids: list[str]


class OuterItemOut(BaseModel):
    """Something to be looked into, beyond the single customer; its version is the ETag."""

    id: str
    version: int
    theme_id: str
    department: str | None
    state: State
    reason: Reason | None
    merged_into: str | None
    owner: ResponsibleOut | None = Field(description="a guess, until somebody has accepted it")
    evidence: EvidenceOut
    first_week: date
    last_week: date
    proposed_at: AwareDatetime
    decided_at: AwareDatetime | None
    decided_by: str | None


class OuterItemList(BaseModel):
    """Items, the latest first."""

    data: list[OuterItemOut]
    next_cursor: str | None
    has_more: bool


class AcceptIn(BaseModel):
    """Who looks into it; without one the head of the theme's department does."""

    model_config = ConfigDict(extra="forbid", strict=True)

    owner: OwnerIn | None = None


class DismissIn(BaseModel):
    """Why nobody has to look into it."""

    model_config = ConfigDict(extra="forbid", strict=True)

    reason: Annotated[
        Reason,
        Field(
            description="its cause is known, it passes by itself, it is no problem, or the"
            " words mean something else"
        ),
    ]


class MergeIn(BaseModel):
    """The open item that this one becomes a part of."""

    model_config = ConfigDict(extra="forbid", strict=True)

    into: Id


def shown_riser(theme: Theme, verdict: Verdict, language: str | None) -> dict[str, object]:
    """Return a verdict as ``/v1/risers`` shows it."""
    expected, ratio, between = verdict.expected, verdict.ratio, verdict.ci95
    return {
        "theme_id": theme.id,
        "name": theme.name_in(language),
        "department": theme.department,
        "verdict": verdict.word,
        "rises": verdict.rises,
        "sharp": verdict.is_sharp,
        "weeks": verdict.weeks,
        "from": verdict.first,
        "to": verdict.last,
        "mentions": verdict.mentions,
        "comments": verdict.comments,
        "former_mentions": verdict.former_mentions,
        "former_comments": verdict.former_comments,
        "former_weeks": verdict.former_weeks,
        "expected": None if expected is None else round(expected, 2),
        "expected_range": verdict.range95,
        "ratio": None if ratio is None else round(ratio, 2),
        "ratio_ci95": between and (round(between[0], 2), round(between[1], 2)),
    }


def shown_item(item: OuterItem) -> dict[str, object]:
    """Return an item as ``/v1/outer-items`` shows it."""
    return {
        "id": item.id,
        "version": item.version,
        "theme_id": item.theme_id,
        "department": item.department or None,
        "state": item.state,
        "reason": item.reason,
        "merged_into": item.merged_into,
        "owner": item.owner and {"id": item.owner.id, "kind": item.owner.kind},
        "evidence": item.evidence.as_document(),
        "first_week": item.first_week,
        "last_week": item.last_week,
        "proposed_at": item.proposed_at,
        "decided_at": item.decided_at,
        "decided_by": item.decided_by,
    }
