"""What ``/v1/themes`` and ``/v1/taxonomy`` give."""

from __future__ import annotations

from datetime import date
from typing import Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from services.loop.responses.domain import Personal, Response
from services.loop.themes.domain.masking import masked, secrets_of
from services.loop.themes.handlers import ThemeSummary
from services.loop.themes.store import MentionRow
from shared.stats.intervals import Estimate, share

Interval = tuple[float, float]


class FormerOut(BaseModel):
    """The period of equal length before."""

    mentions: int
    comments: int
    share: float | None
    share_ci95: Interval | None


class ThemeOut(BaseModel):
    """A theme in a period; ``share`` is its part of all ``comments`` of that period.

    ``detractor_share`` is the part of unhappy customers among the ``rated`` mentions, by score
    or by sentiment; ``enough`` says whether there are enough of them to compare.
    """

    id: str
    name: str
    names: dict[str, str]
    department: str | None
    parent: str | None
    in_use: bool
    mentions: int
    comments: int
    share: float | None
    share_ci95: Interval | None
    previous: FormerOut
    rated: int
    detractors: int
    promoters: int
    detractor_share: float | None
    detractor_share_ci95: Interval | None
    enough: bool


class _PeriodOut(BaseModel):
    model_config = ConfigDict(populate_by_name=True, serialize_by_alias=True)

    first: date = Field(alias="from")
    last: date = Field(alias="to")


class ThemeList(_PeriodOut):
    """Themes, the most mentioned first."""

    comments: int
    data: list[ThemeOut]
    next_cursor: str | None
    has_more: bool


class MentionOut(BaseModel):
    """A response touching the theme; ``comment`` only for those who may read it.

    ``evidence`` counts code points of the comment.
    """

    response_id: str
    answered_at: AwareDatetime
    metric: Literal["nps", "csat", "ces"]
    score: int | None
    category: str | None
    touchpoint: str | None
    segment: str | None
    product: str | None
    confidence: float
    evidence: tuple[int, int] | None
    taxonomy_version: int
    comment: str | None
    erased: bool


class ThemeDetail(_PeriodOut, ThemeOut):
    """One theme with the latest responses that touch it, of any time."""

    latest: list[MentionOut]
    next_cursor: str | None
    has_more: bool


class TaxonomyOut(BaseModel):
    """The taxonomy in use, in the format of its files; its version is the ETag."""

    version: int = 1
    max_themes: Literal[1] | None
    themes: list[dict[str, Any]]


def shown(summary: ThemeSummary, language: str | None) -> dict[str, object]:
    """Return a theme as ``/v1/themes`` shows it, named in the reader's language."""
    theme, counts = summary.theme, summary.counts
    unhappy = share(hits=counts.low, n=counts.rated)
    return {
        "id": theme.id,
        "name": theme.name_in(language),
        "names": dict(theme.names),
        "department": theme.department,
        "parent": theme.parent,
        "in_use": summary.in_use,
        "mentions": counts.mentions,
        "comments": summary.comments,
        **_shown("share", share(hits=counts.mentions, n=summary.comments)),
        "previous": {
            "mentions": summary.former.mentions,
            "comments": summary.former_comments,
            **_shown("share", share(hits=summary.former.mentions, n=summary.former_comments)),
        },
        "rated": counts.rated,
        "detractors": counts.low,
        "promoters": counts.high,
        **_shown("detractor_share", unhappy),
        "enough": unhappy.enough,
    }


def shown_mention(
    mention: MentionRow,
    response: Response,
    person: Personal | None,
    *,
    readable: bool,
    covered: bool,
) -> dict[str, object]:
    """Return a mention as ``/v1/themes/{id}`` shows it; ``person`` None means erased.

    ``covered`` leaves out of the words who said them.
    """
    said = person.comment if person is not None and readable else None
    comment = said
    if covered and person is not None:
        secrets = secrets_of(person.customer, person.attributes, person.transaction_id)
        comment = masked(said, secrets)
    return {
        "response_id": mention.response_id,
        "answered_at": mention.answered_at,
        "metric": response.metric,
        "score": response.score,
        "category": response.category,
        "touchpoint": response.touchpoint,
        "segment": response.segment,
        "product": response.product,
        "confidence": mention.score,
        "evidence": mention.evidence if comment == said else None,
        "taxonomy_version": mention.taxonomy_version,
        "comment": comment,
        "erased": person is None,
    }


def _shown(name: str, estimate: Estimate) -> dict[str, object]:
    between = estimate.ci95
    return {
        name: None if estimate.value is None else round(estimate.value, 4),
        f"{name}_ci95": between and (round(between[0], 4), round(between[1], 4)),
    }
