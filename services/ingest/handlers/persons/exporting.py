"""What ingest knows about a person, in plain words, for the person."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from services.ingest import store
from services.ingest.handlers.sealing import open_sealed, seal_earlier
from shared.errors import Conflict, Gone, NotFound
from shared.events.ingest import CustomerExportRequested
from shared.identity import audit
from shared.identity.forgetting import refs_of
from shared.identity.person_requests import archive_of, get_request, record_part, seal_part

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from services.ingest.handlers.commands import Ingest
    from services.ingest.store import StoredPart, StoredResponse
    from shared.db.transaction import Transaction
    from shared.identity.principal import Principal


async def hand_out(
    tx: Transaction, ingest: Ingest, request_id: str, ref: str, *, now: datetime
) -> None:
    """Collect ingest's part of an archive, and ask the others for theirs."""
    refs = await refs_of(tx, ref)
    keys = await ingest.person_keys.for_reading(tx, refs)
    theirs = [response.id for response, _ in await store.responses_of(tx, refs)]
    # What is of before is sealed first: the sender's id stands in the document then.
    await seal_earlier(
        tx, theirs, keyring=ingest.keyring, person_keys=ingest.person_keys, now=now
    )
    found = await store.responses_of(tx, refs)
    document = {"responses": [_response(one, parts, keys) for one, parts in found]}
    part = await seal_part(
        tx,
        ingest.person_keys,
        ref,
        request_id=request_id,
        service="ingest",
        document=document,
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
        **open_sealed(response.sealed_person, keys.get(response.person_ref), response.id),
        "state": response.state,
        "themes": list(response.themes),
        "parts": [
            {
                "revision": part.revision,
                "received_at": part.received_at.isoformat(),
                **part.members,
                **open_sealed(part.sealed_person, keys.get(part.person_ref), response.id),
            }
            for part in parts
        ]
        if len(parts) > 1
        else [],
    }
