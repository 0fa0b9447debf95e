"""Seals over the audit trail: whatever is done to it behind our back is named."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import insert, select, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError

from shared.db import schema
from shared.db.append_only import statements, weaknesses
from shared.db.engine import Engines
from shared.db.transaction import Database
from shared.identity import audit
from shared.identity.audit import SYSTEM
from shared.identity.audit_proof import Proof, prove
from shared.identity.audit_seals import AuditSealing, seal_some
from shared.identity.tables import audit as lines
from shared.identity.tables import audit_seals
from shared.sealing import Keyring
from tests.fakes import ManualClock
from tests.infra.postgres import PostgresServer

MINUTE = timedelta(minutes=1)
ONLY_POSTGRES = pytest.mark.parametrize(
    "database_url", [pytest.param("postgres", marks=pytest.mark.postgres)], indirect=True
)
"""SQLite has no users, and one writer: its numbers are in the order of commits."""
CHANGED = "UPDATE shared_audit SET {0} = CAST('{1}' AS {2}) WHERE n = {3}"
GONE = "DELETE FROM shared_audit WHERE n IN ({0}, {1})"
PUT_IN = (
    "INSERT INTO shared_audit (n, at, actor_kind, actor_id, action, subject, detail)"
    " SELECT {0}, at, actor_kind, actor_id, action, subject, detail"
    " FROM shared_audit WHERE n = {1}"
)
UNSEALED = "DELETE FROM shared_audit_seals WHERE to_n = {0}"


@pytest.fixture
def database(database_of: Callable[[str], Database]) -> Database:
    return database_of("shared")


async def note(database: Database, clock: ManualClock, *subjects: str, **detail: Any) -> None:
    """Write a line for each subject."""
    async with database.transaction() as tx:
        for subject in subjects:
            await audit.record(tx, SYSTEM, "key.revoked", subject, detail, now=clock.now())


async def work(worker: AuditSealing) -> None:
    """Let a worker do what there is to do."""
    while await worker.step():
        pass


async def sealed(database: Database, clock: ManualClock, keyring: Keyring) -> AuditSealing:
    """Have everything sealed that is written by now."""
    worker = AuditSealing(database, keyring, clock)
    for _ in range(2):
        await work(worker)
        clock.advance(MINUTE)
    return worker


async def proof_of(database: Database, keyring: Keyring, head: str | None = None) -> Proof:
    async with database.reading() as view:
        return await prove(view, keyring, head=head)


async def named(database: Database, keyring: Keyring) -> list[tuple[str, int | None]]:
    """Return what the proof finds."""
    proof = await proof_of(database, keyring)
    return [(one.what, one.line) for one in proof.findings]


async def behind_our_back(database: Database, *commands: str, **values: Any) -> None:
    """Do something to the trail as whoever owns the database can: without its triggers."""
    async with database.transaction() as tx:
        for table in ("shared_audit", "shared_audit_seals"):
            for off in (
                [f"DROP TRIGGER {table}_no_update", f"DROP TRIGGER {table}_no_delete"]
                if tx.dialect == "sqlite"
                else [f"ALTER TABLE {table} DISABLE TRIGGER {table}_append_only"]
            ):
                await tx.execute(text(off))
        for command in commands:
            await tx.execute(text(command), values or None)
        for table in ("shared_audit", "shared_audit_seals"):
            for on in (
                statements("sqlite", table)
                if tx.dialect == "sqlite"
                else [f"ALTER TABLE {table} ENABLE TRIGGER {table}_append_only"]
            ):
                await tx.execute(text(on))


async def numbers(database: Database) -> list[int]:
    async with database.reading() as view:
        return [row.n for row in await view.all(select(lines.c.n).order_by(lines.c.n))]


# ------------------------------------------------------------------ sealing


async def test_what_was_written_a_minute_ago_is_sealed_and_proves_whole(
    database: Database, clock: ManualClock, keyring: Keyring
) -> None:
    """What is younger waits for the next look."""
    worker = AuditSealing(database, keyring, clock)
    await note(database, clock, "a", "b", scopes=["x"], share=0.5, text="Zürich ☃", none=None)
    await work(worker)
    await note(database, clock, "c")
    young = await proof_of(database, keyring)
    clock.advance(MINUTE)
    await work(worker)
    first = await proof_of(database, keyring)
    clock.advance(MINUTE)
    await work(worker)
    second = await proof_of(database, keyring)

    assert (young.sealed, young.unsealed, young.head, young.is_whole) == (0, 3, None, True)
    assert (first.sealed, first.unsealed, first.seals, first.is_whole) == (2, 1, 1, True)
    assert (second.sealed, second.unsealed, second.seals, second.is_whole) == (3, 0, 2, True)
    assert second.head != first.head


async def test_a_long_trail_is_sealed_in_parts_and_nothing_without_lines(
    database: Database, clock: ManualClock, keyring: Keyring
) -> None:
    """A thousand lines a seal; hours without a line make none."""
    await note(database, clock, *(f"key_{n}" for n in range(2_100)))
    worker = await sealed(database, clock, keyring)
    for _ in range(5):
        clock.advance(MINUTE)
        await work(worker)

    proof = await proof_of(database, keyring)
    assert (proof.sealed, proof.seals, proof.is_whole) == (2_100, 3, True)


async def test_two_that_seal_at_once_make_one_trail(
    database: Database, clock: ManualClock, keyring: Keyring
) -> None:
    """Roles in several processes do not need to agree who seals."""
    await note(database, clock, *(f"key_{n}" for n in range(1_500)))
    upto = (await numbers(database))[-1]

    async def seal_all() -> None:
        more = True
        while more:
            async with database.transaction() as tx:
                more = await seal_some(tx, keyring, upto=upto, now=clock.now())

    await asyncio.gather(seal_all(), seal_all(), seal_all())

    proof = await proof_of(database, keyring)
    assert (proof.sealed, proof.seals, proof.is_whole) == (1_500, 2, True)


@ONLY_POSTGRES
async def test_lines_that_commit_out_of_order_are_sealed_together(
    database: Database, clock: ManualClock, keyring: Keyring
) -> None:
    """A slow transaction with a smaller number is waited for, however long it takes."""
    worker = AuditSealing(database, keyring, clock)
    async with database.transaction() as slow:
        await audit.record(slow, SYSTEM, "key.revoked", "slow", now=clock.now())
        await note(database, clock, "quick")
        for _ in range(3):
            await work(worker)
            clock.advance(MINUTE)
        early = await proof_of(database, keyring)
    for _ in range(3):
        await work(worker)
        clock.advance(MINUTE)
    late = await proof_of(database, keyring)

    assert (early.sealed, early.unsealed) == (0, 1)
    assert (late.sealed, late.unsealed, late.is_whole) == (2, 0, True)


async def test_old_seals_are_proved_while_and_after_the_secret_is_replaced(
    database: Database, clock: ManualClock, keyring: Keyring
) -> None:
    """The key of the seals outlives the secret, as a key that is kept wrapped does."""
    await note(database, clock, "a")
    await sealed(database, clock, keyring)
    replaced = Keyring("another secret of forty characters or so")
    stranger = await proof_of(database, replaced)
    replaced.use_lasting({"audit-seals": keyring.subkey("audit-seals")})

    assert not stranger.is_whole
    assert (await proof_of(database, replaced)).is_whole


# ------------------------------------------------------------------ what is found out


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("action", "key.created"),
        ("subject", "z"),
        ("actor_id", "stf_2"),
        ("actor_kind", "staff"),
        ("detail", '{"n": 2}'),
        ("at", "2026-03-01T00:00:00.000000+00:00"),
    ],
)
async def test_a_line_that_was_changed_is_named(
    database: Database, clock: ManualClock, keyring: Keyring, member: str, value: str
) -> None:
    """Whichever of its members it was."""
    await note(database, clock, "a", "b", "c", n=1)
    await sealed(database, clock, keyring)
    second = (await numbers(database))[1]
    kinds = {"detail": "jsonb", "at": "timestamptz"} if database.dialect != "sqlite" else {}

    plain = value.replace(":", "\\:")
    change = CHANGED.format(member, plain, kinds.get(member, "text"), second)
    await behind_our_back(database, change)

    assert await named(database, keyring) == [("changed", second)]


async def test_lines_that_are_gone_or_were_put_in_are_named(
    database: Database, clock: ManualClock, keyring: Keyring
) -> None:
    """In the middle, before the beginning, and where one was taken away."""
    await note(database, clock, "a", "b", "c", "d")
    await sealed(database, clock, keyring)
    first, second, third, _ = await numbers(database)

    await behind_our_back(
        database,
        GONE.format(second, third),
        PUT_IN.format(second, first),
        PUT_IN.format(-5, first),
    )

    assert await named(database, keyring) == [
        ("changed", second),
        ("missing", third),
        ("added", -5),
    ]


async def test_a_seal_that_is_gone_or_forged_is_named(
    database: Database, clock: ManualClock, keyring: Keyring
) -> None:
    """A new seal over changed lines is not one of ours; a gap in the seals shows."""
    worker = await sealed(database, clock, keyring)
    for subject in ("a", "b", "c"):
        await note(database, clock, subject)
        for _ in range(2):
            await work(worker)
            clock.advance(MINUTE)
    n = (await numbers(database))[1]
    forger = Keyring("whoever has the database has not the secret")

    await behind_our_back(
        database,
        UNSEALED.format(n),
        CHANGED.format("subject", "x", "text", n),
    )
    gap = await proof_of(database, keyring)
    async with database.reading() as view:
        row = await view.first(select(audit_seals).where(audit_seals.c.to_n == n - 1))
        assert row is not None
    async with database.transaction() as tx:
        await tx.execute(
            insert(audit_seals).values(
                from_n=n,
                to_n=n,
                lines=1,
                marks=row.marks,
                mac=forger.mac("audit-seals", "x"),
                made_at=clock.now(),
            )
        )
    forged = await proof_of(database, keyring)

    assert "seal" in {one.what for one in gap.findings}
    assert f"lines {n} to {n}" in gap.findings[0].detail
    assert {one.what for one in forged.findings} >= {"seal", "added"}


async def test_the_end_of_the_trail_is_missed_by_whoever_noted_its_head(
    database: Database, clock: ManualClock, keyring: Keyring
) -> None:
    """Without the head a shortened trail looks whole: that is what it is kept for."""
    worker = await sealed(database, clock, keyring)
    for subject in ("a", "b"):
        await note(database, clock, subject)
        for _ in range(2):
            await work(worker)
            clock.advance(MINUTE)
    head = (await proof_of(database, keyring)).head
    last = (await numbers(database))[-1]

    before = await proof_of(database, keyring, head)
    await behind_our_back(
        database,
        GONE.format(last, last),
        UNSEALED.format(last),
    )
    after = await proof_of(database, keyring, head)

    assert before.is_whole
    assert (await proof_of(database, keyring)).is_whole
    assert [one.what for one in after.findings] == ["missing"]


# ------------------------------------------------------------------ what protects it


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE shared_audit SET action = 'x'",
        "DELETE FROM shared_audit",
        "UPDATE shared_audit_seals SET mac = 'x'",
        "DELETE FROM shared_audit_seals",
    ],
)
async def test_the_database_itself_refuses_changes(
    database: Database, clock: ManualClock, keyring: Keyring, statement: str
) -> None:
    await note(database, clock, "a")
    await sealed(database, clock, keyring)

    with pytest.raises(DBAPIError, match="append-only"):
        async with database.transaction() as tx:
            await tx.execute(text(statement))

    assert (await proof_of(database, keyring)).is_whole


WEAKENED = {
    "sqlite": (
        "DROP TRIGGER shared_audit_no_delete",
        """CREATE TRIGGER shared_audit_no_delete BEFORE DELETE ON shared_audit
            BEGIN SELECT 1; END""",
    ),
    "postgresql": (
        "ALTER TABLE shared_audit DISABLE TRIGGER shared_audit_append_only",
        "ALTER TABLE shared_audit ENABLE TRIGGER shared_audit_append_only",
        """CREATE OR REPLACE FUNCTION shared_audit_refuse() RETURNS trigger
            LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$""",
    ),
}


async def test_a_trigger_that_is_gone_is_said(
    database: Database, clock: ManualClock, keyring: Keyring
) -> None:
    """Also one that was replaced by another of its name that does nothing."""
    for statement in WEAKENED[database.dialect]:
        async with database.transaction() as tx:
            await tx.execute(text(statement))
        found = await named(database, keyring)
        assert found == ([] if "ENABLE" in statement else [("open", None)])


@ONLY_POSTGRES
async def test_a_right_to_change_that_was_granted_is_said(database: Database) -> None:
    """To a user, to everybody, or on one column only."""
    async with database.transaction() as tx:
        await tx.execute(text("GRANT SELECT, INSERT ON shared_audit TO PUBLIC"))
    async with database.reading() as view:
        harmless = await weaknesses(view, "shared_audit")
    async with database.transaction() as tx:
        await tx.execute(text("GRANT DELETE, TRUNCATE ON shared_audit TO PUBLIC"))
        await tx.execute(text("GRANT UPDATE (action) ON shared_audit TO PUBLIC"))
    async with database.reading() as view:
        harmful = await weaknesses(view, "shared_audit")

    assert harmless == []
    assert harmful == [
        f"The user PUBLIC was granted {may} on shared_audit."
        for may in ("DELETE", "TRUNCATE", "UPDATE")
    ]


@pytest.mark.parametrize("table", ["shared_audit", "shared_audit_seals"])
@ONLY_POSTGRES
async def test_a_roles_user_may_read_and_add_and_nothing_else(
    database: Database,
    engines: Engines,
    database_url: str,
    postgres_server: PostgresServer,
    clock: ManualClock,
    keyring: Keyring,
    table: str,
) -> None:
    """It seals what it writes; it can neither change a line nor take a trigger away."""
    user = postgres_server.create_user()
    where = make_url(database_url)
    async with database.transaction() as tx:
        await tx.execute(text("CREATE TABLE alembic_version (version_num varchar(32))"))
    await schema.grant(engines, {"loop": user})
    own = Engines.open(
        where.set(username=user, password=user).render_as_string(hide_password=False)
    )
    try:
        as_role = Database(own)
        await note(as_role, clock, "a")
        await sealed(as_role, clock, keyring)
        column = "action" if table == "shared_audit" else "mac"
        for statement in (
            f"UPDATE {table} SET {column} = 'x'",  # noqa: S608 - one of two words
            f"DELETE FROM {table}",  # noqa: S608
            f"TRUNCATE {table}",
            f"ALTER TABLE {table} DISABLE TRIGGER ALL",
            f"DROP TRIGGER {table}_append_only ON {table}",
        ):
            with pytest.raises(DBAPIError, match=r"InsufficientPrivilege|permission|owner"):
                async with as_role.transaction() as tx:
                    await tx.execute(text(statement))
        proof = await proof_of(as_role, keyring)
    finally:
        await own.close()
        postgres_server.drop_user(user, database=where.database)

    assert (proof.sealed, proof.findings) == (1, [])
