"""Migrations that are killed in the middle, and three that start at once, on both databases."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from shared.db import schema
from tests.infra.postgres import PostgresServer
from tests.infra.stored import load_postgres, unpack_sqlite
from tests.journeys.installation import CLEAN, PROGRAM, ROOT

SECRET = "an invented secret of an invented installation"
OK, REFUSED = 0, 4

_KILLED = """
import os, signal, sys
from sqlalchemy import event
from sqlalchemy.engine import Engine

left = int(sys.argv.pop(1))

@event.listens_for(Engine, "after_cursor_execute")
def _after(connection, cursor, statement, *rest):
    global left
    if statement.lstrip().upper().startswith(("CREATE", "ALTER", "DROP", "INSERT", "UPDATE")):
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

from services.cli import main
main()
"""


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def kind(request: pytest.FixtureRequest) -> str:
    """Which database it is."""
    value: str = request.param
    return value


@pytest.fixture(params=["empty", "0001"])
def before(request: pytest.FixtureRequest) -> str:
    """What stood in it."""
    value: str = request.param
    return value


@pytest.fixture
def installation(
    kind: str, before: str, tmp_path: Path, request: pytest.FixtureRequest
) -> Iterator[Mapping[str, str]]:
    """The environment of an installation on such a database."""
    own = {**os.environ, **CLEAN, "PYTHONPATH": str(ROOT), "CLOSED_LOOP_SECRET": SECRET}
    if kind == "sqlite":
        path = tmp_path / "closed-loop.db"
        if before != "empty":
            unpack_sqlite(before, path)
        yield {**own, "CLOSED_LOOP_DATABASE_URL": f"sqlite+aiosqlite:///{path}"}
        return
    server: PostgresServer = request.getfixturevalue("postgres_server")
    name = server.create_database()
    if before != "empty":
        load_postgres(before, server, name)
    yield {**own, "CLOSED_LOOP_DATABASE_URL": server.url(name)}
    server.drop_database(name)


def start(
    installation: Mapping[str, str], folder: Path, *command: str
) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command,
        env=dict(installation),
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def ended(child: subprocess.Popen[str]) -> tuple[int, str]:
    _, said = child.communicate(timeout=120)
    return child.returncode, said


def test_one_that_is_killed_between_two_statements_is_begun_anew(
    installation: Mapping[str, str], before: str, tmp_path: Path
) -> None:
    for n in (2, 12):
        killed = start(installation, tmp_path, sys.executable, "-c", _KILLED, str(n), "migrate")
        assert ended(killed)[0] == -signal.SIGKILL

    code, said = ended(start(installation, tmp_path, *PROGRAM, "migrate"))
    former = "none" if before == "empty" else before
    assert code == OK, said
    assert f"tables: {former} -> {schema.head()}" in said


@pytest.mark.parametrize("before", ["empty"], indirect=True)
def test_three_that_start_at_once_leave_one_sound_database(
    installation: Mapping[str, str], kind: str, tmp_path: Path
) -> None:
    children = [start(installation, tmp_path, *PROGRAM, "migrate") for _ in range(3)]
    codes, said = zip(*map(ended, children), strict=True)

    assert OK in codes, said
    # On SQLite whoever comes second is told so; on PostgreSQL everybody waits their turn.
    assert set(codes) <= ({OK, REFUSED} if kind == "sqlite" else {OK}), said
    assert all("Another process is using" in s for c, s in zip(codes, said, strict=True) if c)
    code, found = ended(start(installation, tmp_path, *PROGRAM, "migrate"))
    assert code == OK, found
    assert f"tables: {schema.head()} -> {schema.head()}" in found
