"""A record of an erased person that is replayed later: no task, no word of theirs."""

from __future__ import annotations

from sqlalchemy import select, text

from shared.bus.relay import Relay
from shared.db import dead_letter
from shared.db.dead_letter import LetterState, Undeliverable
from shared.db.engine import Engines
from shared.db.plumbing import log
from shared.db.transaction import Database
from shared.events import topics
from shared.identity.audit import SYSTEM
from shared.identity.erasure import erase_person
from shared.letters import EFFECTIVE, LetterDesk
from shared.sealing import Keyring
from shared.supervisor import settle
from tests.fakes import ManualClock
from tests.whole_house import WholeHouse, open_house

DETRACTOR = {
    "external_id": "A-1",
    "score": 1,
    "comment": "They lost my pram.",
    "customer": {"id": "C-1", "name": "Maya Lindqvist", "phone": "+46 70 000 00 00"},
}


async def test_a_replay_of_an_erased_person_opens_nothing(
    engines: Engines, clock: ManualClock, keyring: Keyring
) -> None:
    async with open_house(engines, clock, keyring) as house:
        desk = await desk_of_loop(house)
        async with house.client() as client:
            assert (await client.post("/v1/responses", json=DETRACTOR)).status_code == 202
        await settle([w for s in house.services for w in s.workers if w.name == "relay.ingest"])
        await set_aside(house, desk, keyring)
        async with house.database.transaction() as tx:
            ref = await tx.scalar(text("SELECT person_ref FROM ingest_responses"))
            assert await erase_person(tx, ref, clock.now())

        (letter,) = await desk.list()
        replayed = await desk.replay(letter, by=SYSTEM, reason="repaired")
        await house.settle()

        assert replayed.fate in EFFECTIVE
        assert (await desk.get(letter.id)).state is LetterState.REPLAYED
        async with house.database.reading() as view:
            assert await view.scalar(text("SELECT count(*) FROM loop_tasks")) == 0
            assert await view.scalar(text("SELECT count(*) FROM notify_deliveries")) == 0
            state = await view.scalar(text("SELECT state FROM ingest_responses"))
        assert state == "no_action"


async def desk_of_loop(house: WholeHouse) -> LetterDesk:
    (loop,) = [service for service in house.services if service.name == "loop"]
    (relay,) = [worker for worker in loop.workers if isinstance(worker, Relay)]
    return LetterDesk(
        "loop",
        database=relay.database,
        workers=loop.workers,
        clock=house.clock,
        keyring=house.keyring,
    )


async def set_aside(house: WholeHouse, desk: LetterDesk, keyring: Keyring) -> None:
    """Park what lies on the topic, as a consumer would that could not handle it."""
    database: Database = desk.database
    async with database.transaction() as tx:
        row = await tx.first(select(log).where(log.c.topic == topics.RESPONSES))
        assert row is not None
        one = Undeliverable(
            topic=row.topic,
            partition=0,
            offset=row.offset,
            key=row.key,
            body=row.body,
            headers=row.headers,
            error="KeyError at somewhere.py:1",
            digest="0" * 64,
            tries=3,
        )
        await dead_letter.park(
            tx, [one], consumer="loop", keyring=keyring, now=house.clock.now()
        )
