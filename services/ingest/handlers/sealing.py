"""What is personal of a response: sealed, opened again, and sealed after the fact.

Before, the sender's id of a response and that of its transaction stood in the clear. Both are
the sender's own words: an order, a ticket, sometimes an address.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from services.ingest import store
from services.ingest.domain.part import unusable_in
from shared.sealing import CannotOpen, open_document, seal_document

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from services.ingest.domain.part import Part
    from services.ingest.store import EarlierPart, EarlierResponse, StoredResponse
    from shared.db.transaction import Reading, Transaction
    from shared.identity.person_keys import PersonKeys
    from shared.sealing import Keyring


def sealed_part(
    part: Part, key: bytes | None, response_id: str, *, external_id: str | None = None
) -> str | None:
    """Seal what is personal; None if there is nothing, or if the person was erased.

    A response as a whole is sealed with its sender's id, and then there always is something.
    """
    if key is None or (external_id is None and not part.is_personal):
        return None
    document: dict[str, Any] = {
        "customer": part.customer,
        "comment": part.comment,
        "attributes": part.attributes,
    }
    if external_id is not None:
        document["external_id"] = external_id
    if part.transaction_id is not None:
        document["transaction_id"] = part.transaction_id
    if unusable := unusable_in(part.customer):
        document["unusable"] = unusable
    return seal_document(key, document, context=response_id)


def open_sealed(token: str | None, key: bytes | None, response_id: str) -> dict[str, Any]:
    """Return what a sealed document says; what was erased stays away."""
    if token is None or key is None:
        return {}
    try:
        return open_document(key, token, context=response_id)
    except CannotOpen:
        return {}  # erased by itself, or sealed under a key that was erased and made anew


async def external_ids_of(
    view: Reading, person_keys: PersonKeys, responses: Sequence[StoredResponse]
) -> dict[str, str | None]:
    """Return by what their senders know these responses; None where the person was erased."""
    keys = await person_keys.for_reading(
        view, [one.person_ref for one in responses if one.sealed_person is not None]
    )
    return {
        one.id: (
            open_sealed(one.sealed_person, keys.get(one.person_ref), one.id).get("external_id")
            if one.keyed
            else one.natural_key
        )
        for one in responses
    }


async def seal_earlier(
    tx: Transaction,
    response_ids: Sequence[str],
    *,
    keyring: Keyring,
    person_keys: PersonKeys,
    now: datetime,
) -> None:
    """Seal what stood in the clear of these responses; of the erased it is forgotten."""
    responses, parts = await store.earlier_of(tx, response_ids)
    speaking = [one for one in parts if one.transaction_id is not None]
    refs = {one.person_ref for one in responses} | {one.person_ref for one in speaking}
    keys = await person_keys.for_sealing(tx, sorted(refs), now=now)
    await store.save_earlier(
        tx,
        [_keyed(one, keys, keyring) for one in responses],
        [_silent(one, keys) for one in speaking],
    )


def _keyed(
    one: EarlierResponse, keys: Mapping[str, bytes], keyring: Keyring
) -> EarlierResponse:
    words = {"external_id": one.natural_key, "transaction_id": one.transaction_id}
    return one.sealed_as(
        _with_words(one.sealed_person, keys.get(one.person_ref), one.id, words),
        natural_key=store.natural_key_of(keyring, one.natural_key),
    )


def _silent(one: EarlierPart, keys: Mapping[str, bytes]) -> EarlierPart:
    words = {"transaction_id": one.transaction_id}
    return one.sealed_as(
        _with_words(one.sealed_person, keys.get(one.person_ref), one.response_id, words)
    )


def _with_words(
    token: str | None, key: bytes | None, response_id: str, words: Mapping[str, str | None]
) -> str | None:
    """Return the sealed document with these words in it, where it can still be opened."""
    document = open_sealed(token, key, response_id)
    if key is None or (token is not None and not document):
        return token
    said = {name: word for name, word in words.items() if word is not None}
    empty: dict[str, Any] = {"customer": {}, "comment": None, "attributes": {}}
    return seal_document(key, {**empty, **document, **said}, context=response_id)
