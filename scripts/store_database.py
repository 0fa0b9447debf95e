"""Store a database as a release of ours left it, so that every later one is held to open it.

    python scripts/store_database.py 0001 --tree ../closed-loop-0001

runs the program of that checkout with invented data and writes, under tests/fixtures/stored,
``sqlite-0001.db.gz`` and ``postgres-0001.sql.gz`` with what is in them as ``….json``. A release
whose migrations are new gets its own pair; those of former ones are never written again.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from tests.infra.postgres import binary, new_server  # noqa: E402 - beside the path above
from tests.infra.processes import LOOPBACK, accepts, free_port, wait_until  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Iterator

FOLDER = ROOT / "tests" / "fixtures" / "stored"
SECRET = "an invented secret of an invented installation"  # noqa: S105 - of nobody's
KEY = "an-invented-key-of-an-invented-installation"
ADMIN = "ada@example.org:an invented password"

RESPONSES: tuple[Mapping[str, Any], ...] = (
    {
        "external_id": "stored-1",
        "score": 1,
        "comment": "Waited forty minutes on the phone and nobody called back",
        "touchpoint": "support",
        "customer": {"id": "C-1", "name": "Sam Example", "phone": "+44 20 7946 0001"},
    },
    {
        "external_id": "stored-2",
        "score": 9,
        "comment": "Quick and friendly, thank you",
        "touchpoint": "delivery",
        "customer": {"id": "C-2", "name": "Kim Example", "email": "kim@example.com"},
    },
    {"external_id": "stored-3", "score": 4, "touchpoint": "support", "customer": {"id": "C-1"}},
)


@contextmanager
def serving(tree: Path, folder: Path, url: str) -> Iterator[httpx.Client]:
    """Serve the program of that tree; lend a client."""
    port = free_port()
    own = {
        "PYTHONPATH": str(tree),
        "CLOSED_LOOP_DATABASE_URL": url,
        "CLOSED_LOOP_SECRET": SECRET,
        "CLOSED_LOOP_BOOTSTRAP_API_KEY": KEY,
        "CLOSED_LOOP_BOOTSTRAP_ADMIN": ADMIN,
        "CLOSED_LOOP_PORT": str(port),
        "CLOSED_LOOP_LOG_LEVEL": "error",
    }
    machine = os.environ.items()  # noqa: TID251 - a child needs PATH and the like
    env = {**{k: v for k, v in machine if not k.startswith("CLOSED_LOOP_")}, **own}
    program = [sys.executable, "-m", "services"]
    subprocess.run([*program, "migrate"], cwd=folder, env=env, check=True)  # noqa: S603 - our own program
    child = subprocess.Popen([*program, "serve"], cwd=folder, env=env)  # noqa: S603
    try:
        wait_until(lambda: accepts(port), what="the server", seconds=60)
        with httpx.Client(
            base_url=f"http://{LOOPBACK}:{port}",
            headers={"Authorization": f"Bearer {KEY}"},
            trust_env=False,
            timeout=30,
        ) as client:
            yield client
    finally:
        child.send_signal(signal.SIGTERM)
        child.wait(30)


def fill(client: httpx.Client) -> dict[str, Any]:
    """Post the responses, wait for what comes of them, and return it."""
    ids = []
    for response in RESPONSES:
        reply = client.post("/v1/responses", json=response)
        reply.raise_for_status()
        ids.append(reply.json()["id"])
    found = {each: {"state": "received"} for each in ids}

    def handled() -> bool:
        for each in ids:
            found[each] = client.get(f"/v1/responses/{each}").json()
        return all(one["state"] != "received" for one in found.values())

    wait_until(handled, what="the responses to be handled", seconds=60)
    tasks = [one["task_id"] for one in found.values() if one.get("task_id")]
    return {
        "responses": {
            each: {"state": one["state"], "score": one["score"]} for each, one in found.items()
        },
        "tasks": {each: client.get(f"/v1/tasks/{each}").json()["state"] for each in tasks},
    }


def store_sqlite(tree: Path, folder: Path, version: str) -> dict[str, Any]:
    """Write the SQLite file."""
    path = folder / "closed-loop.db"
    with serving(tree, folder, f"sqlite+aiosqlite:///{path}") as client:
        known = fill(client)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.execute("VACUUM")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    _write(f"sqlite-{version}.db.gz", path.read_bytes())
    return known


def store_postgres(tree: Path, folder: Path, version: str) -> dict[str, Any]:
    """Write a dump that any PostgreSQL of ours or later runs."""
    server = new_server()
    server.start()
    try:
        name = server.create_database()
        with serving(tree, folder, server.url(name)) as client:
            known = fill(client)
        dumped = subprocess.run(  # noqa: S603
            [
                str(binary("pg_dump")),
                "--no-owner",
                "--no-privileges",
                "--inserts",
                f"--host={server.host}",
                f"--port={server.port}",
                f"--username={server.user}",
                name,
            ],
            env={**os.environ, "PGPASSWORD": server.password},  # noqa: TID251
            capture_output=True,
            text=True,
            check=True,
        ).stdout
    finally:
        server.stop()
    # What only psql understands, or only the newest servers.
    kept = re.sub(
        r"(?m)^(\\.*|SET transaction_timeout.*|SELECT pg_catalog\.set_config.*)$", "", dumped
    )
    _write(f"postgres-{version}.sql.gz", kept.encode())
    return known


def _write(name: str, content: bytes) -> None:
    (FOLDER / name).write_bytes(gzip.compress(content, mtime=0))


def main() -> None:
    """Store both."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("version")
    parser.add_argument("--tree", type=Path, default=ROOT)
    given = parser.parse_args()
    FOLDER.mkdir(parents=True, exist_ok=True)
    for kind, store in (("sqlite", store_sqlite), ("postgres", store_postgres)):
        with tempfile.TemporaryDirectory() as folder:
            known = store(given.tree.resolve(), Path(folder), given.version)
        text = json.dumps({"secret": SECRET, "key": KEY, **known}, indent=2) + "\n"
        (FOLDER / f"{kind}-{given.version}.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
