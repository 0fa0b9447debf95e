"""A consistent copy of the whole database beside whoever serves it, and putting one back.

SQLite copies itself by its own backup; PostgreSQL by its own tools, which must be installed.
The keys of persons and the sessions of staff are in no copy: a copy is kept for long and lies
in many places, and what was forgotten since must stay forgotten. Nor are leases: whoever held
them is gone.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Final

from sqlalchemy import inspect, make_url, text

from shared.db.engine import Engines, translated
from shared.errors import Conflict, Misconfigured

if TYPE_CHECKING:
    from sqlalchemy import URL

LEFT_OUT: Final = ("shared_person_keys", "shared_sessions", "shared_leases")
"""Tables of which a copy has no rows."""
_VERSION: Final = "alembic_version"
_FILES: Final = {"sqlite": "data.sqlite3", "postgresql": "data.pgdump"}
_SSL: Final = {"ssl": "PGSSLMODE", "sslmode": "PGSSLMODE"}


def kind_of(url: str) -> str:
    """Return ``sqlite`` or ``postgresql``."""
    return make_url(url).get_backend_name()


def file_of(kind: str) -> str:
    """Return how the copy of such a database is called."""
    return _FILES[kind]


async def copy_out(url: str, folder: Path) -> Path:
    """Write a copy of the database into ``folder``; return its file.

    It shows one moment. Raises ``Misconfigured`` where PostgreSQL's tools are not installed,
    or say why they cannot.
    """
    parsed = make_url(url)
    file = folder / file_of(parsed.get_backend_name())
    if parsed.get_backend_name() == "sqlite":
        await asyncio.to_thread(_copy_sqlite, Path(parsed.database or ""), file)
    else:
        file.touch(mode=0o600)
        without = (*LEFT_OUT, _VERSION)
        await _run(
            parsed,
            "pg_dump",
            "--format=custom",
            "--no-owner",
            "--no-privileges",
            *(f"--exclude-table-data={table}" for table in without),
            f"--file={file}",
        )
    return file


def _copy_sqlite(source: Path, target: Path) -> None:
    """Copy in one step, which keeps no writer waiting, then drop what must not be in it."""
    target.touch(mode=0o600)
    with (
        closing(sqlite3.connect(f"file:{source}?mode=ro", uri=True)) as here,
        closing(sqlite3.connect(target)) as there,
    ):
        here.backup(there)
    with closing(sqlite3.connect(target, isolation_level=None)) as copy:
        copy.execute("PRAGMA journal_mode=DELETE")
        for table in LEFT_OUT:
            copy.execute(f"DELETE FROM {table}")  # noqa: S608 - names of our own
        copy.execute("VACUUM")  # deleted rows would still lie in the file


async def put_back(file: Path, url: str) -> None:
    """Fill the empty database at ``url`` from a copy."""
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite":
        await asyncio.to_thread(_place, file, Path(parsed.database or ""))
        return
    await _run(
        parsed,
        "pg_restore",
        "--single-transaction",
        "--exit-on-error",
        "--no-owner",
        "--no-privileges",
        file=file,
    )


def _place(file: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)
    target.touch(mode=0o600)
    shutil.copyfile(file, target)


async def set_version(engines: Engines, version: str) -> None:
    """Say of which version the tables of a copy are: PostgreSQL's do not say it themselves.

    Until then nothing starts on them.
    """
    async with translated(), engines.writer.connect() as connection:
        _ = await connection.begin()
        await connection.execute(text(f"DELETE FROM {_VERSION}"))  # noqa: S608 - our own name
        await connection.execute(
            text(f"INSERT INTO {_VERSION} (version_num) VALUES (:version)"),  # noqa: S608
            {"version": version},
        )
        await connection.commit()


async def tables_in(engines: Engines) -> list[str]:
    """Return the names of the tables that are there."""
    async with translated(), engines.reader.connect() as connection:
        return sorted(await connection.run_sync(lambda sync: inspect(sync).get_table_names()))


async def clear(engines: Engines) -> None:
    """Drop everything in a PostgreSQL database, to put a copy in its place."""
    async with translated(), engines.writer.connect() as connection:
        _ = await connection.begin()
        await connection.execute(text("DROP SCHEMA public CASCADE"))
        await connection.execute(text("CREATE SCHEMA public"))
        await connection.commit()


async def _run(url: URL, tool: str, *options: str, file: Path | None = None) -> None:
    path = shutil.which(tool)
    if path is None:
        message = (
            f"{tool} is not installed, and a PostgreSQL database is copied by it. Install"
            " PostgreSQL's client programs (Debian: postgresql-client) of the server's version."
        )
        raise Misconfigured(message)
    given = {
        "PGHOST": url.host,
        "PGPORT": str(url.port) if url.port else None,
        "PGUSER": url.username,
        "PGPASSWORD": str(url.password) if url.password else None,
        **{_SSL[name]: str(value) for name, value in url.query.items() if name in _SSL},
    }
    environment = {
        **os.environ,  # noqa: TID251 - what the tool itself is told by its surroundings
        **{name: value for name, value in given.items() if value is not None},
    }
    process = await asyncio.create_subprocess_exec(
        path,
        *options,
        f"--dbname={url.database}",
        *([str(file)] if file is not None else []),
        env=environment,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    _, said = await process.communicate()
    if process.returncode:
        lines = said.decode(errors="replace").strip().splitlines() or ["it did not say why"]
        message = f"{tool} could not do it: {lines[0][:300]}"
        raise Conflict(message, slug="copy-failed")
