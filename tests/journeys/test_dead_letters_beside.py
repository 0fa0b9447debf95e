"""Dead letters are listed, rehearsed, replayed and discarded while the installation serves."""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

import services.loop.tables
from shared.clock import SystemClock
from shared.db import dead_letter
from shared.db.dead_letter import Undeliverable
from shared.db.engine import Engines
from shared.db.transaction import Database
from shared.ids import new_id
from shared.sealing import Keyring
from tests.faults.load import Load
from tests.infra.processes import wait_until
from tests.journeys.installation import ADMIN, PROGRAM, Embedded
from tests.journeys.test_one_response import handled


def command(installation: Embedded, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*PROGRAM, "dead-letters", *words],
        env={**os.environ, **installation.environment()},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def asked(installation: Embedded, statement: str, *values: str) -> list[Any]:
    with closing(sqlite3.connect(installation.database, timeout=30)) as connection:
        return connection.execute(statement, values).fetchall()


def set_aside(installation: Embedded, *bodies: bytes) -> None:
    """Leave records behind as a consumer of loop would that could not handle them."""

    async def park() -> None:
        engines = Engines.open(
            installation.environment()["CLOSED_LOOP_DATABASE_URL"], alone=False
        )
        async with Database(engines, services.loop.tables.PLUMBING).transaction() as tx:
            letters = [
                Undeliverable(
                    topic="closed-loop.responses",
                    partition=7,
                    offset=n,
                    key="per_beside",
                    body=body,
                    headers={},
                    error="KeyError at somewhere.py:1",
                    digest="0" * 64,
                    tries=3,
                    event_type="response.recorded.v1",
                )
                for n, body in enumerate(bodies)
            ]
            keyring = Keyring(installation.secret)
            now = SystemClock().now()
            await dead_letter.park(tx, letters, consumer="loop", keyring=keyring, now=now)
        await engines.close()

    asyncio.run(park())


def another_of(body: bytes, response_id: str) -> bytes:
    """Return the same event of another response, of which nobody said anything sealed."""
    whole = json.loads(body)
    other = json.loads(json.dumps(whole).replace(whole["subject"], response_id))
    data = {**other["data"], "person": None}
    return json.dumps({**other, "id": new_id("evt"), "data": data}).encode()


@pytest.fixture
def embedded() -> Iterator[Embedded]:
    """One of its own: what others set aside would stand on the same list."""
    with Embedded() as running:
        yield running


def test_they_are_settled_beside_live_traffic_and_take_effect_once(
    embedded: Embedded, unique: str
) -> None:
    with embedded.client() as client:
        # Without a person, for what is sealed belongs to one response alone.
        anonymous = {"external_id": f"beside-{unique}", "score": 1}
        posted = client.post("/v1/responses", json=anonymous).json()
        assert handled(client, posted["id"])["state"] == "task_open"
    ((body,),) = asked(
        embedded,
        "SELECT body FROM shared_log WHERE topic = 'closed-loop.responses' AND"
        " CAST(body AS TEXT) LIKE ?"
        " LIMIT 1",
        f"%{posted['id']}%",
    )
    twin = new_id("rsp")
    set_aside(embedded, another_of(body, twin), b"{")
    load = Load(embedded, prefix=f"live-{unique}", clients=1)
    load.start()
    try:
        listed = json.loads(command(embedded, "list", "--json").stdout)
        good, bad = (letter["id"] for letter in listed)
        rehearsed = command(embedded, "replay", "--all", "--dry-run")
        assert "1 would be replayed, 1 would fail again" in rehearsed.stderr
        assert tasks_of(embedded, twin) == 0

        replayed = command(embedded, "replay", good, "--reason", "repaired", "--by", ADMIN[0])
        again = command(embedded, "replay", good, "--reason", "repaired")
        wait_until(lambda: tasks_of(embedded, twin) == 1, what="the replay's task")
        discarded = command(embedded, "discard", bad, "--yes", "--reason", "not ours")
        shown = json.loads(command(embedded, "show", good, "--json").stdout)
    finally:
        load.stop()

    assert (replayed.returncode, again.returncode, discarded.returncode) == (0, 0, 0)
    assert "settled meanwhile" in again.stderr
    assert tasks_of(embedded, twin) == 1
    assert shown["state"] == "replayed"
    trail = asked(
        embedded,
        "SELECT action, actor_kind, json_extract(detail, '$.reason') FROM shared_audit"
        " WHERE action LIKE 'dead-letter.%' ORDER BY at",
    )
    assert trail == [
        ("dead-letter.replayed", "staff", "repaired"),
        ("dead-letter.discarded", "system", "not ours"),
    ]
    with embedded.browser() as browser:
        assert "Nothing waits here" in browser.get("/settings/dead-letters").text


def tasks_of(installation: Embedded, response_id: str) -> int:
    ((n,),) = asked(
        installation, "SELECT count(*) FROM loop_tasks WHERE response_id = ?", response_id
    )
    return int(n)
