"""Letting go of the oldest lines of the audit trail, where somebody set a period for it.

Only whole stretches go that still are as they were sealed, and a line that only who has the
secret can write says up to where: the proof of the trail begins there from then on. The
database refuses every removal, so this takes the owner of the tables; on PostgreSQL with a user
for each role those of the roles cannot.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from sqlalchemy import delete, func, select, text

from shared.db.append_only import removable
from shared.identity import audit
from shared.identity.audit_proof import PRUNED, proof_of_pruning, prove_beginning
from shared.identity.retention import Expiring
from shared.identity.tables import audit as lines
from shared.identity.tables import audit_seals
from shared.logs import get_logger

if TYPE_CHECKING:
    from datetime import datetime

    from shared.clock import Clock
    from shared.db.transaction import Reading, Transaction
    from shared.sealing import Keyring

_SLACK: Final = timedelta(days=1)
"""So long a line may be over before it goes: else every hour would write one more."""
_OWNS: Final = text(
    "SELECT pg_has_role(c.relowner, 'MEMBER') FROM pg_class c"
    " WHERE c.oid = to_regclass('shared_audit')"
)

log = get_logger(__name__)


def old_lines(keyring: Keyring, clock: Clock) -> Expiring:
    """Return how lines of the trail are counted and let go of."""

    async def forget(tx: Transaction, before: datetime, limit: int) -> int:
        return await prune(tx, keyring, before=before, limit=limit, now=clock.now())

    return Expiring(kind="audit", count=_count, forget=forget)


async def _count(view: Reading, before: datetime) -> int:
    return int(
        await view.scalar(select(func.count()).select_from(lines).where(lines.c.at < before))
    )


async def prune(
    tx: Transaction, keyring: Keyring, *, before: datetime, limit: int, now: datetime
) -> int:
    """Remove up to ``limit`` lines whose stretch was sealed before that moment; say how many.

    None while the oldest is over for less than a day, where this user of the database may not,
    and where a stretch is not as it was sealed: what somebody did to it stays to be found.
    """
    oldest = await tx.first(select(audit_seals).order_by(audit_seals.c.from_n).limit(1))
    if oldest is None or oldest.made_at >= before - _SLACK or not await may_prune(tx):
        return 0
    # The last seal stays: the next one goes on from it.
    newest = select(func.max(audit_seals.c.from_n)).scalar_subquery()
    seals = await tx.all(
        select(audit_seals.c.to_n, audit_seals.c.lines, audit_seals.c.mac)
        .where(audit_seals.c.made_at < before, audit_seals.c.from_n < newest)
        .order_by(audit_seals.c.from_n)
        .limit(limit)
    )
    count, last = 0, None
    for seal in seals:
        if last is not None and count + seal.lines > limit:
            break
        count, last = count + seal.lines, seal
    if last is None:
        return 0
    proof = await prove_beginning(tx, keyring, upto=last.to_n)
    if not proof.is_whole:
        log.error("audit.not_pruned", findings=len(proof.findings))
        return 0
    async with removable(tx, lines.name, audit_seals.name):
        await tx.execute(delete(lines).where(lines.c.n <= last.to_n))
        await tx.execute(delete(audit_seals).where(audit_seals.c.to_n <= last.to_n))
    detail = {
        "to": last.to_n,
        "lines": count,
        "seal": last.mac,
        "proof": proof_of_pruning(keyring, last.to_n, last.mac),
    }
    await audit.record(tx, audit.SYSTEM, PRUNED, "audit", detail, now=now)
    return count


async def may_prune(view: Reading) -> bool:
    """Tell whether this user of the database may open the trail for a removal."""
    return view.dialect == "sqlite" or bool(await view.scalar(_OWNS))
