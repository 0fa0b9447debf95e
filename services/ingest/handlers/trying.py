"""Recording for trial: what would become of responses, with nothing left behind."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from services.ingest.handlers.recording import record_responses

if TYPE_CHECKING:
    from services.ingest.handlers.commands import Ingest, Outcome, RecordResponse


class _TakenBack(Exception):
    """Ends a trial: the transaction is rolled back."""


async def try_many(ingest: Ingest, commands: Sequence[RecordResponse]) -> Sequence[Outcome]:
    """Record for trial and take it back; the outcomes are the true ones but for their ids."""
    outcomes: Sequence[Outcome] = ()
    with suppress(_TakenBack):
        async with ingest.database.transaction() as tx:
            outcomes = await record_responses(
                tx,
                commands,
                now=ingest.clock.now(),
                keyring=ingest.keyring,
                person_keys=ingest.person_keys,
            )
            raise _TakenBack
    return outcomes
