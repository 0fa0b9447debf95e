"""Ingest, put together: its doors, its workers, and what they hold."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from services.ingest.api import router
from services.ingest.handlers import (
    Counted,
    Ingest,
    Namespaces,
    Outcome,
    RecordResponse,
    count_many,
    count_recorded,
    record_many,
    record_responses,
)
from services.ingest.jobs import SourceUpkeep, Upkeep
from services.ingest.listeners import KINDS, TOPICS, hear
from services.ingest.pages import ROUTERS
from services.ingest.schemas import understand
from shared.bus.consumer import Consumer
from shared.bus.relay import Relay
from shared.db.group import GroupCommit
from shared.service import Service

if TYPE_CHECKING:
    from shared.db.transaction import Transaction
    from shared.service import Kit

__all__ = [
    "Ingest",
    "RecordResponse",
    "build",
    "record_many",
    "understand",
]


def build(kit: Kit) -> Service:
    """Return the service, ready to be served; ``kit.database`` is ingest's own handle."""

    async def record(tx: Transaction, commands: Sequence[RecordResponse]) -> Sequence[Outcome]:
        now = kit.clock.now()
        outcomes = await record_responses(
            tx,
            commands,
            now=now,
            keyring=kit.keyring,
            person_keys=kit.person_keys,
        )
        await count_recorded(tx, commands, outcomes, now=now)
        return outcomes

    async def count(tx: Transaction, counted: Sequence[Counted]) -> Sequence[None]:
        return await count_many(tx, counted, now=kit.clock.now(), keyring=kit.keyring)

    return Service(
        name="ingest",
        routers=[router, *ROUTERS],
        workers=[
            Relay(database=kit.database, bus=kit.bus, clock=kit.clock, keyring=kit.keyring),
            Consumer(
                name="ingest",
                topics=TOPICS,
                kinds=KINDS,
                handler=hear,
                database=kit.database,
                bus=kit.bus,
                clock=kit.clock,
                keyring=kit.keyring,
            ),
            Upkeep(kit.database, kit.clock),
            SourceUpkeep(kit.database, kit.clock),
        ],
        resources=Ingest(
            clock=kit.clock,
            database=kit.database,
            keyring=kit.keyring,
            person_keys=kit.person_keys,
            namespaces=Namespaces(kit.database, kit.clock),
            record=GroupCommit(kit.database, record),
            count=GroupCommit(kit.database, count),
        ),
    )
