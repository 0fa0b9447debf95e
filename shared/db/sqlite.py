"""SQLAlchemy's way to aiosqlite with one thread hop a statement instead of four.

aiosqlite lets a thread of its own do the work, and the adapter that comes with SQLAlchemy hops
there and back to make a cursor, to execute, to fetch and to close. Each hop waits for whoever
runs Python meanwhile; under load that costs more than the statements themselves.
"""

from __future__ import annotations

import sqlite3
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

import aiosqlite
from sqlalchemy.dialects.sqlite.aiosqlite import (
    AsyncAdapt_aiosqlite_connection,
    AsyncAdapt_aiosqlite_cursor,
    AsyncAdapt_aiosqlite_dbapi,
)
from typing_extensions import override


class _Done:
    """What is left of a cursor whose statement has been executed."""

    arraysize = 1

    def __init__(self, cursor: sqlite3.Cursor | None = None) -> None:
        self.description = cursor and cursor.description
        self.rowcount = cursor.rowcount if cursor else -1
        self.lastrowid = cursor.lastrowid if cursor else None

    def close(self) -> None:
        """Nothing is open."""


Outcome = tuple[_Done, Sequence[Any]]


def _execute(connection: sqlite3.Connection, operation: Any, parameters: Any) -> Outcome:  # noqa: ANN401 - the driver's own
    cursor = connection.execute(operation, parameters or ())
    rows = cursor.fetchall() if cursor.description else ()
    done = _Done(cursor)
    cursor.close()
    return done, rows


def _executemany(connection: sqlite3.Connection, operation: Any, parameters: Any) -> Outcome:  # noqa: ANN401
    cursor = connection.executemany(operation, parameters)
    done = _Done(cursor)
    cursor.close()
    return done, ()


class _Cursor(AsyncAdapt_aiosqlite_cursor):
    """Executes, fetches everything and closes in one visit to the connection's thread."""

    __slots__ = ()
    _awaitable_cursor_close = False

    @override
    def _make_new_cursor(self, connection: Any) -> Any:
        return _Done()

    @override
    def _aenter_cursor(self, cursor: Any) -> Any:
        return cursor

    @override
    async def _execute_async(self, operation: Any, parameters: Any) -> None:
        await self._visit(_execute, operation, parameters)

    @override
    async def _executemany_async(self, operation: Any, seq_of_parameters: Any) -> None:
        await self._visit(_executemany, operation, seq_of_parameters)

    async def _visit(self, work: Callable[..., Outcome], *what: object) -> None:
        # Private names of the two libraries that this file stands between.
        connection: Any = self._connection
        async with self._adapt_connection._execute_mutex:  # noqa: SLF001 - as its adapter does
            done, rows = await connection._execute(work, connection._conn, *what)  # noqa: SLF001
            self._cursor = done
            self._rows = deque(rows)


class _Connection(AsyncAdapt_aiosqlite_connection):
    __slots__ = ()
    _cursor_cls: type[AsyncAdapt_aiosqlite_cursor] = _Cursor


class _Driver(AsyncAdapt_aiosqlite_dbapi):
    @override
    def connect(self, *arg: Any, **kw: Any) -> AsyncAdapt_aiosqlite_connection:
        return _Connection(self, super().connect(*arg, **kw).driver_connection)


DRIVER = _Driver(aiosqlite, sqlite3)
"""For ``create_async_engine(…, module=DRIVER)``."""
