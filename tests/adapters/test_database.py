"""Both databases keep every promise of the database, and each its own."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import text

from shared.db import timers
from shared.db.engine import Engines
from shared.db.transaction import Database
from shared.errors import Misconfigured, TryLater
from tests.contracts.database import (
    CancellingContract,
    DatabaseContract,
    GroupCommitContract,
    InboxContract,
    LeaseContract,
    TimerContract,
    subjects,
    timer,
)
from tests.infra.postgres import PostgresServer


@pytest.fixture
def database(database_of: Callable[[str], Database]) -> Database:
    return database_of("loop")


class TestUnitsOfWork(DatabaseContract):
    """All or nothing."""


class TestCancelling(CancellingContract):
    """Cut off anywhere."""


class TestInbox(InboxContract):
    """Once."""


class TestLeases(LeaseContract):
    """One at a time."""


class TestTimers(TimerContract):
    """Later."""


class TestGroupCommit(GroupCommitContract):
    """Together."""


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    return f"sqlite+aiosqlite:///{tmp_path}/closed-loop.db"


class TestSqlite:
    """What an answered request relies on."""

    @pytest.fixture
    async def opened(self, sqlite_url: str):
        engines = Engines.open(sqlite_url)
        yield engines
        await engines.close()

    async def test_every_commit_is_on_disk_before_it_is_answered(self, opened: Engines) -> None:
        for engine, wanted in (
            (opened.writer, {"synchronous": 2, "foreign_keys": 1, "journal_mode": "wal"}),
            (opened.reader, {"foreign_keys": 1, "query_only": 1, "wal_autocheckpoint": 0}),
        ):
            async with engine.connect() as connection:
                found = {
                    name: (await connection.execute(text(f"PRAGMA {name}"))).scalar()
                    for name in wanted
                }
            assert found == wanted

    async def test_a_second_process_is_refused_the_file(
        self, opened: Engines, sqlite_url: str
    ) -> None:
        code = (
            "from shared.db.engine import Engines\n"
            "from shared.errors import Misconfigured\n"
            "try:\n"
            f"    Engines.open({sqlite_url!r})\n"
            "except Misconfigured as error:\n"
            "    print(error)\n"
        )
        done = subprocess.run(  # noqa: S603, ASYNC221 - our own code, and nobody waits
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
            cwd=Path(__file__).parents[2],
        )

        assert "Another process is using closed-loop.db" in done.stdout

    async def test_the_file_is_free_again_after_closing(self, sqlite_url: str) -> None:
        first = Engines.open(sqlite_url)
        with pytest.raises(Misconfigured):
            Engines.open(sqlite_url)
        await first.close()

        second = Engines.open(sqlite_url)
        await second.ping()
        await second.close()


class TestForeignKeys:
    """A row cannot point at nothing, on either database."""

    async def test_they_are_checked(self, engines: Engines) -> None:
        async with engines.writer.begin() as connection:
            await connection.execute(text("CREATE TABLE parent (id INTEGER PRIMARY KEY)"))
            await connection.execute(
                text("CREATE TABLE child (parent INTEGER REFERENCES parent (id))")
            )
        with pytest.raises(Exception, match=r"(?i)foreign key"):
            async with engines.writer.begin() as connection:
                await connection.execute(text("INSERT INTO child VALUES (1)"))


@pytest.mark.postgres
class TestPostgres:
    """A server that goes away is trouble that time heals."""

    async def test_a_server_that_is_away_means_try_later_and_heals(
        self, own_postgres_server: PostgresServer
    ) -> None:
        name = own_postgres_server.create_database()
        engines = Engines.open(own_postgres_server.url(name))
        database = Database(engines)
        await engines.ping()
        own_postgres_server.kill()

        with pytest.raises(TryLater):
            await engines.ping()
        with pytest.raises(TryLater):
            async with database.transaction() as tx:
                await tx.execute(text("SELECT 1"))

        own_postgres_server.restart()
        async with database.transaction() as tx:
            assert await tx.scalar(text("SELECT 1")) == 1
        await engines.close()

    async def test_a_server_that_dies_in_mid_transaction_means_try_later(
        self, own_postgres_server: PostgresServer
    ) -> None:
        name = own_postgres_server.create_database()
        engines = Engines.open(own_postgres_server.url(name))
        with pytest.raises(TryLater):
            async with Database(engines).transaction() as tx:
                await tx.execute(text("SELECT 1"))
                own_postgres_server.kill()
                await tx.execute(text("SELECT 1"))
        own_postgres_server.restart()
        await engines.ping()
        await engines.close()

    @pytest.mark.postgres
    async def test_a_transaction_that_nobody_ends_is_ended_by_the_server(
        self, postgres_url: str
    ) -> None:
        """A cancelled task that leaves one open must not hold its locks for ever."""
        engines = Engines.open(postgres_url)
        try:
            for engine in (engines.writer, engines.reader):
                async with engine.connect() as connection:
                    asked = text("SHOW idle_in_transaction_session_timeout")
                    assert (await connection.execute(asked)).scalar_one() == "30s"
        finally:
            await engines.close()

    async def test_other_addresses_are_refused_with_a_sentence(self) -> None:
        with pytest.raises(Misconfigured, match="CLOSED_LOOP_DATABASE_URL must begin with"):
            Engines.open("mysql+aiomysql://host/name")


async def test_the_two_are_told_apart(database: Database) -> None:
    async with database.transaction() as tx:
        await timers.set_all(tx, [timer("a")])
        await tx.execute(
            tx.insert(tx.plumbing.timers)
            .values(id="tmr_2", kind="reminder", subject="a", due_at=timer("a").due_at)
            .on_conflict_do_nothing()
        )
        with pytest.raises(RuntimeError, match="belongs to no service"):
            _ = Database(database._engines).plumbing
    assert await subjects(database) == ["a"]
    assert database.dialect in {"sqlite", "postgresql"}


@pytest.mark.postgres
async def test_a_connection_that_rested_over_a_restart_is_not_used(
    own_postgres_server: PostgresServer,
) -> None:
    """The server went away and came back while nobody asked: the next one notices nothing."""
    url = own_postgres_server.url(own_postgres_server.create_database())
    engines = Engines.open(url, rest=0)
    try:
        await engines.ping()
        own_postgres_server.kill()
        own_postgres_server.restart()

        await engines.ping()
    finally:
        await engines.close()
