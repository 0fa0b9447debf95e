"""Once a week and department: what rises is written down, told, and proposed to be looked into.

Everything of one department is written in one transaction with the note that it is done, so
that nothing is told twice and nothing is half told, wherever the program dies.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from services.loop.themes import store
from services.loop.themes.domain import Theme
from services.loop.themes.domain.counts import Counts
from services.loop.themes.domain.outer_items import (
    TYPICAL,
    Evidence,
    OuterItem,
    evidence_of,
)
from services.loop.themes.domain.risers import Verdict, latest_week
from services.loop.themes.handlers.departments import answering_for, departments, head_of
from services.loop.themes.handlers.editing import current_taxonomy
from services.loop.themes.handlers.risers import verdicts
from services.loop.themes.store import outer_items, risers
from shared.db.transaction import Reading, Transaction
from shared.events.loop import OwnerRef, ThemeRising
from shared.identity.installation import organisation
from shared.ids import new_id


@dataclass(frozen=True, kw_only=True)
class Due:
    """A week that is over, and the departments whose themes are to be judged in it."""

    week: date
    departments: Sequence[str]


async def due_week(view: Reading, *, now: datetime) -> Due:
    """Return the latest week that is over, here and by UTC, and who was not judged in it yet.

    Weeks before it are history, which nobody is told of.
    """
    here = await organisation(view)
    week = latest_week(now, ZoneInfo(here.time_zone if here else "UTC"))
    taxonomy = (await current_taxonomy(view)).taxonomy.in_use()
    judged = await risers.judged_departments(view, week)
    key = (await departments(view)).key
    waiting = {key(theme.department) for theme in taxonomy.themes} - judged
    # Without a past nothing can be judged, and nobody need take the one writer's time for it.
    if waiting and not _have_past(await verdicts(view, week=week)):
        waiting = set()
    return Due(week=week, departments=sorted(waiting))


def _have_past(found: Mapping[str, Verdict]) -> bool:
    """Tell whether there was something to compare the week with."""
    return any(verdict.expected is not None for verdict in found.values())


async def judge_week(tx: Transaction, week: date, department: str, *, now: datetime) -> int:
    """Judge a department's themes in a week that is over; return how many rise sharply.

    Before there is a past to compare with nothing is judged, and the week stays due. A second
    call finds it done.
    """
    department = (await departments(tx)).key(department)
    judged = await verdicts(tx, department=department, week=week)
    if not _have_past(judged) or not await risers.note_week(tx, week, department, now=now):
        return 0
    found = {
        theme_id: verdict
        for theme_id, verdict in judged.items()
        if verdict.mentions + verdict.former_mentions
    }
    # A theme that another department has got since was judged where it was.
    for theme_id in await risers.judged_themes(tx, week):
        found.pop(theme_id, None)
    await risers.add_verdicts(tx, week, department, found)
    themes = {one.id: one for one in (await current_taxonomy(tx)).taxonomy.themes}
    sharp = sorted(theme_id for theme_id, verdict in found.items() if verdict.is_sharp)
    told = 0
    for theme_id in sharp:
        told += await _alert(tx, themes[theme_id], found[theme_id], week, now=now)
    return told


async def _alert(
    tx: Transaction, theme: Theme, verdict: Verdict, week: date, *, now: datetime
) -> bool:
    """Announce a rise and propose to look into it; praise that rises alarms nobody."""
    counts = await _counts(tx, theme.id, verdict)
    if counts.high > counts.low:
        return False
    evidence = evidence_of(
        verdict,
        rated=counts.rated,
        unhappy=counts.low,
        response_ids=tuple(
            await risers.typical_responses(
                tx,
                theme.id,
                since=_midnight(verdict.first),
                before=_midnight(verdict.last + timedelta(days=1)),
                most=TYPICAL,
            )
        ),
    )
    item = await _proposed(tx, theme, evidence, week, now=now)
    told = (
        []
        if item.is_at_rest(week)
        else await answering_for(tx, theme.department or "", now=now)
    )
    document = evidence.as_document()
    tx.announce(
        ThemeRising(
            theme_id=theme.id,
            name=theme.name,
            names=dict(theme.names),
            department=theme.department,
            week=week,
            first=evidence.first,
            last=evidence.last,
            item_id=item.id,
            to=[OwnerRef(id=one.id, kind=one.kind) for one in told],
            **{
                name: document[name]
                for name in (
                    "mentions",
                    "comments",
                    "former_mentions",
                    "former_comments",
                    "former_weeks",
                    "expected",
                    "ratio",
                    "ratio_ci95",
                    "rated",
                    "detractors",
                    "response_ids",
                )
            },
        ),
        key=theme.id[:80],
        at=now,
    )
    return True


async def _counts(view: Reading, theme_id: str, verdict: Verdict) -> Counts:
    found: Mapping[str, Counts] = await store.counts_by_theme(
        view, first=verdict.first, last=verdict.last, of={}
    )
    return found.get(theme_id, Counts())


async def _proposed(
    tx: Transaction, theme: Theme, evidence: Evidence, week: date, *, now: datetime
) -> OuterItem:
    """Return the item of a theme: the open one, one dismissed lately, or a new one.

    What rises again while somebody is at it adds to what they have.
    """
    known = await outer_items.latest_item_of(tx, theme.id)
    if known is not None and known.state == "merged" and known.merged_into is not None:
        known = await outer_items.find_item(tx, known.merged_into)
    if known is not None and known.is_at_rest(week):
        return known
    if known is not None and known.is_open:
        if known.theme_id != theme.id:
            return known
        again = known.risen_again(evidence, week)
        return again if await outer_items.save_item(tx, again) else known
    item = OuterItem(
        id=new_id("oit"),
        theme_id=theme.id,
        department=(await departments(tx)).key(theme.department),
        state="proposed",
        owner=await head_of(tx, theme.department or ""),
        evidence=evidence,
        first_week=week,
        last_week=week,
        version=1,
        proposed_at=now,
    )
    await outer_items.add_item(tx, item)
    return item


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)
