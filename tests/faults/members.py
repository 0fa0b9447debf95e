"""A process that is one member of a consumer group, for tests that kill and freeze it.

``python -m tests.faults.members URL BOOTSTRAP GROUP TOPIC`` handles ``response.handled.v1`` and
writes one row a call of its handler into ``effects``; the real inbox keeps repetitions away.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import BigInteger, Column, Identity, MetaData, String, Table

from services.ingest.tables import PLUMBING
from shared.bus.consumer import Arrived, Consumer
from shared.bus.kafka import KafkaBus
from shared.clock import SystemClock
from shared.db.engine import Engines
from shared.db.transaction import Database, Transaction
from shared.events.loop import ResponseHandled
from shared.logs import set_up
from shared.sealing import Keyring
from shared.supervisor import Supervisor

EFFECTS = Table(
    "effects",
    MetaData(),
    Column("seq", BigInteger, Identity(), primary_key=True),
    Column("event_id", String(80), nullable=False),
    Column("key", String(80), nullable=False),
)
"""Not of the product: it has no unique constraint, so that what is doubled would be seen."""


async def _hear(tx: Transaction, arrived: Sequence[Arrived], _now: datetime) -> None:
    for one in arrived:
        await tx.execute(EFFECTS.insert().values(event_id=one.envelope.id, key=one.key))


async def main(url: str, bootstrap: str, group: str, topic: str) -> None:
    """Handle records until killed."""
    set_up(form="json", level="info")
    clock = SystemClock()
    consumer = Consumer(
        name=group,
        topics=[topic],
        kinds=[ResponseHandled],
        handler=_hear,
        database=Database(Engines.open(url, pool=2), PLUMBING),
        bus=KafkaBus(bootstrap, clock, topics=[topic]),
        clock=clock,
        keyring=Keyring("a secret for tests, long enough to be taken"),
    )
    Supervisor([consumer], clock=clock).start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
