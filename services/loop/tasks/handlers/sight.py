"""Whose customers a caller may see: the owner's, the team's, and everybody's for a lead.

A head of department sees those of the tasks that need them: that were escalated to them, or
that wait for a yes to a remedy. All others they see as a case, without the person.

Whoever is outside sees that there is a task, its score, place and clocks, and nothing of the
customer; and what one may not see one may not act on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from services.loop.tasks import store
from services.loop.tasks.domain.task import FollowUpTask
from shared.db.transaction import Reading
from shared.identity.groups import teams_without_members
from shared.identity.people import members
from shared.identity.principal import Principal, Role

LEADING = frozenset({Role.LEAD, Role.DEPARTMENT_HEAD, Role.ADMIN})
"""Those who answer for everybody's tasks: they approve, and what is late comes to them."""
_SEEING_ALL = frozenset({Role.LEAD, Role.ADMIN})
_WORKING = frozenset({Role.AGENT, Role.TOUCHPOINT_OWNER, Role.CX_MANAGER, Role.DEPARTMENT_HEAD})
"""Those who work on tasks of their own and of their teams."""


@dataclass(frozen=True, kw_only=True)
class Sight:
    """The owners whose tasks a caller sees with the customer in them."""

    of_all: bool = False
    owners: frozenset[str] = frozenset()
    hands: frozenset[str] = frozenset()
    """The caller and their teams: whoever has yet to do what was promised has to know what."""
    drawn_in: frozenset[str] = frozenset()
    """The tasks that were escalated to a head of department, or that wait for their yes."""

    def covers(self, task: FollowUpTask) -> bool:
        """Tell whether the customer of this task may be shown."""
        return (
            self.of_all
            or task.owner.id in self.owners
            or task.id in self.drawn_in
            or any(
                action.finished is None and action.owner.id in self.hands
                for action in task.record.actions
            )
        )


async def owners_in_sight(view: Reading, caller: Principal) -> frozenset[str] | None:
    """Return the owners whose customers ``caller`` may see; None where it is everybody's."""
    if caller.kind == "key" or caller.role in _SEEING_ALL:
        return None
    if caller.role not in _WORKING:
        return frozenset()
    owners = {caller.id} | caller.teams | await teams_without_members(view)
    for team_id in sorted(caller.teams):
        owners |= {colleague.id for colleague in await members(view, team_id)}
    return frozenset(owners)


async def sight_of(view: Reading, caller: Principal, tasks: Sequence[FollowUpTask]) -> Sight:
    """Return what ``caller`` may see among the owners of these tasks.

    A key sees by its scope. A team without members is everybody's, so that nobody is left
    waiting because no one may look.
    """
    if caller.kind == "key" or caller.role in _SEEING_ALL:
        return Sight(of_all=True)
    hands = caller.teams | {caller.id}
    if caller.role not in _WORKING:
        return Sight(hands=hands)
    owners = {caller.id} | caller.teams
    others = {task.owner for task in tasks if task.owner.id not in owners}
    if any(owner.kind == "person" for owner in others):
        for team_id in sorted(caller.teams):
            owners |= {colleague.id for colleague in await members(view, team_id)}
    for owner in others:
        if owner.kind == "team" and not await members(view, owner.id):
            owners.add(owner.id)
    drawn_in = (
        await _drawn_in(view, hands, tasks)
        if caller.role is Role.DEPARTMENT_HEAD
        else frozenset[str]()
    )
    return Sight(owners=frozenset(owners), hands=hands, drawn_in=drawn_in)


async def _drawn_in(
    view: Reading, hands: frozenset[str], tasks: Sequence[FollowUpTask]
) -> frozenset[str]:
    waiting = {
        task.id
        for task in tasks
        if any(remedy.state == "asked" for remedy in task.record.remedies)
    }
    told = await store.escalated_to(view, sorted(hands), [task.id for task in tasks])
    return told | waiting
