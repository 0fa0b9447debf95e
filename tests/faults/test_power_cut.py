"""A power cut takes nothing that was answered: our own engine on a disk that forgets."""

from __future__ import annotations

import random
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from tests.faults.forgetful import EARLY, library_path
from tests.faults.load import Load, prove_nothing_lost_nothing_doubled
from tests.infra.receiver import Receiver
from tests.infra.smtp import MailServer
from tests.journeys.installation import Embedded

pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux") or library_path() is None,
    reason="the interpreter's SQLite is no shared library that a disk can be put under",
)

ROOT = Path(__file__).parents[2]

FIFTY_COMMITS = """
import os, sqlite3, sys
from tests.faults.forgetful import ForgetfulDisk
ForgetfulDisk().install()
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("PRAGMA journal_mode=WAL")
connection.execute(f"PRAGMA synchronous={sys.argv[2]}")
connection.execute("CREATE TABLE t (n INTEGER)")
for n in range(50):
    connection.execute("INSERT INTO t VALUES (?)", (n,))
assert connection.execute("SELECT count(*) FROM t").fetchone() == (50,)
os._exit(137)
"""


def rows_after(path: Path, synchronous: str) -> int:
    """Return how many of fifty committed rows are there after the power came back."""
    done = subprocess.run(
        [sys.executable, "-c", FIFTY_COMMITS, path, synchronous],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 137, done.stderr
    assert done.stderr == ""
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        if not connection.execute("SELECT 1 FROM sqlite_master").fetchall():
            return 0
        count: int = connection.execute("SELECT count(*) FROM t").fetchone()[0]
        return count


def test_the_disk_forgets_what_was_not_synced(tmp_path: Path) -> None:
    """Without this, a kill would show nothing: the machine's memory survives a process."""
    kept = {how: rows_after(tmp_path / f"{how}.db", how) for how in ("OFF", "NORMAL", "FULL")}

    assert kept == {"OFF": 0, "NORMAL": 0, "FULL": 50}


@pytest.mark.parametrize("early", ["0", "0.5"])
def test_power_cuts_under_load_lose_and_double_nothing(
    early: str, receiver: Receiver, mail_server: MailServer, unique: str
) -> None:
    """Also when half of what was not synced reached the disk, in any order."""
    installation = Embedded(mail=mail_server)
    usual = installation.command
    installation.command = [sys.executable, "-m", "tests.faults.forgetful", "serve"]
    try:
        installation.start("all", {EARLY: early})
        with installation.client() as client:
            made = client.post(
                "/v1/webhooks", json={"url": receiver.url, "events": ["task.opened"]}
            )
            receiver.use_secret(made.json()["secret"])
        load = Load(installation, prefix=unique, clients=3)
        load.start()
        lot = random.Random(7)
        for _ in range(4):
            load.wait_for_more(lot.randrange(5, 30))
            time.sleep(lot.random() * 0.2)
            installation.kill("all")
            with closing(sqlite3.connect(installation.database)) as connection:
                assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
            installation.start("all", {EARLY: early})
        load.wait_for_more(3)
        load.stop()
        installation.kill("all")
        installation.command = usual
        installation.start()
        counted = prove_nothing_lost_nothing_doubled(
            installation, load.history, receiver, mail=mail_server
        )
    finally:
        installation.stop()
    print(dict(counted))
    assert counted["accepted"] > 20
