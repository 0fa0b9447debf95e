"""What rules and the choice of an owner need to know beside a response, for a whole poll."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Final

from services.loop.journey import store as journey
from services.loop.journey.domain import OwnerRef
from services.loop.journey.handlers import folds_of
from services.loop.responses.domain import Personal, Response
from services.loop.tasks import store
from services.loop.tasks.domain.conditions import FOLDED, Circumstances
from services.loop.tasks.domain.routing import Desks
from services.loop.tasks.domain.rules import RuleBook
from shared.db.transaction import Reading
from shared.identity.groups import DEFAULT_TEAM
from shared.identity.owners import able, owners_named

DEFAULT_OWNER: Final = OwnerRef(id=DEFAULT_TEAM, kind="team")


async def circumstances_of(
    view: Reading,
    responses: Sequence[Response],
    book: RuleBook,
    *,
    themes: Mapping[str, Collection[str]],
    persons: Mapping[str, Personal],
    now: datetime,
) -> Mapping[str, Circumstances]:
    """Return by response what its rules may ask; ``themes`` and ``persons`` are by response."""
    codes: Mapping[str, str] = {}
    if book.asks(*FOLDED):
        codes = await _codes(view, responses, book, now=now)
    said = {r.id: _contact_said(persons.get(r.id)) for r in responses}
    contacts: Mapping[str, str] = {}
    if any(rule.owner.kind == "contact_owner" for rule in book.rules):
        contacts = await owners_named(view, {text for text in said.values() if text})
    return {
        response.id: Circumstances(
            themes=frozenset(themes.get(response.id, ())),
            annual_value=_annual_value(persons.get(response.id)),
            contact=_ref(contacts.get(said[response.id])),
            codes=codes,
        )
        for response in responses
    }


async def _codes(
    view: Reading, responses: Sequence[Response], book: RuleBook, *, now: datetime
) -> Mapping[str, str]:
    folds = await folds_of(view, now=now)
    sent = {(name, getattr(response, name)) for response in responses for name in FOLDED}
    for rule in book.rules:
        for condition in rule.conditions:
            if condition.field in FOLDED:
                value = condition.value
                several = value if isinstance(value, list | tuple) else (value,)
                sent |= {(condition.field, one) for one in several}
    return {
        f"{name}/{code}": folds.resolve(name, code)
        for name, code in sent
        if isinstance(code, str)
    }


def _contact_said(person: Personal | None) -> str:
    found = person.customer.get("contact_owner") if person else None
    return found if isinstance(found, str) else ""


def _annual_value(person: Personal | None) -> float | None:
    block = person.customer.get("annual_value") if person else None
    amount = block.get("amount") if isinstance(block, Mapping) else None
    return float(amount) if isinstance(amount, int | float) else None


def _ref(owner_id: str | None) -> OwnerRef | None:
    if owner_id is None:
        return None
    return OwnerRef(id=owner_id, kind="team" if owner_id.startswith("team_") else "person")


async def desks_of(
    view: Reading,
    book: RuleBook,
    contacts: Iterable[OwnerRef | None],
    *,
    owners: Iterable[OwnerRef],
    first: datetime,
    last: datetime,
    limits: bool = True,
) -> Desks:
    """Return who can take work from ``first`` to ``last``, among all that might be asked.

    ``owners`` of touchpoints are known to be somebody who can. Without ``limits`` everybody has
    room.
    """
    absences = await journey.absences_between(view, first, last)
    workloads = await journey.workloads_of(view) if limits else {}
    ids = {one.id for one in contacts if one is not None}
    ids |= {i for rule in book.rules for i in (rule.owner.id, rule.owner.deputy) if i}
    ids |= {absence.deputy_id for absence in absences if absence.deputy_id}
    ids |= {load.deputy_id for load in workloads.values() if load.deputy_id}
    limited = [i for i, load in workloads.items() if load.most_open is not None]
    return Desks(
        able=await able(view, ids) | {owner.id for owner in owners},
        absences=absences,
        workloads=workloads,
        last=DEFAULT_OWNER,
        open_tasks=Counter(await store.open_by_owner(view, limited)),
    )
