"""What loop knows about a customer, collected for the customer to read."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from services.loop.responses.handlers import is_forgotten
from services.loop.responses.store import of_persons
from services.loop.tasks import store
from services.loop.tasks.domain.facts import Entry
from services.loop.tasks.domain.task import FollowUpTask
from services.loop.themes.handlers import themes_of
from shared.db.transaction import Transaction
from shared.events.ingest import CustomerExportRequested
from shared.identity.forgetting import Part, refs_of
from shared.identity.person_keys import PersonKeys
from shared.identity.person_requests import seal_part

_STAFF_ONLY: Final = frozenset({"owner", "to", "told", "target", "because"})
"""What says which colleague: that is not the customer's own data."""


async def known_of_customer(
    tx: Transaction, event: CustomerExportRequested, *, person_keys: PersonKeys
) -> Part:
    """Return the part of loop: what was found in each answer, and what was done about it.

    The answers themselves, word for word, are in the part of ingest. Nothing personal is left
    of what was erased, and nothing of it is handed out.
    """
    refs = await refs_of(tx, event.person_ref)
    keys = await person_keys.for_reading(tx, refs)
    answers = [one for one in await of_persons(tx, refs) if not is_forgotten(one, keys)]
    themes = await themes_of(tx, [answer.id for answer in answers])
    tasks = [
        task
        for task in await store.lock_tasks_about(tx, persons=refs)
        if not is_forgotten(task, keys)
    ]
    ids = [task.id for task in tasks]
    histories = await store.histories_of(
        tx, ids, readable=frozenset(ids), person_keys=person_keys
    )
    sealed = await seal_part(
        tx,
        person_keys,
        event.person_ref,
        request_id=event.request_id,
        service="loop",
        document={
            "responses": [
                {"id": one.id, "themes": [found.theme_id for found in themes[one.id]]}
                for one in answers
            ],
            "tasks": [_task(task, histories[task.id]) for task in tasks],
        },
    )
    counts = {"responses": len(answers), "tasks": len(tasks)}
    return Part(event=event, counts=counts, sealed=sealed)


def _task(task: FollowUpTask, history: Sequence[Entry]) -> dict[str, Any]:
    record = task.record
    return {
        "id": task.id,
        "about_responses": [task.response_id, *task.other_responses],
        "rule": task.rule_name,
        "state": task.state.value,
        "opened_at": task.opened_at.isoformat(),
        "first_contact_due_at": task.first_contact_due_at.isoformat(),
        "due_at": task.due_at.isoformat(),
        "first_contact_at": _moment(task.first_contact_at),
        "ended_at": _moment(task.ended_at),
        "remedies": [
            {
                "name": each.name,
                "amount": each.amount,
                "currency": each.currency,
                "state": each.state,
            }
            for each in record.remedies
        ],
        "shared_as_an_example": record.example is not None,
        "history": [_line(line) for line in history],
    }


def _line(line: Entry) -> dict[str, Any]:
    return {
        "at": line.at.isoformat(),
        "act": line.act,
        "by": line.by.kind,
        "detail": {
            name: value for name, value in line.detail.items() if name not in _STAFF_ONLY
        },
        "words": dict(line.words),
    }


def _moment(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat()
