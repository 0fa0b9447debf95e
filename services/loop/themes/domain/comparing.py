"""What another taxonomy would find in the same responses, added up response by response.

The sums do not depend on the order of the responses, and two parts add up to the whole; so a
comparison may be made in slices, put aside and taken up again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Final

MOST_EXAMPLES: Final = 5


@dataclass(frozen=True, kw_only=True)
class ThemeShift:
    """One theme before and after, with a few responses that came to it and that left it."""

    theme_id: str
    before: int
    after: int
    gained: int
    lost: int
    gained_ids: tuple[str, ...] = ()
    lost_ids: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Move:
    """Responses that lost one theme and gained another."""

    theme_id: str
    to: str
    responses: int


@dataclass
class Comparison:
    """The sums so far; ids of examples are the smallest, so that any order gives the same."""

    responses: int = 0
    changed: int = 0
    without_before: int = 0
    without_after: int = 0
    before: Counter[str] = field(default_factory=Counter)
    after: Counter[str] = field(default_factory=Counter)
    gained: Counter[str] = field(default_factory=Counter)
    lost: Counter[str] = field(default_factory=Counter)
    moved: Counter[tuple[str, str]] = field(default_factory=Counter)
    gained_ids: dict[str, list[str]] = field(default_factory=dict)
    lost_ids: dict[str, list[str]] = field(default_factory=dict)

    def add(self, response_id: str, before: Collection[str], after: Collection[str]) -> None:
        """Count one response with the themes it has and those it would have."""
        was, would = set(before), set(after)
        gained, lost = sorted(would - was), sorted(was - would)
        self.responses += 1
        self.changed += was != would
        self.without_before += not was
        self.without_after += not would
        self.before.update(was)
        self.after.update(would)
        self.gained.update(gained)
        self.lost.update(lost)
        self.moved.update((one, to) for one in lost for to in gained)
        for themes, ids in ((gained, self.gained_ids), (lost, self.lost_ids)):
            for theme_id in themes:
                _keep(ids.setdefault(theme_id, []), response_id)

    def shifts(self) -> Sequence[ThemeShift]:
        """Return every theme that is there before or after, the most changed first."""
        shifts = [
            ThemeShift(
                theme_id=theme_id,
                before=self.before[theme_id],
                after=self.after[theme_id],
                gained=self.gained[theme_id],
                lost=self.lost[theme_id],
                gained_ids=tuple(self.gained_ids.get(theme_id, ())),
                lost_ids=tuple(self.lost_ids.get(theme_id, ())),
            )
            for theme_id in self.before.keys() | self.after.keys()
        ]
        shifts.sort(key=lambda one: (-one.gained - one.lost, -one.after, one.theme_id))
        return shifts

    def moves(self, most: int) -> Sequence[Move]:
        """Return the ways that most responses would go from one theme to another."""
        ranked = sorted(self.moved.items(), key=lambda item: (-item[1], item[0]))
        return [Move(theme_id=one, to=to, responses=n) for (one, to), n in ranked[:most]]


def _keep(ids: list[str], response_id: str) -> None:
    """Keep the smallest ids, in their order."""
    ids.append(response_id)
    ids.sort()
    del ids[MOST_EXAMPLES:]
