"""Reading what was discovered, and deciding about it: a theme of its own, or nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

from services.loop.responses.domain import Personal, Response
from services.loop.responses.handlers import open_persons
from services.loop.responses.store import find_all
from services.loop.themes.domain import Theme
from services.loop.themes.domain.counts import EVERY_COMMENT, NO_THEME
from services.loop.themes.domain.discoveries import WEEKS, Discovery, State
from services.loop.themes.domain.revising import free_id
from services.loop.themes.domain.risers import Verdict, first_needed, monday_of, verdicts_of
from services.loop.themes.handlers.discovering import next_night
from services.loop.themes.handlers.editing import add_theme, current_taxonomy
from services.loop.themes.store import mentions_by_day
from services.loop.themes.store.discoveries import (
    Night,
    count_discoveries,
    find_discovery,
    last_night,
    list_discoveries,
    save_discoveries,
    typical_of,
)
from shared.db.transaction import Reading, Transaction
from shared.errors import Conflict, Finding, Invalid, NotFound, Stale
from shared.identity import audit
from shared.identity.groups import department
from shared.identity.person_keys import PersonKeys
from shared.identity.principal import Principal
from shared.stats.intervals import Estimate, share


@dataclass(frozen=True, kw_only=True)
class Week:
    """The comments of a week, from Monday in UTC, and those of them that touch no theme."""

    first: date
    comments: int
    without: int

    @property
    def share(self) -> Estimate:
        """Return the part of the comments that touches no theme."""
        return share(hits=self.without, n=self.comments)


@dataclass(frozen=True, kw_only=True)
class OtherWatch:
    """How much of what customers write no theme covers, week by week, the last whole one last.

    ``verdict`` is what is to be thought of the last one.
    """

    weeks: Sequence[Week]
    verdict: Verdict


@dataclass(frozen=True, kw_only=True)
class Nights:
    """When was looked and when will be, and how many groups wait to be seen once more."""

    last: Night | None
    next_at: datetime | None
    waiting: int
    dismissed: int


@dataclass(frozen=True, kw_only=True)
class Voice:
    """A comment that shows what a group is about; ``person`` None means erased."""

    response: Response
    person: Personal | None = field(repr=False)


async def nights(view: Reading) -> Nights:
    """Return when comments were looked through and when they will be."""
    counts = await count_discoveries(view)
    return Nights(
        last=await last_night(view),
        next_at=await next_night(view),
        waiting=counts.get("waiting", 0),
        dismissed=counts.get("dismissed", 0),
    )


async def watch_other(view: Reading, *, today: date) -> OtherWatch:
    """Tell whether more comments touch no theme than the weeks before let expect.

    Judged is the last whole week, as a theme would be that rises.
    """
    last = monday_of(today) - timedelta(days=1)
    days = await mentions_by_day(view, first=first_needed(last), last=last, of={})
    (verdict,) = verdicts_of(days, {NO_THEME: ""}, last=last).values()
    weeks = [
        Week(
            first=start,
            comments=_within(days.get(EVERY_COMMENT, {}), start),
            without=_within(days.get(NO_THEME, {}), start),
        )
        for start in (last - timedelta(days=6, weeks=n) for n in range(WEEKS - 1, -1, -1))
    ]
    return OtherWatch(weeks=weeks, verdict=verdict)


def _within(days: Mapping[date, int], first: date) -> int:
    return sum(days.get(first + timedelta(days=n), 0) for n in range(7))


async def shown_discoveries(
    view: Reading, state: State, *, after: tuple[int, str] | None = None, most: int
) -> Sequence[Discovery]:
    """Return the groups that somebody may see, the largest first."""
    return await list_discoveries(view, state, after=after, most=most)


async def get_discovery(view: Reading, discovery_id: str) -> Discovery:
    """Return one group; one that was seen in one night only is not there for anybody."""
    return _seen(await find_discovery(view, discovery_id))


async def typical_voices(
    view: Reading, person_keys: PersonKeys, found: Sequence[Discovery], *, readable: bool
) -> Mapping[str, Sequence[Voice]]:
    """Return the comments that show best what each of these groups is about.

    Where they may not be read they are not opened.
    """
    typical = await typical_of(view, [one.id for one in found])
    answers = await find_all(view, [one for ids in typical.values() for one in ids])
    persons = (
        await open_persons(view, person_keys, list(answers.values()))
        if readable
        else dict.fromkeys(answers, Personal())
    )
    return {
        discovery_id: [
            Voice(response=answers[one], person=persons.get(one))
            for one in ids
            if one in answers
        ]
        for discovery_id, ids in typical.items()
    }


async def adopt(
    tx: Transaction,
    discovery_id: str,
    *,
    name: str,
    department_id: str | None,
    theme_id: str | None,
    expected: int | None,
    by: Principal,
    now: datetime,
) -> Discovery:
    """Make a theme of a group, with its words as keywords; a new version of the taxonomy.

    Raises ``Conflict`` for one that was decided about already.
    """
    found = await _to_decide(tx, discovery_id, expected, allowed=("shown",))
    if department_id is not None and await department(tx, department_id) is None:
        raise Invalid("There is no such department.", [_no_department()])
    taxonomy = (await current_taxonomy(tx)).taxonomy
    theme = Theme(
        id=theme_id or free_id(taxonomy, name),
        name=name,
        department=department_id,
        keywords=found.keywords,
    )
    changed = await add_theme(tx, theme, by=by.id, now=now)
    adopted = found.decided(
        "adopted", by=by.id, now=now, theme_id=theme.id, taxonomy_version=changed.version
    )
    await save_discoveries(tx, [adopted])
    detail = {"theme": theme.id, "taxonomy": changed.version, "comments": found.size}
    await audit.record(tx, by, "discovery.adopted", found.id, detail, now=now)
    return adopted


async def dismiss(
    tx: Transaction, discovery_id: str, *, expected: int | None, by: Principal, now: datetime
) -> Discovery:
    """Show a group no more; found again it stays dismissed."""
    found = await _to_decide(tx, discovery_id, expected, allowed=("shown",))
    dismissed = found.decided("dismissed", by=by.id, now=now)
    await save_discoveries(tx, [dismissed])
    await audit.record(tx, by, "discovery.dismissed", found.id, now=now)
    return dismissed


async def restore(
    tx: Transaction, discovery_id: str, *, expected: int | None, by: Principal, now: datetime
) -> Discovery:
    """Show a dismissed group again."""
    found = await _to_decide(tx, discovery_id, expected, allowed=("dismissed",))
    restored = found.decided("shown", by=by.id, now=now)
    await save_discoveries(tx, [restored])
    await audit.record(tx, by, "discovery.restored", found.id, now=now)
    return restored


async def _to_decide(
    tx: Transaction, discovery_id: str, expected: int | None, *, allowed: Sequence[State]
) -> Discovery:
    found = _seen(await find_discovery(tx, discovery_id, to_change=True))
    if expected is not None and expected != found.version:
        raise Stale(
            "This group has changed meanwhile. Read it again, then decide.",
            extra={"version": found.version},
        )
    if found.state not in allowed:
        raise Conflict(
            f"This is possible while a group is {' or '.join(allowed)}; this one is"
            f" {found.state}. Read it again.",
            extra={"state": found.state, "allowed": list(allowed)},
        )
    return found


def _seen(found: Discovery | None) -> Discovery:
    if found is None or found.state == "waiting":
        raise NotFound("There is no discovery with this id. List them at /v1/discoveries.")
    return found


def _no_department() -> Finding:
    return Finding(
        pointer="/department",
        code="unknown",
        detail="no department has this id",
        fix="send the id of one that /v1/departments lists, or leave it out",
    )
