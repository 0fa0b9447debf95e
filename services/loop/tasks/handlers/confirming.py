"""The customer's own word on a resolved task, by the signed link in our mail: yes or no.

Showing the question changes nothing. Each link belongs to one resolution: when the task was
opened again, or resolved anew, the former link only says so.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from services.loop.journey.store import named
from services.loop.responses.handlers import is_forgotten
from services.loop.responses.store import find
from services.loop.tasks import store
from services.loop.tasks.domain.acts import Confirm, Reopen
from services.loop.tasks.domain.playbook import carry_out
from services.loop.tasks.domain.task import (
    CUSTOMER,
    Asked,
    FollowUpTask,
    TaskState,
)
from services.loop.tasks.handlers.acting import keep
from shared import links
from shared.db.transaction import Reading, Transaction
from shared.errors import Gone, NotFound
from shared.identity.owners import Owner, owners
from shared.identity.person_keys import PersonKeys
from shared.sealing import Keyring

PURPOSE: Final = "settled"
"""What these links are good for."""

Standing = Literal["asked", "confirmed", "reopened", "resolved_anew", "over"]


@dataclass(frozen=True, kw_only=True)
class Question:
    """What a customer who opens the link is asked, and whom they may turn to instead."""

    standing: Standing
    language: str | None
    touchpoint: str | None
    answered_at: datetime | None
    contact: Owner | None


async def read_question(
    view: Reading, token: str, *, keyring: Keyring, person_keys: PersonKeys, now: datetime
) -> Question:
    """Return what the holder of this link is asked.

    Raises ``NotFound`` for what we never signed and ``Gone`` when its time is over, or when the
    customer has been forgotten.
    """
    task_id, entry = _subject_of(token, keyring, now)
    task = await store.find(view, task_id)
    if task is None or await _is_forgotten(view, task, person_keys):
        raise _forgotten()
    answer = await find(view, task.response_id)
    names = await named(view)
    resolution = task.record.resolution
    asking = resolution.asking if resolution else None
    return Question(
        standing=_standing(task, entry),
        language=asking.language if isinstance(asking, Asked) else None,
        touchpoint=names.get(task.touchpoint or ""),
        answered_at=answer.answered_at if answer else None,
        contact=await _contact(view, task),
    )


async def take_answer(
    tx: Transaction,
    token: str,
    *,
    settled: bool,
    words: str,
    keyring: Keyring,
    person_keys: PersonKeys,
    now: datetime,
) -> Standing:
    """Take the customer's yes or no; return how the matter stands now.

    An answer that comes twice, or after somebody else moved the task on, changes nothing.
    """
    task_id, entry = _subject_of(token, keyring, now)
    task = await store.find_for_change(tx, task_id)
    if task is None or await _is_forgotten(tx, task, person_keys):
        raise _forgotten()
    if (standing := _standing(task, entry)) != "asked":
        return standing
    act = Confirm() if settled else Reopen(reason=words)
    acted = carry_out(task, act, by=CUSTOMER, now=now)
    await keep(tx, task, acted, person_keys=person_keys, now=now)
    return _standing(acted.task, entry)


def _subject_of(token: str, keyring: Keyring, now: datetime) -> tuple[str, int]:
    task_id, _, entry = links.read(keyring, PURPOSE, token, now).partition(".")
    if not entry.isdigit():
        raise NotFound("This link is not complete. Open it from the mail once more.")
    return task_id, int(entry)


def _standing(task: FollowUpTask, entry: int) -> Standing:
    resolution = task.record.resolution
    if task.is_open:
        return "reopened"
    if resolution is None:
        return "over"
    if resolution.entry != entry:
        return "resolved_anew"
    return "confirmed" if task.state is TaskState.CONFIRMED else "asked"


async def _is_forgotten(view: Reading, task: FollowUpTask, person_keys: PersonKeys) -> bool:
    return is_forgotten(task, await person_keys.for_reading(view, [task.person_ref]))


async def _contact(view: Reading, task: FollowUpTask) -> Owner | None:
    """Return a person or team of ours to turn to: whoever resolved it, else its owner."""
    resolution = task.record.resolution
    ids = [task.owner.id]
    if resolution is not None and resolution.by.kind == "staff":
        ids.insert(0, resolution.by.id)
    found = await owners(view, ids)
    return next((found[who] for who in ids if who in found), None)


def _forgotten() -> Gone:
    return Gone("This link is no longer good.")
