"""Tables that only ever grow: the database itself refuses to change or remove a row.

The triggers come with the table. Whoever owns it could take them away, which is why somebody
can ask whether they are there, and whether anybody was given more than reading and adding.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

from sqlalchemy import event, text

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from sqlalchemy import Connection, Table

    from shared.db.transaction import Reading, Transaction

_SQLITE: Final = ("UPDATE", "DELETE")
_BEFORE_ALL_THREE: Final = 2 | 8 | 16 | 32
"""How PostgreSQL writes down BEFORE, DELETE, UPDATE and TRUNCATE of a trigger."""

_TRIGGERS: Final = text(
    "SELECT t.tgenabled::text AS enabled, t.tgtype::int AS kind, p.prosrc AS does"
    " FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid"
    " WHERE t.tgrelid = to_regclass(:name) AND t.tgname = :trigger AND NOT t.tgisinternal"
)
_GRANTS: Final = text(
    "SELECT DISTINCT coalesce(r.rolname, 'PUBLIC')::text AS grantee, g.privilege_type AS may"
    " FROM (SELECT c.relowner, (aclexplode(c.relacl)).* FROM pg_class c"
    "       WHERE c.oid = to_regclass(:name)"
    "       UNION ALL SELECT c.relowner, (aclexplode(a.attacl)).* FROM pg_attribute a"
    "       JOIN pg_class c ON c.oid = a.attrelid WHERE c.oid = to_regclass(:name)) g"
    " LEFT JOIN pg_roles r ON r.oid = g.grantee"
    " WHERE g.grantee <> g.relowner"
    " AND g.privilege_type IN ('UPDATE', 'DELETE', 'TRUNCATE', 'TRIGGER')"
    " ORDER BY 1, 2"
)


def grows_only(table: Table) -> Table:
    """Have the database refuse changes of this table from its making on."""

    def protect(_table: object, connection: Connection, **_: object) -> None:
        for statement in statements(connection.dialect.name, table.name):
            connection.execute(text(statement))

    event.listen(table, "after_create", protect)
    return table


def statements(dialect: str, table: str) -> Sequence[str]:
    """Return what makes a table refuse updates and deletes."""
    if dialect == "sqlite":
        return [_sqlite_trigger(table, act) for act in _SQLITE]
    refuse = (
        f"CREATE FUNCTION {table}_refuse() RETURNS trigger LANGUAGE plpgsql AS"
        f" $$ BEGIN RAISE EXCEPTION '{table} is append-only'; END $$"
    )
    attach = (
        f"CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table}"
        f" EXECUTE FUNCTION {table}_refuse()"
    )
    return [refuse, attach]


@asynccontextmanager
async def removable(tx: Transaction, *tables: str) -> AsyncIterator[None]:
    """Let rows be removed within: for the owner of the tables, and in this transaction only."""
    for table in tables:
        await tx.execute(
            text(
                f"DROP TRIGGER {table}_no_delete"
                if tx.dialect == "sqlite"
                else f"ALTER TABLE {table} DISABLE TRIGGER {table}_append_only"
            )
        )
    yield
    for table in tables:
        await tx.execute(
            text(
                _sqlite_trigger(table, "DELETE")
                if tx.dialect == "sqlite"
                else f"ALTER TABLE {table} ENABLE TRIGGER {table}_append_only"
            )
        )


async def weaknesses(view: Reading, table: str) -> Sequence[str]:
    """Return, a sentence each, why rows of a table could be changed or removed."""
    if view.dialect == "sqlite":
        found = {
            row.sql
            for row in await view.all(
                text(
                    "SELECT sql FROM sqlite_master WHERE type = 'trigger' AND tbl_name = :name"
                ).bindparams(name=table)
            )
        }
        return [
            f"The trigger that refuses every {act} of {table} is not there."
            for act in _SQLITE
            if _sqlite_trigger(table, act) not in found
        ]
    trigger = await view.first(_TRIGGERS.bindparams(name=table, trigger=f"{table}_append_only"))
    refuses = f"BEGIN RAISE EXCEPTION '{table} is append-only'; END"
    guarded = (
        trigger is not None
        and trigger.enabled in {"O", "A"}
        and trigger.kind & _BEFORE_ALL_THREE == _BEFORE_ALL_THREE
        and trigger.does.strip() == refuses
    )
    grants = await view.all(_GRANTS.bindparams(name=table))
    unguarded = f"The trigger that refuses every change of {table} is not there."
    return [
        *([] if guarded else [unguarded]),
        *(f"The user {row.grantee} was granted {row.may} on {table}." for row in grants),
    ]


def _sqlite_trigger(table: str, act: str) -> str:
    return (
        f"CREATE TRIGGER {table}_no_{act.lower()} BEFORE {act} ON {table}"
        f" BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
    )
