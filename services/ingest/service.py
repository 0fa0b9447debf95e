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
from services.ingest.jobs import (
    EarlierWorker,
    PersonWork,
    RetentionWork,
    SourceUpkeep,
    Upkeep,
)
from services.ingest.listeners import KINDS, TOPICS, hear
from services.ingest.pages import ROUTERS
from services.ingest.schemas import understand
from services.ingest.senders import require_ready_mappings
from services.ingest.store import figures
from shared.bus.consumer import Consumer
from shared.bus.relay import Relay
from shared.db.group import GroupCommit
from shared.db.room import MEGABYTE, Room
from shared.identity.audit_pruning import old_lines
from shared.service import Service

if TYPE_CHECKING:
    from shared.clock import Clock
    from shared.db.transaction import Database, Transaction
    from shared.identity.person_keys import PersonKeys
    from shared.sealing import Keyring
    from shared.service import Kit
    from shared.settings import Settings

__all__ = [
    "Ingest",
    "RecordResponse",
    "build",
    "hold",
    "record_many",
    "understand",
]


def hold(
    *,
    clock: Clock,
    database: Database,
    keyring: Keyring,
    person_keys: PersonKeys,
    settings: Settings,
) -> Ingest:
    """Return what the doors of ingest hold; ``database`` is ingest's own handle."""
    path = settings.sqlite_path
    room = Room(
        clock,
        rows=settings.backlog_limit,
        folder=path.resolve().parent if path else None,
        floor=settings.disk_floor_mb * MEGABYTE,
    )

    async def record(tx: Transaction, commands: Sequence[RecordResponse]) -> Sequence[Outcome]:
        await room.require(tx, len(commands))
        now = clock.now()
        outcomes = await record_responses(
            tx, commands, now=now, keyring=keyring, person_keys=person_keys
        )
        await count_recorded(tx, commands, outcomes, now=now)
        return outcomes

    async def count(tx: Transaction, counted: Sequence[Counted]) -> Sequence[None]:
        return await count_many(tx, counted, now=clock.now(), keyring=keyring)

    return Ingest(
        clock=clock,
        database=database,
        keyring=keyring,
        person_keys=person_keys,
        namespaces=Namespaces(database, clock),
        record=GroupCommit(database, record),
        count=GroupCommit(database, count),
        room=room,
    )


def build(kit: Kit) -> Service:
    """Return the service, ready to be served; ``kit.database`` is ingest's own handle.

    Raises ``Misconfigured`` for a ready mapping that cannot be used.
    """
    require_ready_mappings()
    ingest = hold(
        clock=kit.clock,
        database=kit.database,
        keyring=kit.keyring,
        person_keys=kit.person_keys,
        settings=kit.settings,
    )
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
            PersonWork(ingest),
            RetentionWork(ingest),
            EarlierWorker(ingest),
        ],
        resources=ingest,
        # The trail is everybody's; one service looks after its age.
        expiring=[old_lines(kit.keyring, kit.clock)],
        measure=figures,
    )
