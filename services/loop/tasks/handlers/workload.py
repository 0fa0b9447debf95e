"""What a lead looks at: load, ageing, and the signs that numbers are made.

People stand in the order of their names. There is nothing here that could be sorted by how
many tasks somebody closed, how fast, or with which score.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final

from services.loop.responses.store import ScoreFilter, sums_by
from services.loop.tasks.domain import signs
from services.loop.tasks.domain.signs import EndedTask, Gap, TopScores
from services.loop.tasks.domain.task import ENDED
from services.loop.tasks.handlers.reading import TaskView, list_tasks
from services.loop.tasks.store import TaskFilter
from services.loop.tasks.store.workload import Load, ages, loads
from shared.db.transaction import Reading
from shared.identity.owners import owners
from shared.identity.person_keys import PersonKeys
from shared.identity.principal import Principal

PERIOD: Final = timedelta(days=30)
MOST: Final = 500
"""Of the tasks that ended in the period, the latest are looked at."""
_LATELY: Final = timedelta(days=7)
_USUALLY: Final = timedelta(weeks=12)
_DAYS: Final = (1, 3, 7)
_BY_THE_PROGRAM: Final = frozenset({"system", "customer"})
_NO_CALL_NEEDED: Final = frozenset({"customer_revised", "duplicate"})


@dataclass(frozen=True, kw_only=True)
class NamedLoad:
    """What somebody has to do, under their name."""

    name: str
    load: Load


@dataclass(frozen=True, kw_only=True)
class Signs:
    """The five signs; ids of tasks, the earliest first."""

    looked_at: int
    without_attempt: Sequence[str]
    same_note: Sequence[Sequence[str]]
    bursts: Sequence[Sequence[str]]
    gap: Gap
    spikes: Sequence[TopScores]


@dataclass(frozen=True, kw_only=True)
class Workload:
    """How a house is doing."""

    loads: Sequence[NamedLoad]
    open: int
    waiting_days: Mapping[int, int]
    """How many customers have waited for at least so many days."""
    signs: Signs


async def workload(
    view: Reading, *, caller: Principal, person_keys: PersonKeys, now: datetime
) -> Workload:
    """Return load, ageing and signs as they are now."""
    found = await loads(view, now=now)
    names = await owners(view, [load.owner_id for load in found])
    borders = {f"d{days}": now - timedelta(days=days) for days in _DAYS}
    aged = await ages(view, borders)
    return Workload(
        loads=sorted(
            (
                NamedLoad(
                    name=names[load.owner_id].name if load.owner_id in names else load.owner_id,
                    load=load,
                )
                for load in found
            ),
            key=lambda one: one.name.casefold(),
        ),
        open=sum(load.open for load in found),
        waiting_days={days: aged[f"d{days}"] for days in _DAYS},
        signs=await _signs(view, caller=caller, person_keys=person_keys, now=now),
    )


async def _signs(
    view: Reading, *, caller: Principal, person_keys: PersonKeys, now: datetime
) -> Signs:
    seen = await list_tasks(
        view,
        TaskFilter(states=ENDED),
        caller=caller,
        person_keys=person_keys,
        now=now,
        after=None,
        most=MOST,
        order="ended",
    )
    ended = [task for each in seen if (task := ended_task(each, since=now - PERIOD))]
    return Signs(
        looked_at=len(ended),
        without_attempt=signs.without_attempt(ended),
        same_note=signs.same_note(ended),
        bursts=signs.bursts(ended),
        gap=signs.gap(ended),
        spikes=signs.spikes(await _top_scores(view, now.date())),
    )


def ended_task(seen: TaskView, *, since: datetime) -> EndedTask | None:
    """Return what the signs look at; None for what no member of staff ended in the period.

    What needed no call because the customer took it back, or another task covers it, is no
    sign of anything.
    """
    task, record = seen.task, seen.task.record
    done = record.resolution or record.closure
    if task.ended_at is None or task.ended_at < since or done is None:
        return None
    if done.by.kind in _BY_THE_PROGRAM:
        return None
    if record.closure is not None and record.closure.reason in _NO_CALL_NEEDED:
        return None
    return EndedTask(
        id=task.id,
        ended_at=done.at,
        ended_by=done.by.id,
        due_at=task.due_at,
        attempts=len(record.attempts),
        confirmed=task.is_confirmed_by_customer,
        denied=bool(record.denials),
        notes=[
            text
            for entry in seen.history
            for name, text in entry.words.items()
            if entry.by.id == done.by.id and name in {"note", "text", "root_cause"}
        ],
    )


async def _top_scores(view: Reading, today: date) -> Sequence[TopScores]:
    async def sums(first: date, last: date) -> Mapping[Any, Any]:
        wanted = ScoreFilter(
            metric="nps", measurement="transactional", first=first, last=last, of={}
        )
        return await sums_by(view, wanted, "touchpoint", meant=())

    begin = today - _LATELY
    lately = await sums(begin + timedelta(days=1), today)
    before = await sums(begin - _USUALLY, begin)
    return [
        TopScores(
            touchpoint=name,
            top=now.high,
            n=now.n,
            top_before=before[name].high,
            n_before=before[name].n,
        )
        for name, now in lately.items()
        if name in before
    ]
