"""Requests that came with an Idempotency-Key, and what they were answered, for seven days.

A key is claimed in the transaction that does the work, so that no marker can outlive a crash;
two requests under one key wait for each other at its row. What is stored are digests, since
some senders put an address into the key, and answers sealed, since some show a secret.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from sqlalchemy import bindparam, delete, select, text, update
from sqlalchemy.exc import DBAPIError

from shared.errors import UnderWay

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import Table

    from shared.db.transaction import Reading, Transaction

KEPT: Final = timedelta(days=7)
"""How long an answer is given again."""

PATIENCE: Final = 2.0
"""Seconds to wait for somebody who is answering under the same key."""

_CHUNK: Final = 500
_LOCK_NOT_AVAILABLE: Final = "55P03"


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """A request that came before: what it meant, and what it was answered."""

    key_digest: str
    fingerprint: str
    sealed_answer: bytes = field(repr=False)
    person_ref: str | None
    """Under whose key the answer is sealed; None: under the installation's."""
    created_at: datetime


async def find(
    view: Reading, table: Table, digests: Sequence[str], *, now: datetime
) -> dict[str, Known]:
    """Return the requests that were answered under these keys and are still remembered."""
    found: dict[str, Known] = {}
    for start in range(0, len(digests), _CHUNK):
        rows = await view.all(
            select(table).where(
                table.c.key_digest.in_(digests[start : start + _CHUNK]),
                table.c.created_at > now - KEPT,
            )
        )
        found |= {row.key_digest: Known(**row._asdict()) for row in rows}
    return found


async def claim_soon(
    tx: Transaction, fingerprints: Mapping[str, str], *, now: datetime
) -> dict[str, Known]:
    """Claim these keys as ``claim`` does; raise ``UnderWay`` where that takes too long.

    On SQLite nobody waits at a row: what writes there waits for its turn as a whole.
    """
    if tx.dialect != "postgresql":
        return await claim(tx, fingerprints, now=now)
    await tx.execute(text(f"SET LOCAL lock_timeout = {round(1000 * PATIENCE)}"))
    try:
        known = await claim(tx, fingerprints, now=now)
    except DBAPIError as error:
        if getattr(error.orig, "sqlstate", None) == _LOCK_NOT_AVAILABLE:
            message = "A request with this Idempotency-Key is being carried out. Send it again."
            raise UnderWay(message) from error
        raise
    await tx.execute(text("SET LOCAL lock_timeout TO DEFAULT"))
    return known


async def claim(
    tx: Transaction, fingerprints: Mapping[str, str], *, now: datetime
) -> dict[str, Known]:
    """Claim these keys; return what is known of those that somebody had before.

    Waits for another process that is answering under the same key.
    """
    table = tx.plumbing.requests
    known: dict[str, Known] = {}
    wanted = sorted(fingerprints)
    while wanted:
        known |= await find(tx, table, wanted, now=now)
        free = [digest for digest in wanted if digest not in known]
        claimed = await _insert(tx, {digest: fingerprints[digest] for digest in free}, now)
        # Somebody was faster, or a key's time was over while its row still stood.
        wanted = [digest for digest in free if digest not in claimed]
        for start in range(0, len(wanted), _CHUNK):
            await tx.execute(
                delete(table).where(
                    table.c.key_digest.in_(wanted[start : start + _CHUNK]),
                    table.c.created_at <= now - KEPT,
                )
            )
    return known


async def _insert(tx: Transaction, fingerprints: Mapping[str, str], now: datetime) -> set[str]:
    table = tx.plumbing.requests
    digests = list(fingerprints)
    got_in: set[str] = set()
    for start in range(0, len(digests), _CHUNK):
        rows = await tx.all(
            tx.insert(table)
            .values(
                [
                    {
                        "key_digest": digest,
                        "fingerprint": fingerprints[digest],
                        "sealed_answer": b"",
                        "created_at": now,
                    }
                    for digest in digests[start : start + _CHUNK]
                ]
            )
            .on_conflict_do_nothing()
            .returning(table.c.key_digest)
        )
        got_in |= {row.key_digest for row in rows}
    return got_in


async def keep(
    tx: Transaction, answers: Mapping[str, bytes], *, person_ref: str | None = None
) -> None:
    """Write the sealed answers of claimed keys."""
    table = tx.plumbing.requests
    if answers:
        await tx.execute(
            update(table)
            .where(table.c.key_digest == bindparam("the_key"))
            .values(sealed_answer=bindparam("new_answer"), person_ref=person_ref),
            [{"the_key": digest, "new_answer": answer} for digest, answer in answers.items()],
        )


async def release(tx: Transaction, digests: Sequence[str]) -> None:
    """Give claimed keys back: their requests were refused after all."""
    table = tx.plumbing.requests
    for start in range(0, len(digests), _CHUNK):
        await tx.execute(
            delete(table).where(table.c.key_digest.in_(digests[start : start + _CHUNK]))
        )


async def forget(tx: Transaction, *, now: datetime, limit: int) -> int:
    """Delete up to ``limit`` answers whose time is over; return how many."""
    table = tx.plumbing.requests
    oldest = (
        select(table.c.key_digest)
        .where(table.c.created_at <= now - KEPT)
        .order_by(table.c.created_at)
        .limit(limit)
    )
    result = await tx.execute(
        delete(table).where(table.c.created_at <= now - KEPT, table.c.key_digest.in_(oldest))
    )
    return result.rowcount
