"""Who did what, when: appended in the transaction of the deed, never changed afterwards.

Details hold ids, states and counts, never a name, an address or a customer's words: the trail
outlives the erasure of a person. The migration refuses updates and deletes on the table.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import insert

from shared.identity.principal import Principal
from shared.identity.tables import audit

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from shared.db.transaction import Transaction

SYSTEM = Principal(kind="key", id="system", name="Closed Loop", scopes=frozenset())
"""The installation itself: start-up, timers, and commands given on the machine."""


async def record(
    tx: Transaction,
    actor: Principal,
    action: str,
    subject: str,
    detail: Mapping[str, object] | None = None,
    *,
    now: datetime,
) -> None:
    """Append one line, for example ``("key.revoked", "key_01…")``."""
    await tx.execute(
        insert(audit).values(
            at=now,
            actor_kind="system" if actor.id == SYSTEM.id else actor.kind,
            actor_id=actor.id,
            action=action,
            subject=subject,
            detail=dict(detail or {}),
        )
    )
