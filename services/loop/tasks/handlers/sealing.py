"""Sealing after the fact what earlier versions kept in the clear."""

from __future__ import annotations

from datetime import datetime

from services.loop.responses import handlers as responses
from services.loop.tasks.store.sealing import replace_documents
from shared.db.transaction import Transaction
from shared.identity.person_keys import PersonKeys


async def seal_earlier(
    tx: Transaction, *, person_keys: PersonKeys, most: int, now: datetime
) -> bool:
    """Seal the transactions of some responses and their tasks; tell whether there were any."""
    sealed = await responses.seal_earlier(tx, person_keys=person_keys, most=most, now=now)
    await replace_documents(tx, sealed)
    return bool(sealed)
