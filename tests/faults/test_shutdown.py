"""A signal ends the process within 25 s, whatever hangs, with the code that is documented."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.infra import kafka
from tests.infra.kafka import KafkaBroker
from tests.infra.processes import LOOPBACK, accepts, wait_until
from tests.journeys.installation import PROGRAM, ROOT, Embedded
from tests.journeys.test_one_response import a_response

PROMISED = 25.0


class HungServer:
    """Accepts every connection and never says a word."""

    def __init__(self) -> None:
        self._listening = socket.create_server((LOOPBACK, 0))
        self.port: int = self._listening.getsockname()[1]
        self.held: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                self.held.append(self._listening.accept()[0])

    def close(self) -> None:
        self._listening.close()
        for each in self.held:
            each.close()


@pytest.fixture
def hung() -> Iterator[HungServer]:
    server = HungServer()
    yield server
    server.close()


def seconds_to_end(installation: Embedded) -> float:
    """Send SIGTERM and return how long it took to end."""
    began = time.monotonic()
    installation.terminate("all")
    return time.monotonic() - began


def test_it_ends_in_time_while_smtp_and_a_receiver_hang_and_the_database_is_locked(
    hung: HungServer, unique: str
) -> None:
    mail = {
        "CLOSED_LOOP_SMTP_URL": f"smtp://{LOOPBACK}:{hung.port}",
        "CLOSED_LOOP_MAIL_FROM": "Closed Loop <closed-loop@example.org>",
    }
    installation = Embedded()
    with contextlib.ExitStack() as stack:
        stack.callback(installation.stop)
        installation.start("all", mail)
        with installation.client() as client:
            hook = {"url": f"http://{LOOPBACK}:{hung.port}/", "events": ["task.opened"]}
            assert client.post("/v1/webhooks", json=hook).status_code == 201
            client.post("/v1/responses", json=a_response(unique))
        wait_until(lambda: len(hung.held) >= 2, what="both channels to hang", seconds=60)
        other = stack.enter_context(
            contextlib.closing(sqlite3.connect(installation.database, isolation_level=None))
        )
        wait_until(lambda: _locks(other), what="the database's lock", seconds=30)

        took = seconds_to_end(installation)

        assert took <= PROMISED
        assert installation.exit_code("all") == 0


def _locks(connection: sqlite3.Connection) -> bool:
    try:
        connection.execute("BEGIN IMMEDIATE")
    except sqlite3.OperationalError:
        return False
    return True


def test_a_second_signal_ends_it_at_once(hung: HungServer, unique: str) -> None:
    """Whoever does not want to wait need not, and the code says so."""
    mail = {
        "CLOSED_LOOP_SMTP_URL": f"smtp://{LOOPBACK}:{hung.port}",
        "CLOSED_LOOP_MAIL_FROM": "Closed Loop <closed-loop@example.org>",
    }
    installation = Embedded()
    with contextlib.ExitStack() as stack:
        stack.callback(installation.stop)
        installation.start("all", mail)
        with installation.client() as client:
            client.post("/v1/responses", json=a_response(unique))
        wait_until(lambda: bool(hung.held), what="the mail server to hang", seconds=60)
        (pid,) = installation.pids

        os.kill(pid, signal.SIGTERM)
        time.sleep(0.5)
        assert installation.exit_code("all") is None, "nothing was waited for"
        began = time.monotonic()
        os.kill(pid, signal.SIGTERM)
        installation.wait_dead("all", seconds=5)

        assert time.monotonic() - began < 2
        assert installation.exit_code("all") == 130


def test_it_ends_soon_when_nothing_hangs() -> None:
    installation = Embedded()
    with contextlib.ExitStack() as stack:
        stack.callback(installation.stop)
        installation.start_all()

        assert seconds_to_end(installation) < 10
        assert installation.exit_code("all") == 0


@pytest.fixture
def broker() -> Iterator[KafkaBroker]:
    """One of its own, whose topics are the product's."""
    made = kafka.new_broker()
    made.start()
    yield made
    made.stop()


@pytest.mark.kafka
def test_it_ends_in_time_while_the_broker_is_frozen(broker: KafkaBroker, unique: str) -> None:
    installation = Embedded()
    on_kafka = {"CLOSED_LOOP_BUS": f"kafka://{broker.bootstrap}"}
    with contextlib.ExitStack() as stack:
        stack.callback(installation.stop)
        migrated = subprocess.run(
            [*PROGRAM, "migrate"],
            env={**os.environ, **installation.environment(), **on_kafka},
            cwd=installation.database.parent,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert migrated.returncode == 0, migrated.stderr
        installation.start("all", on_kafka)
        stack.callback(broker.resume)
        broker.pause()
        with installation.client() as client:
            assert client.post("/v1/responses", json=a_response(unique)).status_code == 202

        took = seconds_to_end(installation)

        assert took <= PROMISED
        assert installation.exit_code("all") == 0


_BLOCKED = """
import asyncio, time
from services.commands import serving
from shared.supervisor import Supervisor

async def stop(self):
    time.sleep(60)  # the loop itself is blocked: no timer of it will ever ring

Supervisor.stop = stop
serving._HARD_END = 2.0
asyncio.run(serving.serve_role("all", host=None, port=None))
"""


def test_a_blocked_loop_cannot_hold_the_process(tmp_path: Path) -> None:
    """The last word is spoken by a thread of its own."""
    installation = Embedded()
    with contextlib.ExitStack() as stack:
        stack.callback(installation.stop)
        child = subprocess.Popen(
            [sys.executable, "-c", _BLOCKED],
            env={**os.environ, **installation.environment()},
            cwd=ROOT,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            wait_until(lambda: accepts(installation.port), what="the server", seconds=60)
            child.send_signal(signal.SIGTERM)
            assert child.wait(20) == 0
        finally:
            child.kill()
            child.wait(10)
