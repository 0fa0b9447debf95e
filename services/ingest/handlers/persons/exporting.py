"""What ingest knows about a person, in plain words, for the person."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from services.ingest import store
from shared.errors import Conflict, Gone, NotFound
from shared.events.ingest import CustomerExportRequested
from shared.identity import audit
from shared.identity.forgetting import refs_of
from shared.identity.person_requests import archive_of, get_request, record_part, seal_part
from shared.sealing import CannotOpen, open_document

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from services.ingest.handlers.commands import Ingest
    from services.ingest.store import StoredPart, StoredResponse
    from shared.db.transaction import Transaction
    from shared.identity.person_keys import PersonKeys
    from shared.identity.principal import Principal


async def hand_out(
    tx: Transaction, person_keys: PersonKeys, request_id: str, ref: str, *, now: datetime
) -> None:
    """Collect ingest's part of an archive, and ask the others for theirs."""
    refs = await refs_of(tx, ref)
    keys = await person_keys.for_reading(tx, refs)
    found = await store.responses_of(tx, refs)
    document = {"responses": [_response(one, parts, keys) for one, parts in found]}
    part = await seal_part(
        tx, person_keys, ref, request_id=request_id, service="ingest", document=document
    )
    tx.announce(CustomerExportRequested(request_id=request_id, person_ref=ref), key=ref, at=now)
    counts = {"responses": len(found), "revisions": sum(len(parts) for _, parts in found)}
    await record_part(tx, request_id, "ingest", counts=counts, now=now, part=part)


async def fetch(
    tx: Transaction, ingest: Ingest, request_id: str, *, by: Principal
) -> dict[str, Any]:
    """Return the archive of an export; the trail says who fetched it.

    Raises ``NotFound``, ``Conflict`` while it is being collected, and ``Gone`` afterwards.
    """
    request = await get_request(tx, request_id)
    if request.kind != "export":
        raise NotFound("There is no such archive: this request is no export.")
    if request.state != "done":
        raise Conflict(
            "The archive is still being collected. Ask again in a moment.",
            extra={"state": request.state},
        )
    persons = await archive_of(tx, request_id, ingest.person_keys)
    if not persons:
        raise Gone("The archive is gone: its time is over, or the person has been erased.")
    now = ingest.clock.now()
    for person in persons:
        detail = {"request": request_id}
        await audit.record(tx, by, "person.exported", person["ref"], detail, now=now)
    return {
        "request_id": request_id,
        "asked_at": request.asked_at.isoformat().replace("+00:00", "Z"),
        "persons": persons,
    }


def _response(
    response: StoredResponse, parts: list[StoredPart], keys: Mapping[str, bytes]
) -> dict[str, Any]:
    """Return a response as all its parts make it, and each of them as it was posted."""
    return {
        "id": response.id,
        "source": response.source,
        "received_at": response.received_at.isoformat(),
        "answered_at": response.answered_at.isoformat(),
        **response.clear,
        **_opened(keys, response.person_ref, response.sealed_person, response.id),
        "state": response.state,
        "themes": list(response.themes),
        "parts": [
            {
                "revision": part.revision,
                "received_at": part.received_at.isoformat(),
                **part.members,
                **_opened(keys, part.person_ref, part.sealed_person, response.id),
            }
            for part in parts
        ]
        if len(parts) > 1
        else [],
    }


def _opened(
    keys: Mapping[str, bytes], ref: str, token: str | None, response_id: str
) -> dict[str, Any]:
    key = keys.get(ref)
    if token is None or key is None:
        return {}
    try:
        return open_document(key, token, context=response_id)
    except CannotOpen:
        return {}  # of a key that was erased and made anew
