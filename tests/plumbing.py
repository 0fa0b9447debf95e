"""Fixtures of our own plumbing: a clock, keys, and every table on both databases.

A test that asks for ``engines`` (or anything made of it) runs twice, on SQLite and on a real
PostgreSQL; each run has a database of its own.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
import pytest_asyncio
from sqlalchemy.ext.asyncio import create_async_engine

import services
import shared
from shared.db.base import metadata
from shared.db.engine import Engines
from shared.db.transaction import Database
from shared.identity.person_keys import PersonKeys
from shared.sealing import Keyring
from tests.fakes import ManualClock
from tests.infra.postgres import PostgresServer

SECRET = "a secret for tests, long enough to be taken"


def load_tables() -> None:
    """Import every module that declares tables, so that the metadata is whole."""
    for package in (services, shared):
        for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if found.name.rpartition(".")[2] in {"tables", "plumbing"}:
                importlib.import_module(found.name)


_made: dict[frozenset[str], bytes] = {}
"""SQLite files with every table and no row: making one takes as long as most tests."""


async def create_tables(url: str) -> None:
    """Make every table in a database that has none."""
    load_tables()
    tables = frozenset(metadata.tables)
    file = Path(url.partition("///")[2]) if url.startswith("sqlite") else None
    if file is not None and tables in _made:
        file.write_bytes(_made[tables])
        return
    engine = create_async_engine(url)
    async with engine.begin() as connection:
        await connection.run_sync(metadata.create_all)
    await engine.dispose()
    if file is not None:
        _made[tables] = file.read_bytes()


@pytest.fixture
def clock() -> ManualClock:
    """A clock that stands still until the test advances it."""
    return ManualClock()


@pytest.fixture
def keyring() -> Keyring:
    """The secret of the test's installation."""
    return Keyring(SECRET)


@pytest.fixture
def person_keys(keyring: Keyring) -> PersonKeys:
    """The keys of the test's persons."""
    return PersonKeys(keyring)


@pytest.fixture(scope="session")
def postgres_template(postgres_server: PostgresServer) -> Iterator[str]:
    """A database with every table, to be copied for each test."""
    import asyncio  # noqa: PLC0415 - only here, in a thread without a loop
    from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415

    name = postgres_server.create_database()
    with ThreadPoolExecutor(1) as pool:
        pool.submit(lambda: asyncio.run(create_tables(postgres_server.url(name)))).result()
    yield name
    postgres_server.drop_database(name)


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The address of a database with every table and no row; once per kind of database."""
    if request.param == "sqlite":
        yield f"sqlite+aiosqlite:///{tmp_path}/closed-loop.db"
        return
    template: str = request.getfixturevalue("postgres_template")
    server: PostgresServer = request.getfixturevalue("postgres_server")
    name = server.create_database(template=template)
    yield server.url(name)
    server.drop_database(name)


@pytest_asyncio.fixture
async def engines(database_url: str) -> AsyncIterator[Engines]:
    """The open database."""
    if database_url.startswith("sqlite"):
        await create_tables(database_url)
    opened = Engines.open(database_url)
    yield opened
    await opened.close()


@pytest.fixture
def database_of(engines: Engines) -> Callable[[str], Database]:
    """Return one service's way to the database: ``database_of("loop")``."""
    load_tables()

    def of(owner: str) -> Database:
        if owner == "shared":
            return Database(engines)
        module = importlib.import_module(f"services.{owner}.tables")
        return Database(engines, module.PLUMBING)

    return of
