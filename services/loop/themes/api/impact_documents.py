"""What ``/v1/theme-matrix`` and ``/v1/theme-impacts`` give."""

from __future__ import annotations

from pydantic import BaseModel

from services.loop.themes.schemas import CellOut, ImpactOut, Interval, PeriodOut
from services.loop.themes.store import Dimension
from shared.stats.impact import Points


class _NamedOut(BaseModel):
    id: str
    name: str
    mentions: int


class ThemeRow(_NamedOut):
    """One theme wherever it is mentioned, the most mentioned place first."""

    cells: list[CellOut]


class ThemeMatrix(PeriodOut):
    """Every mentioned theme per touchpoint, segment or product."""

    by: Dimension
    data: list[ThemeRow]
    next_cursor: str | None
    has_more: bool


class PointsOut(BaseModel):
    """Points of the Net Promoter Score, below 0 where they are a cost."""

    points: float
    ci95: Interval


class ThemeImpact(_NamedOut):
    """What a theme costs by leaving it out, and of its own with the others held still.

    ``own`` is null where fewer than ten answers mention it, or fewer than ten do not.
    """

    impact: ImpactOut
    own: PointsOut | None


class ThemeImpactList(PeriodOut):
    """Themes in two views; ``own`` rests on ``n`` answers, at most the latest 5,000."""

    n: int
    data: list[ThemeImpact]
    next_cursor: str | None
    has_more: bool


def shown_points(found: Points | None) -> dict[str, object] | None:
    """Return points with their interval, to one decimal."""
    if found is None:
        return None
    return {
        "points": round(found.points, 1),
        "ci95": tuple(round(end, 1) for end in found.ci95),
    }
