"""The use cases of responses: taking a poll's facts in, opening what is sealed, scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from services.loop.responses import store
from services.loop.responses.domain import Personal, Response, moves
from shared.db.transaction import Reading, Transaction
from shared.identity.person_keys import PersonKeys
from shared.sealing import open_document


@dataclass(frozen=True, kw_only=True)
class Stored:
    """What became of a poll's responses.

    ``current`` are those whose facts stand now, ``former`` what they replaced by id, and
    ``late`` those that the same or a higher revision had overtaken on the way.
    """

    current: Sequence[Response]
    former: Mapping[str, Response]
    late: Sequence[Response]


async def store_responses(tx: Transaction, responses: Sequence[Response]) -> Stored:
    """Keep these facts, each response at most once, and move the score roll-ups with them."""
    known = await store.find_to_change(tx, [response.id for response in responses])

    current = [r for r in responses if r.id not in known or r.revision > known[r.id].revision]
    former = {r.id: known[r.id] for r in current if r.id in known}

    await store.add_all(tx, [r for r in current if r.id not in former])
    await store.replace_all(tx, [r for r in current if r.id in former])
    await store.move_rollups(tx, moves(current, former.values()))
    standing = {r.id for r in current}
    return Stored(
        current=current, former=former, late=[r for r in responses if r.id not in standing]
    )


async def open_persons(
    view: Reading, person_keys: PersonKeys, responses: Sequence[Response]
) -> Mapping[str, Personal]:
    """Open the sealed part of these responses, by response id.

    A response of an erased person is missing from the answer; one that never had a sealed
    part is there and empty.
    """
    sealed = [r for r in responses if r.sealed_person is not None]
    keys = await person_keys.for_reading(view, [r.person_ref for r in sealed])
    opened = {r.id: Personal() for r in responses if r.sealed_person is None}
    for response in sealed:
        key = keys.get(response.person_ref)
        if key is not None and response.sealed_person is not None:
            document = open_document(key, response.sealed_person, context=response.id)
            opened[response.id] = Personal(
                comment=document.get("comment"),
                customer=document.get("customer") or {},
                attributes=document.get("attributes") or {},
            )
    return opened
