"""The views of the queue: which tasks each of them holds for one caller, and how many.

A view says whose tasks and in which state; what else is asked for narrows it further.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, time, timedelta
from typing import Final, TypeVar
from zoneinfo import ZoneInfo

from services.loop.tasks import store
from services.loop.tasks.domain.task import ENDED, OPEN, TaskState
from services.loop.tasks.handlers.search import asked_for
from services.loop.tasks.handlers.sight import LEADING, owners_in_sight
from services.loop.tasks.store import Order, TaskFilter
from shared.db.transaction import Reading
from shared.identity.groups import list_teams, teams_without_members
from shared.identity.principal import Principal
from shared.sealing import Keyring

T = TypeVar("T")

VIEWS: Final = (
    "todo",
    "mine",
    "team",
    "today",
    "overdue",
    "waiting",
    "denied",
    "escalated",
    "open",
    "closed",
)
COUNTED: Final = tuple(name for name in VIEWS if name != "closed")
"""Closed tasks need nobody, so nobody has to know how many there are."""
_SOON: Final = timedelta(hours=2)


@dataclass(frozen=True, kw_only=True)
class Counts:
    """How many tasks stand behind each view, and how pressing the caller's own are."""

    views: Mapping[str, int]
    late: int
    due_soon: int


@dataclass(frozen=True, kw_only=True)
class Reach:
    """Whose tasks are a caller's to do: their own, their teams', or everybody's."""

    me: str
    teams: frozenset[str]
    leads: bool

    @property
    def owners(self) -> frozenset[str] | None:
        """Return whose tasks the views show that are about more than the caller's own."""
        return None if self.leads else self.teams | {self.me}


@dataclass(frozen=True, kw_only=True)
class Sought:
    """What somebody asks for: a view, and what narrows it; None narrows nothing."""

    view: str | None = None
    states: frozenset[TaskState] | None = None
    owner: str | None = None
    overdue: bool | None = None
    touchpoint: str | None = None
    segment: str | None = None
    product: str | None = None
    metric: str | None = None
    theme: str | None = None
    scores: tuple[int, int] | None = None
    scored: bool | None = None
    response_id: str | None = None
    text: str = field(default="", repr=False)


async def reach_of(view: Reading, caller: Principal) -> Reach:
    """Return whose tasks are the caller's to do.

    Beside their own these are, for whoever leads, all teams', and for everybody those of teams
    without members, so that no task waits where nobody looks.
    """
    leads = caller.role in LEADING
    if leads:
        teams = frozenset(team.id for team in await list_teams(view))
    else:
        teams = await teams_without_members(view)
    return Reach(me=caller.id, teams=caller.teams | teams, leads=leads)


def order_of(name: str) -> Order:
    """Return by what a view is ordered."""
    return "ended" if name == "closed" else "due"


def filter_of(name: str, reach: Reach, caller: Principal, *, now: datetime) -> TaskFilter:
    """Return what a view holds; ``open`` for a name that is none."""
    plain = TaskFilter(states=OPEN)
    everything = replace(plain, owners=reach.owners)
    # What was put off is no work of now; it stays where all open tasks and the late ones stand.
    now_due = replace(plain, snoozed_at=now)
    mine = replace(now_due, owners=frozenset({reach.me}))
    views = {
        "todo": replace(now_due, owners=reach.teams | {reach.me}),
        "mine": mine,
        "team": replace(now_due, owners=reach.teams),
        "today": replace(
            everything,
            snoozed_at=now,
            due_from=now,
            due_before=_midnight_after(now, caller),
        ),
        "overdue": replace(everything, due_before=now),
        "waiting": replace(everything, states=frozenset({TaskState.WAITING_CUSTOMER})),
        "denied": replace(everything, denied=True),
        "escalated": replace(plain, escalated_to=caller.teams | {caller.id}),
        "closed": TaskFilter(states=ENDED),
    }
    return views.get(name, plain)


async def wanted_of(
    view: Reading, sought: Sought, caller: Principal, *, keyring: Keyring, now: datetime
) -> TaskFilter:
    """Return the tasks that ``caller`` asks for.

    By words they find only what they may see, whatever is made of it: a hit alone, or a number
    of hits, would tell whose task it is.
    """
    wanted = TaskFilter()
    if sought.view is not None:
        reach = await reach_of(view, caller)
        wanted = filter_of(sought.view, reach, caller, now=now)
    owner = caller.id if sought.owner == "me" else sought.owner
    owners = _both(wanted.owners, None if owner is None else frozenset({owner}))
    if sought.text:
        owners = _both(owners, await owners_in_sight(view, caller))
    return replace(
        wanted,
        states=_both(wanted.states, sought.states),
        owners=owners,
        overdue=sought.overdue,
        touchpoint=sought.touchpoint,
        segment=sought.segment,
        product=sought.product,
        metric=sought.metric,
        theme=sought.theme,
        scores=sought.scores,
        scored=sought.scored,
        response_id=sought.response_id,
        terms=asked_for(keyring, sought.text),
    )


def _both(one: frozenset[T] | None, other: frozenset[T] | None) -> frozenset[T] | None:
    if one is None or other is None:
        return other if one is None else one
    return one & other


async def counts_of(view: Reading, caller: Principal, reach: Reach, *, now: datetime) -> Counts:
    """Count what stands behind each view."""
    views = {name: filter_of(name, reach, caller, now=now) for name in COUNTED}
    pressing = {
        "late": replace(views["mine"], due_before=now),
        "due_soon": replace(views["mine"], due_from=now, due_before=now + _SOON),
    }
    found = await store.counts_of(view, {**views, **pressing}, now=now)
    return Counts(
        views={name: found[name] for name in COUNTED},
        late=found["late"],
        due_soon=found["due_soon"],
    )


def _midnight_after(now: datetime, caller: Principal) -> datetime:
    """Return when the caller's day ends, on their own clock."""
    zone = ZoneInfo(caller.time_zone)
    tomorrow = now.astimezone(zone).date() + timedelta(days=1)
    return datetime.combine(tomorrow, time(), zone)
