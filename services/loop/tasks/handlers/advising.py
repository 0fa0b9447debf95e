"""Advice on an act: read beside it, never in its way."""

from __future__ import annotations

from datetime import datetime

from services.loop.tasks import store
from services.loop.tasks.domain.acts import Act
from services.loop.tasks.domain.advice import Advice, advice_on
from services.loop.tasks.domain.attempts import zone_of
from services.loop.tasks.handlers.reading import personal_of
from shared.db.transaction import Reading
from shared.identity.person_keys import PersonKeys


async def advise(
    view: Reading, task_id: str, act: Act, *, person_keys: PersonKeys, now: datetime
) -> tuple[Advice, ...]:
    """Return the advice on an act that was carried out on this task."""
    task = await store.find(view, task_id)
    if task is None:
        return ()
    scheme = await store.scheme_of(view, task.scheme.id, task.scheme.version)
    keys = await person_keys.for_reading(view, [task.person_ref])
    personal = personal_of(task, keys.get(task.person_ref))
    return advice_on(act, scheme, zone_of(personal, scheme), now=now)
