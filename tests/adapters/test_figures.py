"""What operators scrape: every promise as a number, right, cheap and without names."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import event

from shared.bus.consumer import UNREADABLE_LIMIT, Consumer
from shared.bus.embedded import EmbeddedBus
from shared.bus.ports import Record
from shared.bus.relay import Relay
from shared.clock import SystemClock
from shared.db import dead_letter, timers
from shared.db.engine import Engines
from shared.db.transaction import Database
from shared.errors import TryLater
from shared.events import topics
from shared.figures import ABOUT, KEPT, Board, Figure, Gauges
from shared.identity.groups import DEFAULT_TEAM
from shared.identity.principal import Scope
from shared.identity.teams import update_team
from shared.sealing import Keyring
from shared.service import Service
from tests.fakes import ManualClock
from tests.whole_house import WholeHouse, open_house

DETRACTOR = {"external_id": "A-1", "score": 1, "touchpoint": "secret-door", "comment": "Late."}


async def numbers(house: WholeHouse) -> dict[str, float]:
    """Return every figure of ``/metrics`` as it is written there."""
    async with house.client() as client:
        answer = await client.get("/metrics")
    assert answer.status_code == 200
    assert "secret-door" not in answer.text
    assert "crm" not in answer.text
    lines = [line for line in answer.text.splitlines() if not line.startswith("#")]
    return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in lines}


async def test_every_promise_is_a_number(
    engines: Engines, clock: ManualClock, keyring: Keyring
) -> None:
    """What waits is seen while it waits, grows with time, and is gone when it is done."""
    async with open_house(engines, clock, keyring) as house:
        async with house.client() as client:
            headers = await house.key(*Scope, source="crm")
            taken = await client.post("/v1/responses", json=DETRACTOR, headers=headers)
            assert taken.status_code == 202, taken.text
            refused = await client.post(
                "/v1/responses", json={**DETRACTOR, "score": 99}, headers=headers
            )
            assert refused.status_code == 422
        clock.advance(timedelta(seconds=90))

        waiting = await numbers(house)
        await house.settle(sending=False)
        clock.advance(timedelta(seconds=60))
        handled = await numbers(house)
        await house.settle()
        clock.advance(timedelta(seconds=60))
        sent = await numbers(house)

    assert {name.partition("{")[0] for name in waiting} >= {
        f"closed_loop_{name}" for name in ABOUT
    }
    assert waiting['closed_loop_outbox_waiting{service="ingest"}'] >= 1
    assert waiting['closed_loop_outbox_oldest_seconds{service="ingest"}'] == 90
    assert waiting["closed_loop_responses_unhandled"] == 1
    assert waiting["closed_loop_responses_unhandled_oldest_seconds"] == 90
    assert sum(v for k, v in waiting.items() if k.startswith("closed_loop_refusals_total")) > 0
    assert handled['closed_loop_outbox_waiting{service="ingest"}'] == 0
    assert handled["closed_loop_responses_unhandled"] == 0
    assert handled['closed_loop_consumer_lag{consumer="loop"}'] == 0
    assert handled['closed_loop_consumer_up{consumer="loop"}'] == 1
    assert sent["closed_loop_deliveries_due"] == 0
    assert sent['closed_loop_figures_complete{service="loop"}'] == 1


async def test_what_is_due_to_be_sent_and_how_it_went_are_numbers(
    engines: Engines, clock: ManualClock, keyring: Keyring
) -> None:
    """A mail waits, grows overdue, and is counted by what came of the attempt."""
    accepted = 'closed_loop_deliveries_total{channel="email",verdict="accepted"}'
    async with open_house(engines, clock, keyring) as house:
        async with house.database.transaction() as tx:
            await update_team(tx, DEFAULT_TEAM, email="care@example.org", now=clock.now())
        async with house.client() as client:
            headers = await house.key(*Scope, source="crm")
            await client.post("/v1/responses", json=DETRACTOR, headers=headers)
        before = await numbers(house)
        await house.settle(sending=False)
        clock.advance(timedelta(seconds=60))
        waiting = await numbers(house)
        clock.advance(timedelta(seconds=60))
        later = await numbers(house)
        await house.settle()
        clock.advance(timedelta(seconds=60))
        sent = await numbers(house)

    due, overdue = "closed_loop_deliveries_due", "closed_loop_deliveries_overdue_seconds"
    assert [each[due] for each in (before, waiting, later, sent)] == [0, 1, 1, 0]
    assert [each[overdue] for each in (before, waiting, later, sent)] == [0, 60, 120, 0]
    assert sent[accepted] == before.get(accepted, 0) + 1


async def test_what_was_set_aside_is_a_number_until_it_is_settled(
    engines: Engines, clock: ManualClock, keyring: Keyring
) -> None:
    """How many, how old the oldest is, which share of the last minutes, and who stopped."""
    count = 'closed_loop_dead_letters{service="loop"}'
    age = 'closed_loop_dead_letters_oldest_seconds{service="loop"}'
    share = 'closed_loop_consumer_parked_share{consumer="loop"}'
    up = 'closed_loop_consumer_up{consumer="loop"}'
    lag = 'closed_loop_consumer_lag{consumer="loop"}'
    async with open_house(engines, clock, keyring) as house:
        publisher = await EmbeddedBus(house.database, clock).publisher()
        rubbish = Record(topic=topics.RESPONSES, key="k", value=b"rubbish")
        (loop,) = [service for service in house.services if service.name == "loop"]
        consumer = next(worker for worker in loop.workers if isinstance(worker, Consumer))

        assert await publisher.publish([rubbish]) == [None]
        behind = await numbers(house)
        await house.settle()
        clock.advance(timedelta(seconds=30))
        aside = await numbers(house)
        clock.advance(timedelta(seconds=30))
        older = await numbers(house)
        await discard_all(loop, clock)
        clock.advance(timedelta(seconds=300))
        settled = await numbers(house)
        assert (
            await publisher.publish([rubbish] * UNREADABLE_LIMIT) == [None] * UNREADABLE_LIMIT
        )
        await consumer.step()
        clock.advance(timedelta(seconds=KEPT))
        stopped = await numbers(house)

    found = (behind, aside, older, settled, stopped)
    assert [each[lag] for each in found] == [1, 0, 0, 0, 0]
    assert [each[count] for each in found] == [0, 1, 1, 0, UNREADABLE_LIMIT]
    assert [each[age] for each in found[:4]] == [0, 30, 60, 0]
    assert [each[share] for each in found] == [0, 1, 1, 0, 1]
    assert [each[up] for each in found] == [1, 1, 1, 1, 0]


async def discard_all(service: Service, clock: ManualClock) -> None:
    """Give up what a service has set aside."""
    (database,) = [each.database for each in service.workers if isinstance(each, Relay)]
    async with database.reading() as view:
        letters = await dead_letter.list_letters(view, database.plumbing.dead_letters)
    async with database.transaction() as tx:
        for letter in letters:
            await dead_letter.discard(tx, letter.id, now=clock.now())


async def test_they_are_looked_up_once_in_a_few_seconds_and_cheaply(
    engines: Engines, clock: ManualClock, keyring: Keyring
) -> None:
    """A scraper, however eager, costs the database a handful of statements."""
    async with open_house(engines, clock, keyring) as house:
        await house.settle()
        clock.advance(timedelta(seconds=KEPT))
        statements: list[str] = []

        @event.listens_for(engines.reader.sync_engine, "before_cursor_execute")
        def _note(*call: Any) -> None:
            statements.append(call[2])

        await numbers(house)
        first = len(statements)
        await asyncio.gather(*(numbers(house) for _ in range(5)))
        assert len(statements) == first
        clock.advance(timedelta(seconds=KEPT))
        await numbers(house)

    assert len(statements) == 2 * first
    assert not any(word in text for text in statements for word in ("UPDATE", "INSERT"))


async def test_a_service_that_cannot_answer_leaves_out_its_numbers_and_says_so(
    database_of: Callable[[str], Database], clock: ManualClock
) -> None:
    async def away(_: object, __: datetime) -> Sequence[Figure]:
        raise TryLater("away")

    found = await Board([Gauges("loop", [], clock=clock)], clock).figures()
    assert found == [Figure(name="figures_complete", value=1.0, labels={"service": "loop"})]

    gauges = Gauges("loop", [_relay(database_of("loop"), clock)], clock=clock, measure=away)
    found = await gauges.look()
    assert found == [Figure(name="figures_complete", value=0.0, labels={"service": "loop"})]


def _relay(database: Database, clock: ManualClock) -> Any:
    return Relay(
        database=database,
        bus=EmbeddedBus(database, clock),
        clock=clock,
        keyring=Keyring("s" * 40),
    )


async def test_how_far_the_clocks_are_apart_is_a_number(
    database_of: Callable[[str], Database],
) -> None:
    drifting = ManualClock(SystemClock().now())
    gauges = Gauges("loop", [_relay(database_of("loop"), drifting)], clock=drifting)
    together = {figure.name: figure.value for figure in await gauges.look()}
    drifting.advance(timedelta(seconds=90))
    apart = {figure.name: figure.value for figure in await gauges.look()}

    assert together["clock_apart_seconds"] < 20
    assert 70 < apart["clock_apart_seconds"] <= 90


async def test_a_timer_that_nobody_rings_is_overdue(
    database_of: Callable[[str], Database], clock: ManualClock
) -> None:
    database = database_of("loop")
    async with database.transaction() as tx:
        await timers.set_all(
            tx, [timers.Timer(kind="warn", subject="tsk_1", due_at=clock.now())]
        )
    gauges = Gauges("loop", [_relay(database, clock)], clock=clock)
    clock.advance(timedelta(seconds=42))

    found = {figure.name: figure.value for figure in await gauges.look()}

    assert found["timers_overdue_seconds"] == 42
