"""What loop and notify do alike for a request about a person: whose, what is parked, what for.

Ingest asks them by an event; each answers with its part in the transaction of the event.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from sqlalchemy import select

from shared.db import dead_letter
from shared.errors import Malformed
from shared.events.envelope import decode
from shared.events.registry import EVENTS
from shared.identity.erasure import FORGOTTEN
from shared.identity.person_requests import record_part
from shared.identity.tables import person_keys

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import datetime

    from shared.db.transaction import Reading, Transaction
    from shared.events.ingest import CustomerErased, CustomerExportRequested
    from shared.identity.person_requests import Serving
    from shared.sealing import Keyring

_ONCE_CLEAR: Final = ("external_id", "transaction_id")
"""The sender's words that stood in the clear in what was parked by earlier versions."""


@dataclass(frozen=True, kw_only=True)
class Part:
    """What a service did, or knows, for one event about a customer."""

    event: CustomerErased | CustomerExportRequested
    counts: Mapping[str, int]
    sealed: str | None = field(default=None, repr=False)
    """What ``seal_part`` made of what it knows, for an export."""


async def record_parts(
    tx: Transaction, service: Serving, parts: Sequence[Part], *, now: datetime
) -> None:
    """Note what a poll led to, request by request in one order, so that none waits in a circle.

    A person is done with the last event about them.
    """
    for part in sorted(parts, key=lambda one: one.event.request_id):
        await record_part(
            tx,
            part.event.request_id,
            service,
            counts=part.counts,
            part=part.sealed,
            persons=1 if part.event.last else 0,
            now=now,
        )


async def refs_of(view: Reading, ref: str) -> Sequence[str]:
    """Return the pseudonyms of a person: their own, then those of responses once nobody's."""
    rows = await view.all(
        select(person_keys.c.ref)
        .where(person_keys.c.belongs_to == ref, person_keys.c.ref != ref)
        .order_by(person_keys.c.ref)
    )
    return [ref, *(row.ref for row in rows)]


async def forget_parked(
    tx: Transaction,
    refs: Sequence[str],
    *,
    only: Collection[str] | None,
    keyring: Keyring,
    now: datetime,
) -> int:
    """Take the person out of what this service could not handle; return out of how many.

    Of what remains the facts can still be replayed. ``only`` names the responses that are
    meant; None means all, and then what is no event of ours goes altogether.
    """

    def without(body: bytes) -> bytes | None:
        try:
            envelope = decode(body)
        except Malformed:
            return None if only is None else body
        if only is None and envelope.type not in EVENTS:
            return None
        data = envelope.data
        if only is not None and data.get("response_id") not in only:
            return body
        gone: dict[str, object] = {name: "" for name in _ONCE_CLEAR if data.get(name)}
        if data.get("person"):
            gone["person"] = FORGOTTEN
        if all(data[name] == value for name, value in gone.items()):
            return body
        return envelope.model_copy(update={"data": {**data, **gone}}).encode()

    return await dead_letter.rewrite(tx, refs, without, keyring=keyring, now=now)
