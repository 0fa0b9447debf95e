"""Opening the database: SQLite with one writer, or PostgreSQL with a pool.

SQLite runs in WAL mode with full sync (an answered request survives a power cut), every write
begins immediately on the one writer connection, which is also the only one that checkpoints;
readers have connections of their own that cannot write.
"""

from __future__ import annotations

import asyncio
import errno
import fcntl
import json
import os
import re
import sqlite3
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import event, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import (
    DataError,
    DBAPIError,
    DisconnectionError,
    InterfaceError,
    OperationalError,
    SQLAlchemyError,
)
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from shared.db.sqlite import DRIVER
from shared.errors import Misconfigured, TryLater

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from sqlalchemy.engine.interfaces import DBAPIConnection

# PostgreSQL classes of trouble that time heals: connection, resources, operator, system.
_TRANSIENT_CLASSES = ("08", "40", "53", "57", "58")


# A statement that takes longer is ended by the server; one that the server does not even end is
# given up by us, and so is its connection.
_STATEMENT_WITHIN = 15.0
_ANSWER_WITHIN = 20.0

_NO_NUL = "text with a NUL character reached the database"
_NUL_IN_JSON = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")


def is_transient(error: BaseException) -> bool:
    """Tell whether the same work may succeed a little later."""
    if isinstance(error, PoolTimeoutError | InterfaceError | ConnectionError | TimeoutError):
        return True
    if isinstance(error, DBAPIError):
        state = getattr(error.orig, "sqlstate", None) or ""
        if state:
            return state.startswith(_TRANSIENT_CLASSES) or state == "55P03"
        return error.connection_invalidated or (
            isinstance(error, OperationalError)
            and any(
                sign in str(error.orig)
                for sign in ("locked", "disk is full", "disk I/O", "unable to open", "closed")
            )
        )
    return isinstance(error, OSError)


def is_full(error: BaseException) -> bool:
    """Tell whether the database found no room on its disk."""
    if isinstance(error, OSError):
        return error.errno in {errno.ENOSPC, errno.EDQUOT}
    if not isinstance(error, DBAPIError):
        return False
    return (
        getattr(error.orig, "sqlstate", None) == "53100"
        or getattr(error.orig, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL
    )


def storage_full(detail: str = "there is no room left on the database's disk") -> TryLater:
    """Return the refusal of whatever would need room; it heals when room is made."""
    return TryLater(detail, slug="storage-full", retry_after=30)


@asynccontextmanager
async def translated() -> AsyncIterator[None]:
    """Turn the driver's passing troubles into ``TryLater``; let the rest through."""
    try:
        yield
    except (SQLAlchemyError, OSError) as error:
        if is_full(error):
            raise storage_full() from error
        if is_transient(error):
            message = "the database cannot answer right now"
            raise TryLater(message, slug="database-unavailable") from error
        raise


class Engines:
    """The pair of engines behind one database URL."""

    def __init__(self, writer: AsyncEngine, reader: AsyncEngine, lock: int | None) -> None:
        self.writer = writer
        self.reader = reader
        self.dialect = writer.dialect.name
        self._lock = lock

    @classmethod
    def open(
        cls,
        url: str,
        *,
        pool: int = 10,
        alone: bool = True,
        rest: float = 1.0,
        patient: bool = False,
    ) -> Engines:
        """Open ``url``; on SQLite take the file for this process alone.

        Raises ``Misconfigured`` when another process holds the SQLite file. With ``alone``
        switched off it is shared: for short work beside a running installation that neither
        publishes nor consumes. On PostgreSQL a pooled connection that nobody used for
        ``rest`` seconds is looked at before it is used, and a statement has fifteen seconds
        unless ``patient``, which is for migrations.
        """
        parsed = make_url(url)
        if parsed.get_backend_name() == "sqlite":
            return cls._open_sqlite(url, parsed.database or "", alone=alone)
        if parsed.drivername != "postgresql+asyncpg":
            message = (
                "CLOSED_LOOP_DATABASE_URL must begin with sqlite+aiosqlite:/// or"
                " postgresql+asyncpg://."
            )
            raise Misconfigured(message)
        engine = create_async_engine(
            url,
            pool_size=pool,
            max_overflow=0,
            pool_timeout=10,
            hide_parameters=True,
            json_serializer=_to_json,
            connect_args={
                "timeout": 5,
                "command_timeout": None if patient else _ANSWER_WITHIN,
                "server_settings": {
                    "application_name": "closed-loop",
                    "idle_in_transaction_session_timeout": "30000",
                    "statement_timeout": "0" if patient else f"{_STATEMENT_WITHIN:.0f}s",
                    "timezone": "UTC",
                    "jit": "off",
                },
            },
        )
        _ping_the_idle(engine, rest)
        # One snapshot for a whole view, in which nothing can be written; the same pool.
        reader = engine.execution_options(
            isolation_level="REPEATABLE READ", postgresql_readonly=True
        )
        return cls(engine, reader, None)

    @classmethod
    def _open_sqlite(cls, url: str, database: str, *, alone: bool) -> Engines:
        path = Path(database)
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = _hold(path) if alone else None
        _use_wal(path)
        quiet: dict[str, Any] = {
            "max_overflow": 0,
            "hide_parameters": True,
            "json_serializer": _to_json,
        }
        writer = create_async_engine(url, pool_size=1, pool_timeout=30, module=DRIVER, **quiet)
        reader = create_async_engine(url, pool_size=4, pool_timeout=10, module=DRIVER, **quiet)
        # Two processes that both checkpoint can corrupt the log of a SQLite before 3.51.3
        # (sqlite.org/wal.html, the WAL-reset bug): only the one that holds the file does.
        checkpoint = "wal_autocheckpoint=2000" if alone else "wal_autocheckpoint=0"
        for engine, begin, pragmas in (
            (writer, "BEGIN IMMEDIATE", (checkpoint,)),
            (reader, "BEGIN", ("query_only=ON", "wal_autocheckpoint=0")),
        ):
            _prepare(engine, begin, pragmas)
        return cls(writer, reader, lock)

    async def ping(self) -> None:
        """Raise ``TryLater`` unless the database answers."""
        async with translated(), self.reader.connect() as connection:
            await connection.execute(text("SELECT 1"))

    async def close(self) -> None:
        """Close every connection and let go of the file."""
        await self.reader.dispose()
        await self.writer.dispose()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def _hold(path: Path) -> int:
    """Lock a file beside the database for the life of this process."""
    handle = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(handle)
        message = (
            f"Another process is using {path.name}. Stop it first, or talk to it over HTTP"
            " (for example: closed-loop import FILE --url … --key …)."
        )
        raise Misconfigured(message) from None
    return handle


def is_held(path: Path) -> bool:
    """Tell whether a process holds this SQLite file at this moment."""
    try:
        handle = os.open(f"{path}.lock", os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(handle)
    return False


def _ping_the_idle(engine: AsyncEngine, rest: float) -> None:
    """Look whether a connection that rested still lives, before it is used.

    Under load none rests, and a round trip a transaction is saved; after a restart of the
    server the first failure empties the whole pool.
    """

    @event.listens_for(engine.sync_engine, "checkin")
    def _checkin(_connection: DBAPIConnection | None, record: Any) -> None:  # noqa: ANN401 - SQLAlchemy's sync facade
        record.info["resting_since"] = asyncio.get_running_loop().time()

    @event.listens_for(engine.sync_engine, "checkout")
    def _checkout(connection: DBAPIConnection, record: Any, _proxy: object) -> None:  # noqa: ANN401
        since = record.info.get("resting_since")
        if since is None or asyncio.get_running_loop().time() - since < rest:
            return
        try:
            alive = engine.dialect.do_ping(connection)
        except engine.dialect.loaded_dbapi.Error:
            alive = False
        if not alive:
            raise DisconnectionError


def _use_wal(path: Path) -> None:
    """Switch the file to its write-ahead log, which it remembers.

    Before anybody reads: the switch needs the file alone.
    """
    try:
        with closing(sqlite3.connect(path, timeout=5)) as connection:
            connection.execute("PRAGMA journal_mode=WAL")
    except sqlite3.Error as error:
        message = (
            f"The database file {path} cannot be used: {error}. Check that it is a database of"
            " Closed Loop and that this user may write to it and to its folder."
        )
        raise Misconfigured(message) from None


def _to_json(value: object) -> str:
    """Write JSON that both databases take, or that both refuse.

    PostgreSQL takes no NUL in JSON; half a character cannot be encoded for either.
    """
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    if _NUL_IN_JSON.search(text):
        raise ValueError(_NO_NUL)
    return text


def _refuse_nul(parameters: Any) -> None:  # noqa: ANN401 - whatever a statement was given
    """Refuse on SQLite the text that PostgreSQL refuses."""
    for row in parameters if isinstance(parameters, list) else (parameters,):
        for value in row:
            if type(value) is str and "\x00" in value:
                raise DataError("a statement", None, ValueError(_NO_NUL), hide_parameters=True)


def _prepare(engine: AsyncEngine, begin: str, pragmas: tuple[str, ...]) -> None:
    """Take over transaction control from the driver and set the pragmas per connection."""

    @event.listens_for(engine.sync_engine, "connect")
    def _connect(connection: DBAPIConnection, _record: object) -> None:
        raw: Any = connection
        raw.isolation_level = None
        cursor = raw.cursor()
        for pragma in (
            "busy_timeout=5000",
            *pragmas,
            "synchronous=FULL",
            "foreign_keys=ON",
            "secure_delete=ON",
            "temp_store=MEMORY",
            "cache_size=-16000",
        ):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine.sync_engine, "before_cursor_execute")
    def _check(*call: Any) -> None:  # noqa: ANN401 - SQLAlchemy's own signature
        _connection, _cursor, _statement, parameters, *_ = call
        _refuse_nul(parameters)

    @event.listens_for(engine.sync_engine, "begin")
    def _begin(connection: Any) -> None:  # noqa: ANN401 - SQLAlchemy's sync facade
        connection.exec_driver_sql(begin)
