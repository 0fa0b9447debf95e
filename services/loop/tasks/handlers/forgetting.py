"""A customer is forgotten: what loop keeps of them goes, what was counted and done stays."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from services.loop.responses.store import forget
from services.loop.tasks import store
from services.loop.tasks.domain.facts import Entry
from services.loop.tasks.domain.task import SYSTEM
from services.loop.themes.handlers import forget_in_discoveries
from shared.db.transaction import Transaction
from shared.events.ingest import CustomerErased
from shared.identity.erasure import FORGOTTEN
from shared.identity.forgetting import forget_parked, refs_of
from shared.identity.wishes import forget_wishes
from shared.sealing import Keyring


async def forget_customer(
    tx: Transaction, event: CustomerErased, *, keyring: Keyring, now: datetime
) -> Mapping[str, int]:
    """Take a customer, or what they said in some responses, out of everything here.

    Return how much there was, for the certificate. A repetition finds nothing left. The history
    of each task says that it was done, so that nobody wonders at a task without a customer.
    """
    refs = await refs_of(tx, event.person_ref)
    persons = refs if event.whole else []
    tasks = await store.lock_tasks_about(tx, persons=persons, responses=event.response_ids)
    ids = [task.id for task in tasks]
    known = [task for task in tasks if task.sealed_person not in {None, FORGOTTEN}]
    await store.forget_in_tasks(tx, [task.id for task in known])
    counts = {
        "responses": await forget(tx, persons=persons, ids=event.response_ids),
        "tasks": len(known),
        "notes": await store.forget_words(tx, persons=persons, task_ids=ids),
        "search_terms": await store.forget_terms(
            tx, persons=persons, responses=event.response_ids
        ),
        "dead_letters": await forget_parked(
            tx,
            refs,
            only=None if event.whole else frozenset(event.response_ids),
            keyring=keyring,
            now=now,
        ),
    }
    detail = {"reason": event.reason}
    lines = [
        (task, Entry(version=task.version, act="erase", at=now, by=SYSTEM, detail=detail))
        for task in known
    ]
    await store.add_entries(tx, lines)
    await forget_in_discoveries(tx, persons=persons, responses=event.response_ids)
    await forget_wishes(tx, persons)
    return counts
