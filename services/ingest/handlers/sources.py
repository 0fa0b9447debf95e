"""A source as the doors ask for it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from services.ingest import store
from services.ingest.domain.sources import is_test

if TYPE_CHECKING:
    from services.ingest.domain.sources import Source
    from services.ingest.handlers.commands import Ingest
    from shared.clock import Clock
    from shared.db.transaction import Database

FRESH_FOR = 1.0
"""Seconds for which a look at all namespaces counts."""


async def source_named(ingest: Ingest, name: str) -> Source:
    """Return the settings of a source as they stand; of a twin for trials, its source's."""
    async with ingest.database.reading() as view:
        return await store.find_source(
            view, name, keyring=ingest.keyring, now=ingest.clock.now()
        )


class Namespaces:
    """Where the customers' ids of each source count, without a read for every response."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._known: dict[str, str] = {}
        self._asked_at: float | None = None
        self._asking = asyncio.Lock()

    async def of(self, source: str) -> str | None:
        """Return a source's namespace; None where it is the source itself."""
        if is_test(source):
            return None  # a trial meets no real customer
        if self._is_old():
            async with self._asking:
                if self._is_old():
                    asked_at = self._clock.monotonic()
                    async with self._database.reading() as view:
                        self._known = await store.namespaces(view)
                    self._asked_at = asked_at
        return self._known.get(source)

    def _is_old(self) -> bool:
        now = self._clock.monotonic()
        return self._asked_at is None or now - self._asked_at >= FRESH_FOR
