"""Handing out the next task: what breaches first goes first, and whoever asks first gets it."""

from __future__ import annotations

from datetime import datetime

from services.loop.tasks import store
from services.loop.tasks.domain.acts import Claim
from services.loop.tasks.domain.task import FollowUpTask
from services.loop.tasks.handlers.acting import act_on
from services.loop.tasks.handlers.views import reach_of
from shared.db.transaction import Transaction
from shared.identity.person_keys import PersonKeys
from shared.identity.principal import Principal


async def take_next(
    tx: Transaction, *, by: Principal, person_keys: PersonKeys, now: datetime
) -> FollowUpTask | None:
    """Claim the task that breaks its promise first among those that ``by`` may take.

    None where no team of theirs holds a task that waits for somebody. A system with a key may
    take from every team.
    """
    teams = None if by.kind == "key" else (await reach_of(tx, by)).teams
    task_id = await store.next_unclaimed(tx, teams, now=now)
    if task_id is None:
        return None
    return await act_on(
        tx, task_id, Claim(), by=by, expected=None, person_keys=person_keys, now=now
    )
