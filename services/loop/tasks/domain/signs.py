"""Five signs that numbers are made instead of customers helped: each is a reason to look.

None of them is a verdict, and none of them ranks people: they name cases, and a lead asks.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from shared.stats.intervals import share

BURST_WITHIN: Final = timedelta(hours=1)
BURST_OF: Final = 5
LAST_MINUTE: Final = timedelta(minutes=30)
PASTED_ON: Final = 3
PASTED_LENGTH: Final = 15
GAP_ANSWERS: Final = 10
GAP_SHARE: Final = 0.7
SPIKE_ANSWERS: Final = 10


@dataclass(frozen=True, kw_only=True)
class EndedTask:
    """What the signs look at in a task that staff ended."""

    id: str
    ended_at: datetime
    ended_by: str
    due_at: datetime
    attempts: int
    confirmed: bool = False
    denied: bool = False
    notes: Sequence[str] = field(default=(), repr=False)


@dataclass(frozen=True, kw_only=True)
class Gap:
    """What customers say of what staff closed; silence is no answer."""

    closed: int
    confirmed: int
    denied: int

    @property
    def is_odd(self) -> bool:
        """Tell whether too many of those who answered say no."""
        answers = self.confirmed + self.denied
        return answers >= GAP_ANSWERS and self.confirmed < GAP_SHARE * answers


@dataclass(frozen=True, kw_only=True)
class TopScores:
    """How many of one touchpoint's answers were top scores, lately and before."""

    touchpoint: str
    top: int
    n: int
    top_before: int
    n_before: int


def without_attempt(ended: Sequence[EndedTask]) -> Sequence[str]:
    """Return the tasks that were ended although nobody tried to reach the customer."""
    return [task.id for task in _in_order(ended) if task.attempts == 0]


def same_note(ended: Sequence[EndedTask]) -> Sequence[Sequence[str]]:
    """Return the groups of tasks that carry the same note, word for word."""
    found: dict[str, list[str]] = defaultdict(list)
    for task in _in_order(ended):
        for text in {" ".join(note.casefold().split()) for note in task.notes}:
            if len(text) >= PASTED_LENGTH:
                found[text].append(task.id)
    return [ids for ids in found.values() if len(ids) >= PASTED_ON]


def bursts(ended: Sequence[EndedTask]) -> Sequence[Sequence[str]]:
    """Return the groups of tasks that one person ended in a row just before their deadlines."""
    by_person: dict[str, list[EndedTask]] = defaultdict(list)
    for task in _in_order(ended):
        if timedelta() <= task.due_at - task.ended_at <= LAST_MINUTE:
            by_person[task.ended_by].append(task)
    groups = [group for tasks in by_person.values() for group in _runs(tasks)]
    return [[task.id for task in group] for group in groups if len(group) >= BURST_OF]


def gap(ended: Sequence[EndedTask]) -> Gap:
    """Return how far what staff closed and what customers confirmed lie apart."""
    return Gap(
        closed=len(ended),
        confirmed=sum(task.confirmed for task in ended),
        denied=sum(task.denied and not task.confirmed for task in ended),
    )


def spikes(scores: Sequence[TopScores]) -> Sequence[TopScores]:
    """Return the touchpoints with more top scores than chance makes of what was usual."""
    odd = []
    for one in scores:
        if one.n < SPIKE_ANSWERS or one.n_before < SPIKE_ANSWERS:
            continue
        now = share(hits=one.top, n=one.n).ci95
        before = share(hits=one.top_before, n=one.n_before).ci95
        if now is not None and before is not None and now[0] > before[1]:
            odd.append(one)
    return sorted(odd, key=lambda one: one.touchpoint)


def _in_order(ended: Sequence[EndedTask]) -> Sequence[EndedTask]:
    return sorted(ended, key=lambda task: (task.ended_at, task.id))


def _runs(tasks: Sequence[EndedTask]) -> Sequence[Sequence[EndedTask]]:
    """Cut tasks in the order of their ends where one begins too long after the first."""
    runs: list[list[EndedTask]] = []
    for task in tasks:
        if runs and task.ended_at - runs[-1][0].ended_at <= BURST_WITHIN:
            runs[-1].append(task)
        else:
            runs.append([task])
    return runs
