"""The broker is away, hangs, dies: responses are taken all the same, and arrive afterwards."""

from __future__ import annotations

import os
import random
import re
import time
from collections import Counter
from collections.abc import Callable
from functools import partial

import pytest

from tests.faults.checker import counted, violations
from tests.faults.evidence import gather
from tests.faults.history import History
from tests.faults.load import Load, settled
from tests.faults.steady import OneProcess, Steady, middle, ready, wait_for_bus
from tests.infra import docker
from tests.infra.kafka import KafkaBroker
from tests.infra.postgres import PostgresServer
from tests.infra.processes import wait_until
from tests.infra.proxy import FaultProxy, Latency, Limit, Slicer, Swallow, Toxic
from tests.infra.three_brokers import ThreeBrokers
from tests.journeys.installation import Installation, ScaledOut

SECONDS = float(os.environ.get("CLOSED_LOOP_TEST_SOAK_SECONDS", "120"))
A_FEW = 40


def _proved(
    installation: Installation, history: History, *, seconds: float = 90
) -> Counter[str]:
    """Wait until all is quiet, then hold every invariant against what is there."""
    settled(installation, seconds=seconds)
    evidence = gather(installation)
    wrong = violations(history, evidence)
    assert wrong == {}, {name: list(some)[:5] for name, some in wrong.items()}
    return counted(history, evidence)


def _outages(
    broker: KafkaBroker, proxy: FaultProxy
) -> dict[str, tuple[Callable[[], None], Callable[[], None]]]:
    """Return by name how the broker goes away, and how it comes back."""
    return {
        "unreachable": (proxy.cut, proxy.heal),
        "silent": (partial(proxy.use, Swallow()), proxy.heal),
        "hung": (broker.pause, broker.resume),
        "killed": (broker.kill, broker.restart),
    }


@pytest.mark.kafka
def test_responses_are_taken_while_the_broker_is_away_and_arrive_afterwards(
    far_kafka_broker: KafkaBroker, proxy: FaultProxy, unique: str
) -> None:
    with OneProcess(bus=f"kafka://{far_kafka_broker.bootstrap}") as installation:
        steady = Steady(installation, prefix=unique)
        steady.start()
        usual = middle(steady.more(A_FEW))
        for name, (go, come_back) in _outages(far_kafka_broker, proxy).items():
            go()
            answers = steady.more(A_FEW)
            assert {one.status for one in answers} == {202}, name
            # Waiting for a broker would take five seconds at the least.
            assert max(one.seconds for one in answers) < 4, name
            assert middle(answers) < 3 * usual + 0.1, name
            _said_to_be_degraded(installation)
            come_back()
            wait_for_bus(installation)
        steady.stop()

        numbers = _proved(installation, steady.history)
        print(dict(numbers))
        assert numbers["accepted"] == numbers["posted"] >= 5 * A_FEW


def _said_to_be_degraded(installation: OneProcess) -> None:
    """The installation is ready, and says what waits and for how long."""
    said: dict[str, str] = {}

    def is_said() -> bool:
        status, parts = ready(installation)
        assert status == 200, parts
        said.update(parts["bus"])
        return said["status"] == "degraded" and bool(
            re.search(r"ingest: backlog [1-9]\d*, oldest \d+ s", said.get("detail", ""))
        )

    wait_until(is_said, what="the backlog to be said", seconds=30, every=0.1)


@pytest.mark.kafka
def test_a_cap_on_what_waits_is_an_honest_refusal_that_heals(
    far_kafka_broker: KafkaBroker, proxy: FaultProxy, unique: str
) -> None:
    with OneProcess(
        bus=f"kafka://{far_kafka_broker.bootstrap}", backlog_limit="100"
    ) as installation:
        proxy.cut()
        with installation.client() as client:

            def post(number: int) -> int:
                answer = client.post(
                    "/v1/responses", json={"external_id": f"{unique}-{number}", "score": 9}
                )
                if answer.status_code == 503:
                    assert answer.json()["type"].endswith("/storage-full")
                    assert answer.headers["retry-after"] == "30"
                return answer.status_code

            assert [post(n) for n in range(101)] == [202] * 100 + [503]
            batch = [{"external_id": f"{unique}-b{n}", "score": 9} for n in range(3)]
            assert client.post("/v1/responses/batch", json=batch).status_code == 503
            # Reading and everything else goes on, and nobody is to be restarted.
            found = client.get("/v1/responses", params={"limit": "200"}).json()["data"]
            assert len(found) == 100
            assert ready(installation)[0] == 200

            proxy.heal()
            wait_until(lambda: post(100) == 202, what="room for more", every=0.3)


@pytest.mark.kafka
def test_a_bad_network_and_killed_relays_change_no_order(
    far_kafka_broker: KafkaBroker, proxy: FaultProxy, unique: str
) -> None:
    """Twenty customers with a counter each, fifty times; the checker compares every order."""
    lot = random.Random(41)
    toxics: list[tuple[Toxic, ...]] = [
        (Latency(0.05, jitter=0.05),),
        (Limit(20_000),),
        (Slicer(600, pause=0.002),),
        (Latency(0.02), Limit(60_000)),
    ]
    with OneProcess(bus=f"kafka://{far_kafka_broker.bootstrap}") as installation:
        steady = Steady(installation, prefix=unique, rate=80, clients=4)
        steady.start()
        deadline = time.monotonic() + 240
        turn = 0
        while len(steady.history.accepted) < 1_000:
            assert time.monotonic() < deadline, len(steady.history.accepted)
            proxy.up.use(*toxics[turn % len(toxics)])
            proxy.down.use(*toxics[lot.randrange(len(toxics))])
            steady.more(lot.randrange(30, 80))
            proxy.reset()
            if turn % 4 == 3:
                installation.kill("all")
                installation.start()
            turn += 1
        steady.stop()
        proxy.heal()

        numbers = _proved(installation, steady.history, seconds=120)
        print(dict(numbers), f"{turn} turns")


@pytest.mark.soak
@pytest.mark.kafka
@pytest.mark.postgres
@pytest.mark.nginx
def test_three_brokers_die_at_random_for_as_long_as_told(
    postgres_server: PostgresServer, unique: str
) -> None:
    """Any broker at any time, sometimes two, and the roles as well."""
    if docker.answers():
        pytest.skip("three brokers of one cluster are started from the local jars only")
    lot = random.Random(int(os.environ.get("CLOSED_LOOP_TEST_SEED", "7")))
    brokers = ThreeBrokers()
    brokers.start()
    faults = 0
    try:
        with ScaledOut(brokers, postgres_server) as installation:
            load = Load(installation, prefix=unique, clients=4, pause=0.02)
            load.start()
            deadline = time.monotonic() + SECONDS
            while time.monotonic() < deadline:
                some = lot.sample(brokers.nodes, lot.choice([1, 1, 2]))
                kill = lot.random() < 0.6
                for node in some:
                    node.kill() if kill else node.pause()
                faults += len(some)
                load.wait_for_more(lot.randrange(20, 150))
                if lot.random() < 0.4:
                    role = lot.choice(["ingest", "loop", "notify"])
                    installation.kill(role)
                    installation.start(role)
                    faults += 1
                for node in some:
                    node.resume()
                    if kill:
                        node.launch()
                for node in some:
                    node.wait_ready()
                load.wait_for_more(lot.randrange(20, 150))
            load.stop()
            numbers = _proved(installation, load.history, seconds=300)
            print(dict(numbers), f"{faults} faults in {SECONDS:.0f} s")
            assert numbers["accepted"] > SECONDS
    finally:
        brokers.stop()
