"""Who gets a new task: whom its rule names, or whoever stands in for that person.

A chain that ends nowhere ends at a team, so that no promise is nobody's.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Literal

from services.loop.journey.domain import Absence, OwnerRef, Workload, absent_at

OwnerKind = Literal["touchpoint_owner", "contact_owner", "team", "person"]
OWNER_KINDS: Final[tuple[OwnerKind, ...]] = (
    "touchpoint_owner",
    "contact_owner",
    "team",
    "person",
)


@dataclass(frozen=True, kw_only=True)
class OwnerChoice:
    """Whom a rule gives its tasks to; ``deputy`` is the id of a person or team."""

    kind: OwnerKind = "touchpoint_owner"
    id: str | None = None
    deputy: str | None = None


OF_TOUCHPOINT: Final = OwnerChoice()
"""Whoever owns the touchpoint that the answer is about."""


@dataclass(frozen=True, kw_only=True)
class StandIn:
    """That somebody can be given no more work now, why, and who does it instead."""

    why: Literal["absent", "full"]
    deputy: str | None


@dataclass(frozen=True, kw_only=True)
class Roster:
    """Who can be given work at one moment."""

    able: frozenset[str]
    """Active persons, and all teams, by id."""
    out: Mapping[str, StandIn] = field(default_factory=dict)
    """Persons who are absent or have as much as they can do, by id."""


@dataclass(frozen=True, kw_only=True)
class Routed:
    """The owner of a new task, and the steps that led there as stable words."""

    owner: OwnerRef
    because: tuple[str, ...]


@dataclass(kw_only=True)
class Desks:
    """Who can take new work; counts along what is given out."""

    last: OwnerRef
    """The team at the end of every chain."""
    able: frozenset[str]
    """Active persons, and all teams, by id."""
    absences: Sequence[Absence]
    workloads: Mapping[str, Workload] = field(default_factory=dict)
    open_tasks: Counter[str] = field(default_factory=Counter)

    def place(
        self,
        choice: OwnerChoice,
        *,
        of_touchpoint: OwnerRef | None,
        contact: OwnerRef | None,
        at: datetime,
    ) -> Routed:
        """Return who gets a task at this moment, by whom its rule names."""
        routed = choose_owner(
            choice,
            of_touchpoint=of_touchpoint,
            contact=contact,
            roster=self._roster(at),
            last=self.last,
        )
        self.open_tasks[routed.owner.id] += 1
        return routed

    def _roster(self, at: datetime) -> Roster:
        full = {
            load.staff_id: StandIn(why="full", deputy=load.deputy_id)
            for load in self.workloads.values()
            if load.most_open is not None and self.open_tasks[load.staff_id] >= load.most_open
        }
        absent = {
            staff_id: StandIn(why="absent", deputy=absence.deputy_id)
            for staff_id, absence in absent_at(self.absences, at).items()
        }
        return Roster(able=self.able, out={**full, **absent})


def choose_owner(
    choice: OwnerChoice,
    *,
    of_touchpoint: OwnerRef | None,
    contact: OwnerRef | None,
    roster: Roster,
    last: OwnerRef,
) -> Routed:
    """Return who gets the task; ``last`` is the team that stands at the end of every chain.

    Each step is told: ``contact_owner:stf_1``, ``absent:stf_1``, ``deputy:stf_2``. Whoever is
    absent, has as much as their limit allows, or left gives it to their own deputy, else to
    the rule's.
    """
    wanted, steps = _wanted(choice, of_touchpoint, contact)
    seen: set[str] = set()
    while wanted is not None and wanted not in seen:
        seen.add(wanted)
        if wanted not in roster.able:
            steps.append(f"gone:{wanted}")
            deputy = None
        elif (out := roster.out.get(wanted)) is None:
            return Routed(owner=_ref(wanted), because=tuple(steps))
        else:
            steps.append(f"{out.why}:{wanted}")
            deputy = out.deputy
        wanted = next(
            (one for one in (deputy, choice.deputy) if one is not None and one not in seen),
            None,
        )
        if wanted is not None:
            steps.append(f"deputy:{wanted}")
    steps.append(f"last:{last.id}")
    return Routed(owner=last, because=tuple(steps))


def _wanted(
    choice: OwnerChoice, of_touchpoint: OwnerRef | None, contact: OwnerRef | None
) -> tuple[str | None, list[str]]:
    of_kind = {"touchpoint_owner": of_touchpoint, "contact_owner": contact}
    wanted = of_kind.get(choice.kind)
    found = wanted.id if wanted else choice.id
    if found is not None:
        return found, [f"{choice.kind}:{found}"]
    steps = [f"no_{choice.kind}"]
    if choice.deputy is not None:
        steps.append(f"deputy:{choice.deputy}")
    return choice.deputy, steps


def _ref(owner_id: str) -> OwnerRef:
    return OwnerRef(id=owner_id, kind="team" if owner_id.startswith("team_") else "person")
