"""Which weeks were judged, and what was said of each theme, in and out of the database."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime

from sqlalchemy import select

from services.loop.themes.domain.risers import Verdict
from services.loop.themes.tables import mentions, riser_weeks, risers
from shared.db.transaction import Reading, Transaction


async def judged_departments(view: Reading, week: date) -> frozenset[str]:
    """Return the departments whose themes were judged in that week."""
    rows = await view.all(select(riser_weeks.c.department).where(riser_weeks.c.week == week))
    return frozenset(row.department for row in rows)


async def judged_themes(view: Reading, week: date) -> Sequence[str]:
    """Return the themes that were judged in that week, whosever they were."""
    rows = await view.all(select(risers.c.theme_id).where(risers.c.week == week))
    return [row.theme_id for row in rows]


async def note_week(tx: Transaction, week: date, department: str, *, now: datetime) -> bool:
    """Write down that a week is judged; False where somebody else did it already."""
    added = await tx.execute(
        tx.insert(riser_weeks)
        .values(week=week, department=department, judged_at=now)
        .on_conflict_do_nothing(index_elements=["week", "department"])
    )
    return added.rowcount == 1


async def add_verdicts(
    tx: Transaction, week: date, department: str, found: Mapping[str, Verdict]
) -> None:
    """Keep what was said of these themes."""
    if found:
        await tx.execute(
            risers.insert(),
            [
                _row(week, department, theme_id, verdict)
                for theme_id, verdict in sorted(found.items())
            ],
        )


async def theme_weeks(
    view: Reading, theme_id: str, *, first: date
) -> Sequence[tuple[date, bool, bool]]:
    """Return the judged weeks of a theme since then: the week, whether it rose, how sharply."""
    rows = await view.all(
        select(risers.c.week, risers.c.rises, risers.c.is_sharp)
        .where(risers.c.theme_id == theme_id, risers.c.week >= first)
        .order_by(risers.c.week)
    )
    return [(row.week, row.rises, row.is_sharp) for row in rows]


async def typical_responses(
    view: Reading, theme_id: str, *, since: datetime, before: datetime, most: int
) -> Sequence[str]:
    """Return the responses that touch a theme most surely, answered in that time."""
    rows = await view.all(
        select(mentions.c.response_id)
        .where(
            mentions.c.theme_id == theme_id,
            mentions.c.answered_at >= since,
            mentions.c.answered_at < before,
        )
        .order_by(mentions.c.score.desc(), mentions.c.response_id)
        .limit(most)
    )
    return [row.response_id for row in rows]


def _row(week: date, department: str, theme_id: str, verdict: Verdict) -> dict[str, object]:
    low, high = verdict.range95 or (None, None)
    ratio_low, ratio_high = verdict.ci95 or (None, None)
    return {
        "week": week,
        "department": department,
        "theme_id": theme_id,
        "word": verdict.word,
        "rises": verdict.rises,
        "is_sharp": verdict.is_sharp,
        "weeks": verdict.weeks,
        "mentions": verdict.mentions,
        "comments": verdict.comments,
        "former_mentions": verdict.former_mentions,
        "former_comments": verdict.former_comments,
        "former_weeks": verdict.former_weeks,
        "expected": verdict.expected,
        "range_low": low,
        "range_high": high,
        "ratio": verdict.ratio,
        "ratio_low": ratio_low,
        "ratio_high": ratio_high,
    }
