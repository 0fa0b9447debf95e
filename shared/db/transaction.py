"""One unit of work: its rows, its announcements and its commit stand or fall together.

Handlers receive a ``Transaction`` and never commit; the route, consumer or job that opened it
does, by leaving the ``async with`` block without an error.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from sqlalchemy import insert
from sqlalchemy.exc import SQLAlchemyError

from shared.db.base import insert_for
from shared.db.engine import is_full, is_transient, translated
from shared.db.sweeping import sweep
from shared.errors import TryLater
from shared.events.envelope import Envelope, Event, wrap
from shared.faults import fault_point
from shared.ids import new_id
from shared.logs import correlation_id
from shared.tasks import unbroken

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping, Sequence
    from datetime import datetime

    from sqlalchemy import CursorResult, Executable, Row, Table
    from sqlalchemy.dialects import postgresql, sqlite
    from sqlalchemy.ext.asyncio import AsyncConnection

    from shared.db.engine import Engines
    from shared.db.plumbing import Plumbing


class Reading:
    """A consistent view of the database that cannot change it."""

    def __init__(self, connection: AsyncConnection) -> None:
        self.connection = connection
        self.dialect = connection.dialect.name

    async def execute(
        self,
        statement: Executable,
        parameters: Sequence[Mapping[str, Any]] | Mapping[str, Any] | None = None,
    ) -> CursorResult[Any]:
        """Run one statement; a sequence of parameters runs it set-wise."""
        return await self.connection.execute(statement, parameters)

    async def all(self, statement: Executable) -> Sequence[Row[Any]]:
        """Return every row."""
        return (await self.connection.execute(statement)).all()

    async def first(self, statement: Executable) -> Row[Any] | None:
        """Return the first row, or None."""
        return (await self.connection.execute(statement)).first()

    async def scalar(self, statement: Executable) -> Any:  # noqa: ANN401 - the column decides
        """Return the first column of the first row, or None."""
        return (await self.connection.execute(statement)).scalar()


class Transaction(Reading):
    """A unit of work that may write and announce."""

    def __init__(self, connection: AsyncConnection, plumbing: Plumbing | None) -> None:
        super().__init__(connection)
        self._plumbing = plumbing
        self._announced: list[dict[str, Any]] = []
        self._after: list[Callable[[], None]] = []

    @property
    def plumbing(self) -> Plumbing:
        """Return the hand-over tables of the service that opened this transaction."""
        if self._plumbing is None:
            message = "this transaction belongs to no service"
            raise RuntimeError(message)
        return self._plumbing

    def insert(self, table: Table) -> sqlite.Insert | postgresql.Insert:
        """Return an insert that knows ``on_conflict_do_nothing`` and ``…_do_update``."""
        return insert_for(self.dialect, table)

    def announce(
        self, event: Event, *, key: str, at: datetime, cause: Envelope | None = None
    ) -> Envelope:
        """Publish ``event`` if, and only if, this transaction commits.

        ``key`` orders: events of one key are published in the order of their announcement.
        """
        envelope = wrap(
            event,
            event_id=new_id("evt"),
            at=at,
            correlation_id=correlation_id.get(),
            cause=cause,
        )
        self.announce_again(envelope, topic=event.TOPIC, key=key, at=at)
        return envelope

    def announce_again(self, envelope: Envelope, *, topic: str, key: str, at: datetime) -> None:
        """Put a finished envelope into the outbox, keeping its identity."""
        self._announced.append(
            {
                "event_id": envelope.id,
                "topic": topic,
                "key": key,
                "body": envelope.encode(),
                "created_at": at,
                "published_at": None,
            }
        )

    def after_commit(self, then: Callable[[], None]) -> None:
        """Call ``then`` once the commit stands; a hint only, it may never be called."""
        self._after.append(then)

    @property
    def has_announcements(self) -> bool:
        """Tell whether the outbox will receive rows."""
        return bool(self._announced)

    async def _flush(self) -> None:
        if self._announced:
            await self.connection.execute(insert(self.plumbing.outbox), self._announced)


async def _confirmed(connection: AsyncConnection) -> None:
    """Commit; where the answer to it is lost, say that nobody knows."""
    try:
        await unbroken(connection.commit(), name="commit")
    except (SQLAlchemyError, OSError) as error:
        if connection.dialect.name == "sqlite" or is_full(error) or not is_transient(error):
            raise
        message = "the database has not confirmed this in time; send the same request again"
        raise TryLater(message, slug="unconfirmed") from error


class Database:
    """One service's way to the database: its engines and its own hand-over tables."""

    def __init__(self, engines: Engines, plumbing: Plumbing | None = None) -> None:
        self._engines = engines
        self._plumbing = plumbing
        self._listeners: list[Callable[[], None]] = []

    @property
    def dialect(self) -> str:
        """Return ``sqlite`` or ``postgresql``."""
        return self._engines.dialect

    @property
    def plumbing(self) -> Plumbing:
        """Return the hand-over tables of this service."""
        if self._plumbing is None:
            message = "this database handle belongs to no service"
            raise RuntimeError(message)
        return self._plumbing

    async def sweep(self) -> bool:
        """Have the bytes of what was scrubbed leave the files; False to try again later."""
        return await sweep(self._engines)

    def on_announcement(self, wake: Callable[[], None]) -> None:
        """Have ``wake`` called after every commit that put rows into the outbox."""
        self._listeners.append(wake)

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[Reading]:
        """Open a read-only view."""
        async with (
            translated(),
            self._engines.reader.connect() as connection,
            connection.begin(),
        ):
            yield Reading(connection)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        """Open a unit of work; commit on a clean exit, roll back on any error.

        Raises ``TryLater`` when the database is away, locked or full.
        """
        async with translated(), self._engines.writer.connect() as connection:
            _ = await connection.begin()
            tx = Transaction(connection, self._plumbing)
            try:
                yield tx
                await tx._flush()  # noqa: SLF001 - the two classes are one mechanism
                fault_point("transaction.before_commit")
            except BaseException:
                await unbroken(connection.rollback(), name="rollback")
                raise
            await _confirmed(connection)
            fault_point("transaction.after_commit")
        if tx.has_announcements:
            for wake in self._listeners:
                wake()
        for then in tx._after:  # noqa: SLF001 - as above
            then()
