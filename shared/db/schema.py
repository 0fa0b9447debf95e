"""Bringing the tables up to date, and telling whether they are.

One process at a time migrates: PostgreSQL by an advisory lock that ends with the transaction,
SQLite because one process holds the file. All of an upgrade is one transaction.
"""

from __future__ import annotations

import re
from importlib.resources import files
from typing import TYPE_CHECKING

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import inspect, text

from shared.db.engine import translated
from shared.errors import Misconfigured, NotFound
from shared.faults import fault_point

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from sqlalchemy import Connection

    from shared.db.engine import Engines

_LOCK = 4_702_111_234  # any number that is ours alone
_APPEND_ONLY = frozenset({"shared_audit", "shared_audit_seals"})


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(files("migrations")))
    return config


def head() -> str:
    """Return the version that this program expects."""
    version = ScriptDirectory.from_config(_config()).get_current_head()
    if version is None:
        message = "the program carries no migrations"
        raise Misconfigured(message)
    return version


def is_known(version: str) -> bool:
    """Tell whether a version is one of this program's, or of an earlier one."""
    known = ScriptDirectory.from_config(_config()).walk_revisions()
    return any(script.revision == version for script in known)


async def current(engines: Engines) -> str | None:
    """Return the version of the database's tables; None when there are none."""
    async with translated(), engines.reader.connect() as connection:
        return await connection.run_sync(
            lambda sync: MigrationContext.configure(sync).get_current_revision()
        )


async def upgrade(engines: Engines) -> tuple[str | None, str]:
    """Bring the tables to this program's version; return the former and the new one."""

    def run(connection: Connection) -> str | None:
        if connection.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
        before = MigrationContext.configure(connection).get_current_revision()
        config = _config()
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        return before

    async with translated(), engines.writer.connect() as connection:
        _ = await connection.begin()
        before = await connection.run_sync(run)
        fault_point("schema.upgraded")
        await connection.commit()
    return before, head()


def require_begun(path: Path | None) -> None:
    """Raise ``NotFound`` where a SQLite file is named that is not there.

    Whoever looks something up in the wrong folder is told so, and not shown a new empty one.
    """
    if path is not None and not path.exists():
        message = (
            f"There is no installation at {path.absolute()}. Run this where it is, or point"
            " CLOSED_LOOP_DATABASE_URL at it; closed-loop serve begins a new one."
        )
        raise NotFound(message)


async def require_current(engines: Engines) -> None:
    """Raise ``Misconfigured`` unless the tables are of this program's version."""
    found = await current(engines)
    if found != head():
        message = (
            f"The database's tables are of version {found or 'none'}, this program needs"
            f" {head()}. Run: closed-loop migrate"
        )
        raise Misconfigured(message)


async def grant(engines: Engines, users: Mapping[str, str]) -> None:
    """Give each role's PostgreSQL user its own tables and ``shared_*``, and nothing else.

    ``users`` maps a role (ingest, loop, notify) to the name of an existing user.
    """
    if engines.dialect != "postgresql":
        message = "--grant is for PostgreSQL; SQLite has no users."
        raise Misconfigured(message)
    async with translated(), engines.writer.connect() as connection:
        _ = await connection.begin()
        tables = await connection.run_sync(lambda sync: inspect(sync).get_table_names())
        sequences = await connection.run_sync(lambda sync: inspect(sync).get_sequence_names())
        for role, user in users.items():
            name = _quoted(user)
            statements = [
                f"REVOKE ALL ON ALL TABLES IN SCHEMA public FROM {name}",
                f"REVOKE ALL ON ALL SEQUENCES IN SCHEMA public FROM {name}",
                f"GRANT USAGE ON SCHEMA public TO {name}",
                f"GRANT SELECT ON alembic_version TO {name}",
            ]
            for table in tables:
                if table.startswith((f"{role}_", "shared_")):
                    rights = (
                        "SELECT, INSERT"
                        if table in _APPEND_ONLY
                        else "SELECT, INSERT, UPDATE, DELETE"
                    )
                    statements.append(f"GRANT {rights} ON {_quoted(table)} TO {name}")
            statements.extend(
                f"GRANT USAGE, SELECT ON SEQUENCE {_quoted(sequence)} TO {name}"
                for sequence in sequences
                if sequence.startswith((f"{role}_", "shared_"))
            )
            for statement in statements:
                await connection.execute(text(statement))
        await connection.commit()


def _quoted(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_$-]{0,62}", name):
        message = f"{name!r} is no usable name for a PostgreSQL user."
        raise Misconfigured(message)
    return f'"{name}"'
