"""The migrations make exactly the tables that the code declares, on both databases."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from shared.db import schema
from shared.db.base import metadata
from shared.db.engine import Engines
from shared.db.transaction import Database
from tests.infra.postgres import PostgresServer
from tests.plumbing import load_tables

VERSIONS = Path(__file__).parents[2] / "migrations" / "versions"


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of a database without any table."""
    if request.param == "sqlite":
        return f"sqlite+aiosqlite:///{tmp_path}/empty.db"
    url: str = request.getfixturevalue("postgres_url")
    return url


def _differences(connection: Connection) -> list[object]:
    context = MigrationContext.configure(connection, opts={"compare_type": True})
    return list(compare_metadata(context, metadata))


async def test_the_migrated_tables_equal_the_declared_ones(empty_url: str) -> None:
    """Upgrading from nothing leaves no difference to the metadata."""
    load_tables()
    engines = Engines.open(empty_url)
    try:
        before, after = await schema.upgrade(engines)

        async with engines.writer.connect() as connection:
            differences = await connection.run_sync(_differences)
    finally:
        await engines.close()
    assert (before, after) == (None, schema.head())
    assert differences == []


async def test_upgrading_again_changes_nothing(empty_url: str) -> None:
    """A second run finds the tables as they should be."""
    engines = Engines.open(empty_url)
    try:
        await schema.upgrade(engines)
        again = await schema.upgrade(engines)
        await schema.require_current(engines)
    finally:
        await engines.close()
    assert again == (schema.head(), schema.head())


async def test_the_audit_trail_refuses_changes(empty_url: str) -> None:
    """Neither an update nor a delete gets through, on either database."""
    engines = Engines.open(empty_url)
    try:
        await schema.upgrade(engines)
        database = Database(engines)
        async with database.transaction() as tx:
            await tx.execute(
                text(
                    "INSERT INTO shared_audit"
                    " (at, actor_kind, actor_id, action, subject, detail)"
                    " VALUES ('2026-01-01T00:00:00.000000+00:00', 'staff', 'a', 'b', 'c', '{}')"
                )
            )
        for statement in ("UPDATE shared_audit SET action = 'x'", "DELETE FROM shared_audit"):
            with pytest.raises(DBAPIError):
                async with database.transaction() as tx:
                    await tx.execute(text(statement))
    finally:
        await engines.close()


@pytest.mark.postgres
async def test_three_processes_may_migrate_at_once(postgres_server: PostgresServer) -> None:
    """The lock lets one after the other through; all find the tables made."""
    name = postgres_server.create_database()
    opened = [Engines.open(postgres_server.url(name)) for _ in range(3)]
    try:
        outcomes = await asyncio.gather(*(schema.upgrade(engines) for engines in opened))
    finally:
        for engines in opened:
            await engines.close()
        postgres_server.drop_database(name)
    assert sorted(str(before) for before, _ in outcomes) == sorted(
        ["None", schema.head(), schema.head()]
    )


def test_migrations_are_numbered_without_gaps() -> None:
    """0001, 0002, …: the order can be read off the folder."""
    numbers = sorted(
        int(found.group(1))
        for path in VERSIONS.glob("*.py")
        if (found := re.match(r"(\d{4})_", path.name))
    )

    assert numbers == list(range(1, len(numbers) + 1))
    assert numbers


_OLD = """
INSERT INTO loop_touchpoints (code, name, owner_id, owner_kind, mapped, first_seen_at, version)
VALUES ('door', 'Front door', 'stf_1', 'person', true, :then, 3),
       ('van', NULL, NULL, NULL, false, :then, 1);
INSERT INTO loop_responses (id, revision, source, external_id, measurement, metric, score,
    category, touchpoint, segment, reason, emotion, answered_at, received_at, as_new,
    person_ref, has_comment)
VALUES ('rsp_1', 1, 'crm', 'A-1', 'transactional', 'nps', 2, 'detractor', 'door', 'Business',
        'delay', 'angry', :then, :then, false, 'per_1', false),
       ('rsp_2', 1, 'crm', 'A-2', 'transactional', 'nps', 9, 'promoter', 'door', NULL,
        NULL, NULL, :then, :then, false, 'per_2', false);
INSERT INTO loop_score_rollups (key, day, metric, measurement, touchpoint, segment, product,
    channel, n, high, middle, low, total, squares)
VALUES ('a', '2026-03-02', 'nps', 'transactional', 'door', 'Business', 'unknown', 'unknown',
        1, 0, 0, 1, 2, 4),
       ('b', '2026-03-02', 'nps', 'transactional', 'door', 'unknown', 'unknown', 'unknown',
        1, 1, 0, 0, 9, 81);
"""


async def test_what_the_first_version_stored_is_found_again(empty_url: str) -> None:
    """Owners, sums and codes of a database of version 0001 stand in the tables of today."""

    def of_version_one(connection: Connection) -> None:
        config = Config()
        config.set_main_option("script_location", str(VERSIONS.parent))
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
        then = "2026-03-02T09:30:00.000000+00:00"
        for statement in _OLD.replace(":then", f"'{then}'").split(";")[:-1]:
            connection.execute(text(statement))

    engines = Engines.open(empty_url)
    try:
        async with engines.writer.connect() as connection:
            _ = await connection.begin()
            await connection.run_sync(of_version_one)
            await connection.commit()
        assert await schema.upgrade(engines) == ("0001", schema.head())
        async with Database(engines).reading() as view:
            periods = await view.all(
                text(
                    "SELECT code, owner_id, owner_kind, valid_until FROM loop_touchpoint_owners"
                )
            )
            sums = await view.all(
                text(
                    "SELECT segment, reason, n, high, low, total, squares"
                    " FROM loop_score_rollups ORDER BY segment"
                )
            )
            codes = await view.all(text("SELECT kind, code FROM loop_codes ORDER BY kind"))
            counted = await view.all(
                text(
                    "SELECT code, emotion, n FROM loop_answer_rollups"
                    " WHERE kind = 'reason' ORDER BY code"
                )
            )
    finally:
        await engines.close()
    assert [tuple(row) for row in periods] == [("door", "stf_1", "person", None)]
    assert [tuple(row) for row in sums] == [
        ("Business", "delay", 1, 0, 1, 2, 4),
        ("unknown", "unknown", 1, 1, 0, 9, 81),
    ]
    assert [tuple(row) for row in codes] == [("reason", "delay"), ("segment", "Business")]
    assert [tuple(row) for row in counted] == [("delay", "angry", 1), ("unknown", "", 1)]
