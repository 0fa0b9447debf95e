"""What operators scrape: every promise as a number, right, cheap and without names."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import event

from shared.bus.embedded import EmbeddedBus
from shared.bus.relay import Relay
from shared.db import timers
from shared.db.engine import Engines
from shared.db.transaction import Database
from shared.errors import TryLater
from shared.figures import ABOUT, KEPT, Board, Figure, Gauges
from shared.identity.principal import Scope
from shared.sealing import Keyring
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
