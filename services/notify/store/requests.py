"""Requests that may come again under their Idempotency-Key, with what they were answered."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import delete, select, update

from services.notify.tables import requests
from shared.db.transaction import Transaction


@dataclass(frozen=True, kw_only=True)
class Known:
    """A request that came before: what it meant, and what it was answered."""

    fingerprint: str
    sealed_answer: bytes = field(repr=False)


async def first_request(
    tx: Transaction, digest: str, *, fingerprint: str, now: datetime, forget_before: datetime
) -> Known | None:
    """Claim a key and return None; else what is known of the request that had it first.

    Two at once wait for each other here; a claim lasts only if its transaction commits.
    """
    await tx.execute(delete(requests).where(requests.c.created_at < forget_before))
    claimed = await tx.execute(
        tx.insert(requests)
        .values(key_digest=digest, fingerprint=fingerprint, created_at=now)
        .on_conflict_do_nothing()
    )
    if claimed.rowcount:
        return None
    row = await tx.first(select(requests).where(requests.c.key_digest == digest))
    if row is None:
        return None
    return Known(fingerprint=row.fingerprint, sealed_answer=row.sealed_answer)


async def keep_answer(tx: Transaction, digest: str, *, sealed: bytes) -> None:
    """Store what a claimed request was answered."""
    await tx.execute(
        update(requests).where(requests.c.key_digest == digest).values(sealed_answer=sealed)
    )
