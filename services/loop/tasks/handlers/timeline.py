"""One customer: every answer and every task, as one caller may see them.

Whoever answers for one of a customer's tasks sees the person and all answers, since nobody
should call without knowing what was said before. Everybody else sees that something happened,
and when. Each look is written down.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from services.loop.responses.domain import Personal, Response
from services.loop.responses.handlers import is_forgotten, open_persons
from services.loop.responses.store import of_person
from services.loop.tasks.handlers.reading import TaskView, list_tasks
from services.loop.tasks.handlers.sight import owners_in_sight
from services.loop.tasks.store import TaskFilter
from shared.consent import Refusal
from shared.db.transaction import Transaction
from shared.errors import NotFound
from shared.identity.person_keys import PersonKeys
from shared.identity.principal import Principal
from shared.identity.views import note_views_in
from shared.identity.wishes import refusals_of

MOST: Final = 200
"""How many answers and how many tasks are shown; more nobody reads before a call."""


@dataclass(frozen=True, kw_only=True)
class CustomerView:
    """A customer as one caller may see them; ``personal`` is the latest that was said."""

    ref: str
    restricted: bool
    erased: bool
    personal: Personal | None = field(repr=False)
    answers: Sequence[Response]
    persons: Mapping[str, Personal] = field(repr=False)
    """What is personal in the answers, by answer; nothing where the caller may not see it."""
    tasks: Sequence[TaskView]
    refused: Refusal | None = None
    """What the customer asked not to be done; told to nobody who may not see them."""


async def look_at_customer(
    tx: Transaction,
    ref: str,
    *,
    caller: Principal,
    person_keys: PersonKeys,
    now: datetime,
) -> CustomerView:
    """Return all that is known of a customer, and write down who looked.

    Raises ``NotFound`` for a reference that nobody has.
    """
    answers = await of_person(tx, ref, most=MOST)
    tasks = await list_tasks(
        tx,
        TaskFilter(person_ref=ref),
        caller=caller,
        person_keys=person_keys,
        now=now,
        after=None,
        most=MOST,
    )
    if not answers and not tasks:
        raise NotFound("There is no customer with this id.")
    seen = await owners_in_sight(tx, caller)
    may_see = seen is None or any(not task.restricted for task in tasks)
    persons = await open_persons(tx, person_keys, answers) if may_see else {}
    sealed = [answer for answer in answers if answer.sealed_person is not None]
    keys = await person_keys.for_reading(tx, [ref])
    erased = bool(sealed) and all(is_forgotten(answer, keys) for answer in sealed)
    latest = next((persons[answer.id] for answer in sealed if answer.id in persons), None)
    if may_see and (persons or any(task.personal for task in tasks)):
        await note_views_in(tx, {ref: None}, by=caller, via="customer", now=now)
    return CustomerView(
        ref=ref,
        restricted=not may_see,
        erased=erased,
        personal=latest,
        answers=answers,
        persons=persons,
        tasks=tasks,
        refused=(await refusals_of(tx, [ref])).get(ref) if may_see else None,
    )
