"""A record that nobody can read stops nobody: it is parked with its origin."""

from __future__ import annotations

import json
import os
import subprocess

import pytest
from aiokafka import AIOKafkaProducer

from tests.infra.processes import wait_until
from tests.journeys.installation import PROGRAM, ScaledOut
from tests.journeys.test_one_response import a_response, handled


@pytest.mark.kafka
@pytest.mark.postgres
@pytest.mark.nginx
async def test_poison_on_the_topic_is_parked_and_named(
    scaled_out: ScaledOut, unique: str
) -> None:
    """Rubbish from somebody else's producer costs none of our customers anything."""
    producer = AIOKafkaProducer(bootstrap_servers=scaled_out.bootstrap)
    await producer.start()
    origins = set()
    try:
        for rubbish in (b"", b"\xff\xfe", b"{", b"[]", b'{"specversion": "1.0"}', None):
            sent = await producer.send_and_wait(
                "closed-loop.responses", rubbish, key=unique.encode()
            )
            origins.add(f"{sent.topic}/{sent.partition}/{sent.offset}")
    finally:
        await producer.stop()

    with scaled_out.client() as client:
        posted = client.post("/v1/responses", json=a_response(unique)).json()
        response = handled(client, posted["id"])

    def parked() -> set[str]:
        done = subprocess.run(
            [*PROGRAM, "dead-letters", "list", "--json"],
            env={**os.environ, **scaled_out.environment("migrate")},
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        return {letter["origin"] for letter in json.loads(done.stdout)}

    wait_until(lambda: origins <= parked(), what="every piece of rubbish to be parked")
    assert response["state"] == "task_open"
