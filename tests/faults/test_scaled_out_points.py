"""The fault points whose code differs on PostgreSQL and Kafka: each role dies at its own.

The three roles walk their chains at the same time, each start being the recovery from a death
and running into the next one, while clients post through the front door. What is a lease there
runs out as if its time had passed, but for the last one of each role, which is waited for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.faults.load import Load, prove_nothing_lost_nothing_doubled
from tests.infra.kafka import KafkaBroker
from tests.infra.postgres import PostgresServer
from tests.infra.processes import ServerDidNotStart
from tests.infra.receiver import Receiver
from tests.infra.smtp import MailServer
from tests.journeys.installation import ScaledOut

CHAINS: Mapping[str, Sequence[str]] = {
    "ingest": (
        "ingest.recorded",
        "transaction.after_commit",
        "relay.leased",
        "relay.claimed",
        "relay.sent",
        "relay.acknowledged",
        "relay.marked",
    ),
    "loop": (
        "consumer.polled",
        "consumer.in_effect",
        "consumer.effect_committed",
        "consumer.offset_committed",
        "transaction.before_commit",
    ),
    "notify": (
        "notify.fanned_out",
        "delivery.claimed",
        "delivery.sent",
        "delivery.marked",
    ),
}
"""Records, relay, consumer, transaction, group commit and leases; the rest is the same code."""

TIME_PASSES = {
    "ingest": ("UPDATE shared_leases SET lease_until = 0 WHERE name = 'relay.ingest'",),
    "loop": ("UPDATE shared_leases SET lease_until = 0 WHERE name = 'relay.loop'",),
    "notify": (
        "UPDATE shared_leases SET lease_until = 0 WHERE name = 'relay.notify'",
        "UPDATE notify_deliveries SET lease_until = 0 WHERE state = 'sending'",
    ),
}
"""By role, what a dead process still holds."""


def _walk(installation: ScaledOut, postgres: PostgresServer, role: str) -> int:
    """Have a role die twice at each of its points; return how often it died."""
    deaths = 0
    for point in CHAINS[role]:
        for arrival in (2, 1):
            try:
                installation.start(role, {"CLOSED_LOOP_TEST_FAULT": f"{point}:{arrival}"})
            except ServerDidNotStart:
                pass  # it died there before it was ready, which is dying there
            else:
                installation.wait_dead(role, seconds=150)
            assert installation.exit_code(role) == 137, installation.log_of(role)[-2_000:]
            deaths += 1
            if (point, arrival) != (CHAINS[role][-1], 1):
                postgres.run(TIME_PASSES[role], database=installation.database)
    installation.start(role)
    return deaths


@pytest.mark.soak
@pytest.mark.kafka
@pytest.mark.postgres
@pytest.mark.nginx
def test_each_role_dies_twice_at_each_of_its_points(
    own_kafka_broker: KafkaBroker,
    postgres_server: PostgresServer,
    receiver: Receiver,
    mail_server: MailServer,
    unique: str,
) -> None:
    with ScaledOut(own_kafka_broker, postgres_server, mail=mail_server) as installation:
        with installation.client() as client:
            made = client.post(
                "/v1/webhooks", json={"url": receiver.url, "events": ["task.opened"]}
            )
            receiver.use_secret(made.json()["secret"])
        load = Load(installation, prefix=unique, clients=2, pause=0.05)
        load.start()
        for role in CHAINS:
            installation.kill(role)
            postgres_server.run(TIME_PASSES[role], database=installation.database)
        with ThreadPoolExecutor(len(CHAINS)) as pool:
            walks = [pool.submit(_walk, installation, postgres_server, role) for role in CHAINS]
        deaths = [walk.result() for walk in walks]
        load.wait_for_more(3)
        load.stop()

        counted = prove_nothing_lost_nothing_doubled(
            installation, load.history, receiver, mail=mail_server, seconds=150
        )
    print(deaths, dict(counted))
    assert deaths == [2 * len(points) for points in CHAINS.values()]
