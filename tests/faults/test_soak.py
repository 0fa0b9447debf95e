"""Everything breaks at random for as long as told, on both footings; nothing is lost.

``make soak SECONDS=1800`` runs half an hour of it on each. The last third is without deaths, so
that what the processes hold in memory can be compared from its beginning to its end.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import pytest

from tests.faults.checker import counted, violations
from tests.faults.evidence import gather
from tests.faults.load import Load, settled
from tests.infra.kafka import KafkaBroker
from tests.infra.postgres import PostgresServer
from tests.infra.receiver import Receiver
from tests.infra.smtp import MailServer
from tests.journeys.installation import Embedded, Installation, ScaledOut

SECONDS = float(os.environ.get("CLOSED_LOOP_TEST_SOAK_SECONDS", "120"))
CLIENTS = 4
PAUSE = 0.15
"""Between two posts of a client: it is endurance that is asked for here, not speed."""
QUIET_AFTER = 150.0
"""Seconds that what is under way may take; what waits for its next try is then tried."""
MOST_GROWTH = 1.5
"""How many times their memory the processes may hold after the last third."""

Fault = Callable[[], None]

# The test's own mail server is stopped in the middle of what it is told.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


@dataclass
class _Storm:
    """One fault after the other, by a lot that can be drawn again."""

    load: Load
    faults: Mapping[str, Fault]
    lot: random.Random
    counted: Counter[str] = field(default_factory=Counter)

    def rage(self, seconds: float, *, without: str = "") -> None:
        """Break something at random until the time is over."""
        names = [name for name in self.faults if not without or without not in name]
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            name = self.lot.choice(names)
            self.faults[name]()
            self.counted[name] += 1
            self.load.wait_for_more(self.lot.randrange(5, 60))


def _hook(installation: Installation, receiver: Receiver) -> None:
    with installation.client() as client:
        reply = client.post(
            "/v1/webhooks", json={"url": receiver.url, "events": ["task.opened"]}
        )
        assert reply.status_code == 201, reply.text
        receiver.use_secret(reply.json()["secret"])


def _megabytes(installation: Installation) -> float:
    """Return what the processes hold in memory, all together."""
    return sum(
        int(line.split()[1]) / 1024
        for pid in installation.pids
        for line in Path(f"/proc/{pid}/status").read_text().splitlines()
        if line.startswith("VmRSS:")
    )


def _come_to_rest(installation: Installation) -> None:
    """Wait until nothing is under way, with hours between two tries cut short."""
    for _ in range(8):
        with contextlib.suppress(AssertionError):
            settled(installation, seconds=QUIET_AFTER)
            return
        _let_hours_pass(installation)
    settled(installation, seconds=QUIET_AFTER)


def _let_hours_pass(installation: Installation) -> None:
    """Have what waits for its next try wait no longer: after a third refusal half an hour.

    Not by switching the endpoint off and on again: who is off wants nothing, and an event that
    is on its way at that moment would rightly never be told.
    """
    now_due = "UPDATE notify_deliveries SET next_attempt_at = created_at WHERE state = 'due'"
    if isinstance(installation, Embedded):
        with contextlib.closing(sqlite3.connect(installation.database, timeout=10)) as database:
            database.execute("PRAGMA wal_autocheckpoint=0")  # that is for whoever serves
            database.execute(now_due)
            database.commit()
    elif isinstance(installation, ScaledOut):
        installation.postgres.run([now_due], database=installation.database)


def _channels(lot: random.Random, receiver: Receiver, mail: MailServer) -> Mapping[str, Fault]:
    """Return the faults of the two ways out, which are the same on both footings."""

    def refuses() -> None:
        receiver.answer(next_codes=[lot.choice([500, 503, 429])] * lot.randrange(1, 4))

    def hangs() -> None:
        receiver.pause()
        time.sleep(lot.random() * 2)
        receiver.resume()

    def resets() -> None:
        receiver.kill()
        time.sleep(lot.random() * 2)
        receiver.start()

    def puts_off() -> None:
        mail.answer_data.extend(["451 4.3.0 later"] * lot.randrange(1, 4))

    def is_away() -> None:
        mail.stop()
        time.sleep(lot.random() * 2)
        mail.start()

    return {
        "receiver refuses": refuses,
        "receiver hangs": hangs,
        "receiver dies": resets,
        "mail server puts off": puts_off,
        "mail server is away": is_away,
    }


def _deaths(lot: random.Random, installation: Installation, roles: list[str]) -> Fault:
    def dies() -> None:
        role = lot.choice(roles)
        installation.kill(role)
        time.sleep(lot.random())
        installation.start(role)

    return dies


def _pauses(lot: random.Random, installation: Installation, roles: list[str]) -> Fault:
    def is_paused() -> None:
        role = lot.choice(roles)
        installation.pause(role)
        time.sleep(lot.random() * 3)
        installation.resume(role)

    return is_paused


def _soak(
    installation: Installation,
    faults: Mapping[str, Fault],
    receiver: Receiver,
    mail: MailServer,
    *,
    lot: random.Random,
    prefix: str,
) -> None:
    """Break everything, prove that nothing is lost, and print the figures as one line."""
    _hook(installation, receiver)
    load = Load(installation, prefix=prefix, clients=CLIENTS, pause=PAUSE)
    storm = _Storm(load=load, faults=faults, lot=lot)
    load.start()
    load.wait_for_more(100)
    storm.rage(SECONDS * 2 / 3)
    load.wait_for_more(200)
    before = _megabytes(installation)
    storm.rage(SECONDS / 3, without="dies: ")
    after = _megabytes(installation)
    load.stop()
    _let_hours_pass(installation)

    mail.answer_data.clear()  # fewer mails than refusals: many tasks at once are one mail
    _come_to_rest(installation)
    evidence = gather(installation, receiver=receiver, mail=mail)
    wrong = violations(load.history, evidence)
    numbers = counted(load.history, evidence)
    print(
        json.dumps(
            {
                "seconds": SECONDS,
                **numbers,
                "violations": {name: len(some) for name, some in wrong.items()},
                "faults": sum(storm.counted.values()),
                **storm.counted,
                "megabytes": [round(before), round(after)],
            }
        )
    )
    assert not wrong, "\n".join(f"{name}: {list(some)[:5]}" for name, some in wrong.items())
    assert numbers["accepted"] > SECONDS
    assert sum(storm.counted.values()) > SECONDS / 30
    assert after < before * MOST_GROWTH


@pytest.mark.soak
def test_one_machine_keeps_its_promises_for_as_long_as_told(
    mail_server: MailServer, receiver: Receiver, unique: str
) -> None:
    lot = random.Random(11)
    with Embedded(mail=mail_server) as installation:
        faults = {
            "program dies: all": _deaths(lot, installation, ["all"]),
            "program is paused": _pauses(lot, installation, ["all"]),
            **_channels(lot, receiver, mail_server),
        }
        _soak(installation, faults, receiver, mail_server, lot=lot, prefix=unique)


@pytest.mark.soak
@pytest.mark.kafka
@pytest.mark.postgres
@pytest.mark.nginx
def test_three_services_keep_their_promises_for_as_long_as_told(
    own_kafka_broker: KafkaBroker,
    own_postgres_server: PostgresServer,
    mail_server: MailServer,
    receiver: Receiver,
    unique: str,
) -> None:
    lot = random.Random(12)
    roles = ["ingest", "loop", "notify"]

    def hangs(server: KafkaBroker | PostgresServer) -> None:
        server.pause()
        time.sleep(lot.random() * 8)
        server.resume()

    def dies(server: KafkaBroker | PostgresServer) -> None:
        server.kill()
        time.sleep(lot.random() * 3)
        server.restart()

    with ScaledOut(own_kafka_broker, own_postgres_server, mail=mail_server) as installation:
        faults: dict[str, Fault] = {
            **{f"program dies: {role}": _deaths(lot, installation, [role]) for role in roles},
            "program is paused": _pauses(lot, installation, roles),
            "broker hangs": partial(hangs, own_kafka_broker),
            "broker is killed": partial(dies, own_kafka_broker),
            "database hangs": partial(hangs, own_postgres_server),
            "database is killed": partial(dies, own_postgres_server),
            **_channels(lot, receiver, mail_server),
        }
        _soak(installation, faults, receiver, mail_server, lot=lot, prefix=unique)
