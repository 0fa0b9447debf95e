"""Answers to requests with an Idempotency-Key."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, delete, select, update

from services.ingest.tables import idempotency

if TYPE_CHECKING:
    from shared.db.transaction import Reading, Transaction

PROMISED_FOR = timedelta(days=7)
"""How long the answer to a request with an Idempotency-Key is kept."""

_CHUNK = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Promise:
    """The answer once given to a request with an Idempotency-Key."""

    key_digest: str
    fingerprint: str
    answer: Mapping[str, Any]
    created_at: datetime

    def is_stale(self, now: datetime) -> bool:
        """Tell whether its time is over."""
        return self.created_at <= now - PROMISED_FOR


async def find_promises(view: Reading, digests: Sequence[str]) -> dict[str, Promise]:
    """Return the answers given under these keys."""
    found: dict[str, Promise] = {}
    for start in range(0, len(digests), _CHUNK):
        rows = await view.all(
            select(idempotency).where(
                idempotency.c.key_digest.in_(digests[start : start + _CHUNK])
            )
        )
        found |= {row.key_digest: Promise(**row._asdict()) for row in rows}
    return found


async def add_promises(tx: Transaction, promises: Sequence[Promise]) -> set[str]:
    """Insert answers; return the digests of those that were the first under their key.

    Waits for another process that is answering under the same key.
    """
    got_in: set[str] = set()
    ordered = sorted(promises, key=lambda one: one.key_digest)
    for start in range(0, len(ordered), _CHUNK):
        rows = await tx.all(
            tx.insert(idempotency)
            .values(
                [
                    {
                        "key_digest": one.key_digest,
                        "fingerprint": one.fingerprint,
                        "answer": one.answer,
                        "created_at": one.created_at,
                    }
                    for one in ordered[start : start + _CHUNK]
                ]
            )
            .on_conflict_do_nothing()
            .returning(idempotency.c.key_digest)
        )
        got_in |= {row.key_digest for row in rows}
    return got_in


async def keep_promises(tx: Transaction, answers: Mapping[str, Mapping[str, Any]]) -> None:
    """Write the answers of promises that were added before they were known."""
    if answers:
        await tx.execute(
            update(idempotency)
            .where(idempotency.c.key_digest == bindparam("the_key"))
            .values(answer=bindparam("new_answer")),
            [{"the_key": key, "new_answer": answer} for key, answer in answers.items()],
        )


async def drop_promises(tx: Transaction, digests: Sequence[str]) -> None:
    """Forget answers: the request was refused after all, or its time is over."""
    if digests:
        await tx.execute(delete(idempotency).where(idempotency.c.key_digest.in_(digests)))


async def forget_promises(tx: Transaction, *, before: datetime, limit: int) -> int:
    """Delete up to ``limit`` answers given before a moment; return how many."""
    oldest = (
        select(idempotency.c.key_digest)
        .where(idempotency.c.created_at < before)
        .order_by(idempotency.c.created_at)
        .limit(limit)
    )
    result = await tx.execute(
        delete(idempotency).where(
            idempotency.c.created_at < before, idempotency.c.key_digest.in_(oldest)
        )
    )
    return result.rowcount
