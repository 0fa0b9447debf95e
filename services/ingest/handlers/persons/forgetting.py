"""Forgetting a person: the key, the rows, and word of it to everybody, in one transaction."""

from __future__ import annotations

from typing import TYPE_CHECKING

from services.ingest import store
from services.ingest.handlers.sealing import seal_earlier
from shared.events.ingest import MOST_RESPONSES, CustomerErased, Erasing
from shared.faults import fault_point
from shared.identity import audit
from shared.identity.audit import SYSTEM
from shared.identity.erasure import erase_person, let_return
from shared.identity.forgetting import refs_of
from shared.identity.person_requests import drop_parts, record_part

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from services.ingest.handlers.commands import Ingest
    from services.ingest.store import Scrubbed
    from shared.db.transaction import Transaction


async def forget(
    tx: Transaction,
    ingest: Ingest,
    request_id: str,
    ref: str,
    *,
    reason: Erasing,
    now: datetime,
) -> None:
    """Destroy a person's key, empty what lies here of them, and announce it.

    Whoever was forgotten before is forgotten again without harm: it mends what a restored
    backup brought back elsewhere.
    """
    # First the rows, then the key: whoever records at this moment locks in the same order.
    scrubbed = await store.scrub_persons(tx, await refs_of(tx, ref))
    await erase_person(tx, ref, now)
    if reason == "retention":
        await let_return(tx, ref)
    await _forget_earlier(tx, ingest, scrubbed, now)
    counts = {
        "responses": len(scrubbed.response_ids),
        "revisions": scrubbed.revisions,
        "payloads": await store.scrub_payloads(tx, ref),
        "archives": await drop_parts(tx, ref),
    }
    fault_point("persons.forgotten")
    _announce(tx, request_id, ref, scrubbed.response_ids, reason=reason, whole=True, now=now)
    await record_part(tx, request_id, "ingest", counts=counts, now=now)
    await audit.record(
        tx, SYSTEM, "person.erased", ref, {"request": request_id, "reason": reason}, now=now
    )


async def forget_responses(
    tx: Transaction,
    ingest: Ingest,
    request_id: str,
    ref: str,
    response_ids: Sequence[str],
    *,
    reason: Erasing,
    now: datetime,
) -> None:
    """Empty some responses of somebody who stays: their key stays, and so does the rest."""
    scrubbed = await store.scrub_responses(tx, response_ids)
    await _forget_earlier(tx, ingest, scrubbed, now)
    counts = {"responses": len(scrubbed.response_ids), "revisions": scrubbed.revisions}
    _announce(tx, request_id, ref, scrubbed.response_ids, reason=reason, whole=False, now=now)
    await record_part(tx, request_id, "ingest", counts=counts, now=now)


async def _forget_earlier(
    tx: Transaction, ingest: Ingest, scrubbed: Scrubbed, now: datetime
) -> None:
    """Forget what of these responses still stands in the clear, where they are of before."""
    await seal_earlier(
        tx,
        scrubbed.response_ids,
        keyring=ingest.keyring,
        person_keys=ingest.person_keys,
        now=now,
    )


def _announce(
    tx: Transaction,
    request_id: str,
    ref: str,
    response_ids: Sequence[str],
    *,
    reason: Erasing,
    whole: bool,
    now: datetime,
) -> None:
    """Tell everybody, in as many events as it takes; the last one says that it is the last."""
    starts = range(0, max(len(response_ids), 1), MOST_RESPONSES)
    for start in starts:
        event = CustomerErased(
            request_id=request_id,
            person_ref=ref,
            response_ids=list(response_ids[start : start + MOST_RESPONSES]),
            last=start == starts[-1],
            reason=reason,
            whole=whole,
            erased_at=now,
        )
        tx.announce(event, key=ref, at=now)
