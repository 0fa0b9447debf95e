"""Which themes rise beyond what their past lets expect."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from services.loop.journey.handlers import meant_by
from services.loop.themes import store
from services.loop.themes.domain import Theme
from services.loop.themes.domain.risers import (
    Verdict,
    first_needed,
    latest_week,
    monday_of,
    verdicts_of,
)
from services.loop.themes.handlers.departments import departments
from services.loop.themes.handlers.editing import current_taxonomy
from services.loop.themes.store import Dimension
from shared.db.transaction import Reading
from shared.identity.installation import organisation


async def verdicts(
    view: Reading,
    *,
    department: str | None = None,
    week: date,
    of: Mapping[Dimension, str] | None = None,
) -> Mapping[str, Verdict]:
    """Judge the themes of a department in the calendar week that ``week`` lies in, by id.

    A department is given by its id or its name, "" being nobody's; None stands for every theme,
    each judged among those of its own. Days are UTC. A week that is not over yet is
    judged by what there is of it.
    """
    last = monday_of(week) + timedelta(days=6)
    return await verdicts_until(view, department=department, last=last, of=of)


async def verdicts_until(
    view: Reading,
    *,
    department: str | None = None,
    last: date,
    weeks: int = 1,
    of: Mapping[Dimension, str] | None = None,
) -> Mapping[str, Verdict]:
    """Judge themes in so many weeks up to and with any day, as ``verdicts`` does."""
    taxonomy = (await current_taxonomy(view)).taxonomy
    key = (await departments(view)).key
    families = {
        theme.id: key(theme.department)
        for theme in taxonomy.in_use().themes
        if department is None or key(theme.department) == key(department)
    }
    days = await store.mentions_by_day(
        view,
        first=first_needed(last, weeks=weeks),
        last=last,
        of=await meant_by(view, of or {}),
    )
    return verdicts_of(days, families, last=last, weeks=weeks)


@dataclass(frozen=True, kw_only=True)
class Ranked:
    """The themes of a calendar week, those that rise most first."""

    week: date
    """Its Monday."""
    themes: Sequence[tuple[Theme, Verdict]]


async def ranked(
    view: Reading, *, week: date | None = None, department: str | None = None, now: datetime
) -> Ranked:
    """Judge the themes of the week that a day lies in, or of the latest that is over."""
    here = await organisation(view)
    if week is None:
        week = latest_week(now, ZoneInfo(here.time_zone if here else "UTC"))
    found = await verdicts(view, department=department, week=week)
    themes = {one.id: one for one in (await current_taxonomy(view)).taxonomy.themes}
    order = sorted(found, key=lambda one: (*_order(found[one]), one))
    return Ranked(week=monday_of(week), themes=[(themes[one], found[one]) for one in order])


def _order(verdict: Verdict) -> tuple[bool, bool, float, int]:
    return (
        not verdict.rises,
        verdict.word != "beyond",
        -(verdict.ratio or 0.0) if verdict.rises else 0.0,
        -verdict.mentions,
    )
