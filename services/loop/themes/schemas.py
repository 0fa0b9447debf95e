"""What ``/v1/themes`` and ``/v1/taxonomy`` give."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import date
from typing import Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from services.loop.responses.domain import Personal, Response
from services.loop.themes.domain.masking import masked, secrets_of
from services.loop.themes.domain.ranking import Impact
from services.loop.themes.domain.taxonomy import Need
from services.loop.themes.handlers import ThemeList as Listed
from services.loop.themes.handlers import ThemeSummary
from services.loop.themes.handlers.impact import Cell, SourceShare
from services.loop.themes.store import Dimension, MentionRow
from shared.stats.impact import Change
from shared.stats.intervals import Estimate, share

Interval = tuple[float, float]


class FormerOut(BaseModel):
    """The period of equal length before."""

    mentions: int
    comments: int
    share: float | None
    share_ci95: Interval | None


class ImpactOut(BaseModel):
    """Points of the Net Promoter Score that a theme costs (below 0) or brings.

    The score of all comments less that of the comments without the theme, transactional
    answers alone; ``n`` mentions have such an answer. ``points`` are null where there are fewer
    than ten on either side. ``rank`` 1 costs most. Association, not cause.
    """

    points: float | None
    ci95: Interval | None
    n: int
    enough: bool
    rank: int | None
    former_rank: int | None


class ThemeOut(BaseModel):
    """A theme in a period; ``share`` is its part of all ``comments`` of that period.

    ``rank`` is by mentions among all themes, ``former_rank`` that of the period before: equals
    share a rank, the unmentioned have none. ``need`` says whether it is about things that work
    (rational), about how it feels (emotional) or both. ``detractor_share`` is the part of
    unhappy customers among the ``rated`` mentions, by score or by sentiment; ``enough`` says
    whether there are enough of them to compare.
    """

    id: str
    name: str
    names: dict[str, str]
    department: str | None
    parent: str | None
    need: Need | None
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
    rank: int | None
    former_rank: int | None
    impact: ImpactOut


class PeriodOut(BaseModel):
    """The days that something is about, both included."""

    model_config = ConfigDict(populate_by_name=True, serialize_by_alias=True)

    first: date = Field(alias="from")
    last: date = Field(alias="to")


class SourceOut(BaseModel):
    """How many of the mentions, or of the comments, one source sent."""

    source: str
    mentions: int
    share: float | None
    share_ci95: Interval | None


class WithoutOut(BaseModel):
    """Comments that touch no theme."""

    mentions: int
    share: float | None
    share_ci95: Interval | None
    previous: FormerOut


class ThemeList(PeriodOut):
    """Themes in the order asked for.

    Where they stand equal, the more mentioned one stands first, then the one with more unhappy
    customers, then by id. ``sources`` tells who sent the comments.
    """

    comments: int
    without_theme: WithoutOut
    sources: list[SourceOut]
    data: list[ThemeOut]
    next_cursor: str | None
    has_more: bool


class MentionOut(BaseModel):
    """A response touching the theme; ``comment`` only for those who may read it.

    ``evidence`` counts code points of the comment; ``by`` is the keyword that decided, as the
    taxonomy lists it, or "example".
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
    by: str | None
    taxonomy_version: int
    comment: str | None
    erased: bool


class CellOut(BaseModel):
    """A theme at one touchpoint, in one segment or of one product.

    ``deviates`` compares the score with that of the theme elsewhere, ``frequency`` the share of
    comments that mention it with the share elsewhere. “no” is within chance; what is beyond is
    decided for all cells of a dimension together (Benjamini-Hochberg, q = 0.10).
    """

    group: dict[str, str]
    mentions: int
    comments: int
    share: float | None
    share_ci95: Interval | None
    score: float | None
    n: int
    promoters: int
    passives: int
    detractors: int
    ci95: Interval | None
    enough: bool
    deviates: Literal["lower", "higher", "no", "too_few"]
    frequency: Literal["more", "fewer", "no", "too_few"]


class MatrixOut(BaseModel):
    """Where the theme is mentioned, in each dimension the most mentioned first."""

    touchpoint: list[CellOut]
    segment: list[CellOut]
    product: list[CellOut]


class DecompositionOut(BaseModel):
    """Why the score of the comments changed since the period before; parts add up to it.

    ``elsewhere``: among comments without the theme. ``feeling``: those who mention it feel
    better or worse beside the others. ``frequency``: more or fewer mention it.
    """

    points: float
    elsewhere: float
    feeling: float
    frequency: float


class ThemeDetail(PeriodOut, ThemeOut):
    """One theme with the latest responses that touch it, of any time.

    ``decomposition`` is null where fewer than ten answers lie in any of the four groups that it
    compares: with and without the theme, now and before.
    """

    matrix: MatrixOut
    sources: list[SourceOut]
    decomposition: DecompositionOut | None
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
        "need": theme.need,
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
        "rank": summary.rank,
        "former_rank": summary.former_rank,
        "impact": shown_impact(summary.impact),
    }


def shown_impact(impact: Impact) -> dict[str, object]:
    """Return what a theme costs as ``/v1/themes`` shows it."""
    return {
        "points": impact.points and round(impact.points, 1),
        "ci95": impact.ci95 and tuple(round(end, 1) for end in impact.ci95),
        "n": impact.n,
        "enough": impact.enough,
        "rank": impact.rank,
        "former_rank": impact.former_rank,
    }


def shown_without(found: Listed) -> dict[str, object]:
    """Return the comments without a theme as ``/v1/themes`` shows them."""
    return {
        "mentions": found.without,
        **_shown("share", share(hits=found.without, n=found.comments)),
        "previous": {
            "mentions": found.former_without,
            "comments": found.former_comments,
            **_shown("share", share(hits=found.former_without, n=found.former_comments)),
        },
    }


def shown_sources(found: Sequence[SourceShare]) -> list[dict[str, object]]:
    """Return who sent the mentions, the most first."""
    return [
        {"source": one.source, "mentions": one.mentions, **_shown("share", one.share)}
        for one in found
    ]


def shown_cells(dimension: Dimension, cells: Sequence[Cell]) -> list[dict[str, object]]:
    """Return where a theme is mentioned, in one dimension."""
    return [
        {
            "group": {dimension: cell.code},
            "mentions": cell.mentions,
            "comments": cell.comments,
            **_shown("share", cell.share),
            **cell.row.as_document(),
            "deviates": cell.deviates,
            "frequency": cell.frequency,
        }
        for cell in cells
    ]


def shown_change(found: Change | None) -> dict[str, float] | None:
    """Return why the score changed, to one decimal."""
    if found is None:
        return None
    return {name: round(value, 1) for name, value in asdict(found).items()}


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
        "by": mention.by,
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
