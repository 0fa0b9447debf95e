"""``kill -9`` at ten different moments under load, on both footings."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator

import pytest

from tests.faults.load import Load, prove_nothing_lost_nothing_doubled
from tests.infra.kafka import KafkaBroker
from tests.infra.postgres import PostgresServer
from tests.infra.receiver import Receiver
from tests.journeys.installation import Embedded, Installation, ScaledOut

MOMENTS = 10


def _hook(installation: Installation, receiver: Receiver) -> None:
    with installation.client() as client:
        reply = client.post(
            "/v1/webhooks", json={"url": receiver.url, "events": ["task.opened"]}
        )
        assert reply.status_code == 201, reply.text
        receiver.use_secret(reply.json()["secret"])


def _kill_at_moments(installation: Installation, load: Load, roles: list[str]) -> None:
    """Kill one role after the other at moments that no clock chose."""
    lot = random.Random(137)
    load.start()
    for moment in range(MOMENTS):
        load.wait_for_more(lot.randrange(3, 25))
        time.sleep(lot.random() * 0.3)
        role = roles[moment % len(roles)]
        installation.kill(role)
        installation.start(role)
    load.stop()


@pytest.fixture
def own_embedded() -> Iterator[Embedded]:
    """An installation that may be killed."""
    with Embedded() as running:
        yield running


def test_the_one_process_is_killed_ten_times_under_load(
    own_embedded: Embedded, receiver: Receiver, unique: str
) -> None:
    """After the last restart every 202 has one response, every detractor one task."""
    _hook(own_embedded, receiver)
    load = Load(own_embedded, prefix=unique)

    _kill_at_moments(own_embedded, load, ["all"])

    counted = prove_nothing_lost_nothing_doubled(own_embedded, load.history, receiver)
    print(dict(counted))
    assert counted["accepted"] > MOMENTS


@pytest.mark.kafka
@pytest.mark.postgres
@pytest.mark.nginx
def test_each_role_in_turn_is_killed_under_load(
    own_kafka_broker: KafkaBroker,
    postgres_server: PostgresServer,
    receiver: Receiver,
    unique: str,
) -> None:
    """The same on Kafka and PostgreSQL: ingest, loop and notify die in turn."""
    with ScaledOut(own_kafka_broker, postgres_server) as installation:
        _hook(installation, receiver)
        load = Load(installation, prefix=unique)

        _kill_at_moments(installation, load, ["ingest", "loop", "notify"])

        counted = prove_nothing_lost_nothing_doubled(
            installation, load.history, receiver, seconds=150
        )
        print(dict(counted))
        assert counted["accepted"] > MOMENTS
