"""Sample data goes as a whole: test responses, and what the demo posted and set up.

Ingest forgets the responses and announces each as removed, in one transaction; whoever made
something of them forgets that when it hears it. What somebody posted or changed is not touched.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from services.ingest.store import removing as store
from shared.events.ingest import ResponseRemoved
from shared.identity import audit
from shared.identity.sample import note_removal, sample

if TYPE_CHECKING:
    from datetime import datetime

    from shared.db.transaction import Reading, Transaction
    from shared.identity.principal import Principal


async def has_sample(view: Reading) -> bool:
    """Tell whether there is sample data to remove."""
    return await store.has_sample(view, await sample(view))


async def remove_sample(tx: Transaction, *, by: Principal, now: datetime) -> int:
    """Remove all sample data; return how many responses it was. Again is no change."""
    demo = await sample(tx)
    gone = await store.remove_sample(tx, demo)
    if not gone:
        return 0
    await note_removal(tx, now=now)
    for response_id, person_ref in gone:
        event = ResponseRemoved(response_id=response_id, person_ref=person_ref)
        tx.announce(event, key=person_ref, at=now)
    await audit.record(tx, by, "sample.removed", "sample", {"responses": len(gone)}, now=now)
    return len(gone)
