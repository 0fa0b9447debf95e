"""Both footings, started once a run and shared; a story uses a source and ids of its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.infra import kafka
from tests.infra.kafka import KafkaBroker
from tests.infra.postgres import PostgresServer
from tests.infra.smtp import MailServer
from tests.journeys.installation import Embedded, Installation, ScaledOut


@pytest.fixture(scope="session")
def embedded() -> Iterator[Embedded]:
    """One process on SQLite."""
    with Embedded() as running:
        yield running


@pytest.fixture(scope="session")
def journey_broker() -> Iterator[KafkaBroker]:
    """A broker whose topics are the product's own."""
    broker = kafka.new_broker()
    broker.start()
    yield broker
    broker.stop()


@pytest.fixture(scope="session")
def scaled_out(
    journey_broker: KafkaBroker, postgres_server: PostgresServer
) -> Iterator[ScaledOut]:
    """Three roles on Kafka and PostgreSQL behind nginx, with a real SMTP server."""
    with (
        MailServer() as mail,
        ScaledOut(journey_broker, postgres_server, mail=mail) as running,
    ):
        yield running


SCALED_OUT = pytest.param(
    "scaled_out", marks=[pytest.mark.kafka, pytest.mark.postgres, pytest.mark.nginx]
)


@pytest.fixture(params=["embedded", SCALED_OUT])
def installation(request: pytest.FixtureRequest) -> Installation:
    """The same story on both footings."""
    running: Installation = request.getfixturevalue(request.param)
    return running
