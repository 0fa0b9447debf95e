"""Column types, the one metadata, and the few expressions that differ per database.

Times are aware UTC in Python, ``timestamptz`` on PostgreSQL and sortable text on SQLite.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    JSON,
    ColumnElement,
    DateTime,
    Double,
    MetaData,
    String,
    Table,
    Text,
    any_,
    column,
    func,
    literal,
    select,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import TypeDecorator, TypeEngine
from typing_extensions import override

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy.engine import Dialect
    from sqlalchemy.sql.compiler import SQLCompiler

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


class UtcDateTime(TypeDecorator[datetime]):
    """An aware moment; refuses naive ones, always comes back in UTC, microsecond exact."""

    impl: TypeEngine[Any] | type[TypeEngine[Any]] = DateTime(timezone=True)
    cache_ok: bool | None = True

    @override
    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Store sortable text on SQLite and ``timestamptz`` elsewhere."""
        if dialect.name == "sqlite":
            return dialect.type_descriptor(String(32))
        return dialect.type_descriptor(DateTime(timezone=True))

    @override
    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        """Refuse naive moments; isoformat pads every field, so that text sorts as time."""
        if value is None:
            return None
        if value.tzinfo is None:
            message = "a naive datetime reached the database"
            raise ValueError(message)
        value = value.astimezone(UTC)
        if dialect.name == "sqlite":
            return value.isoformat(timespec="microseconds")
        return value

    @override
    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        """Return an aware UTC moment."""
        if value is None:
            return None
        moment: datetime = datetime.fromisoformat(value) if dialect.name == "sqlite" else value
        # asyncpg returns the first and the last moment of all without a zone.
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)


Json = JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")


class epoch_now(FunctionElement[float]):  # noqa: N801 - reads as the SQL function it is
    """The database's own clock in seconds since 1970, for leases."""

    type: TypeEngine[float] = Double()
    inherit_cache: bool | None = True


@compiles(epoch_now, "postgresql")
def _epoch_now_postgresql(*_: object, **__: object) -> str:
    return "extract(epoch from clock_timestamp())"


@compiles(epoch_now, "sqlite")
def _epoch_now_sqlite(*_: object, **__: object) -> str:
    return "((julianday('now') - 2440587.5) * 86400.0)"


@compiles(epoch_now)
def _epoch_now_elsewhere(element: epoch_now, compiler: SQLCompiler, **_: object) -> str:
    message = f"no database clock for {compiler.dialect.name}: {element!r}"
    raise NotImplementedError(message)


def among(
    column: ColumnElement[str], values: Sequence[str], dialect: str
) -> ColumnElement[bool]:
    """Compare a text column with a list that travels as one parameter, however long it is.

    One statement for every length: ``in_`` renders, sends and has prepared one per length.
    """
    if dialect == "sqlite":
        listed = func.json_each(json.dumps(list(values))).table_valued("value")
        return column.in_(select(listed.c.value))
    return column == any_(literal(list(values), postgresql.ARRAY(Text)))


def listed(dialect: str, values: Sequence[Any], kind: TypeEngine[Any]) -> ColumnElement[Any]:
    """Return a column that holds these values, in one parameter however many there are.

    Use it as ``column.in_(select(listed(…)))`` or to insert from: the statement stays the same
    for every length, so it is compiled and prepared once.
    """
    if dialect == "sqlite":
        rows = func.json_each(json.dumps(list(values)))
        return rows.table_valued(column("value", kind), name="listed").c.value
    return func.unnest(literal(list(values), postgresql.ARRAY(kind))).column_valued("listed")


def insert_for(dialect: str, table: Table) -> sqlite.Insert | postgresql.Insert:
    """Return an insert that knows ``on_conflict_do_nothing`` and ``on_conflict_do_update``."""
    return sqlite.insert(table) if dialect == "sqlite" else postgresql.insert(table)
