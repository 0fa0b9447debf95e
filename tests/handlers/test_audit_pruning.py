"""The oldest lines of the trail go by a period, and what is left still proves itself whole."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy import select, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError

from shared.db import schema
from shared.db.engine import Engines
from shared.db.transaction import Database
from shared.errors import ClosedLoopError
from shared.identity import audit
from shared.identity.audit import SYSTEM
from shared.identity.audit_proof import PRUNED, prove
from shared.identity.audit_pruning import old_lines, prune
from shared.identity.tables import audit as lines
from shared.identity.tables import audit_seals
from shared.sealing import Keyring
from tests.fakes import ManualClock
from tests.handlers.test_audit_seals import (
    CHANGED,
    ONLY_POSTGRES,
    UNSEALED,
    behind_our_back,
    named,
    note,
    numbers,
    proof_of,
    sealed,
)
from tests.infra.postgres import PostgresServer

MANY = 1_000
YEAR = timedelta(days=365)


@pytest.fixture
def database(database_of: Callable[[str], Database]) -> Database:
    return database_of("shared")


async def let_go(
    database: Database, clock: ManualClock, keyring: Keyring, *, limit: int = MANY
) -> int:
    """Remove what is a year old; return how many lines went."""
    now = clock.now()
    async with database.transaction() as tx:
        return await prune(tx, keyring, before=now - YEAR, limit=limit, now=now)


async def three_stretches(database: Database, clock: ManualClock, keyring: Keyring) -> None:
    """Write and seal three lines long ago, three just now."""
    for subject in ("a", "b", "c"):
        await note(database, clock, subject)
        await sealed(database, clock, keyring)
    clock.advance(YEAR + timedelta(days=2))
    for subject in ("d", "e", "f"):
        await note(database, clock, subject)
        await sealed(database, clock, keyring)


async def test_what_is_over_goes_and_the_rest_proves_whole(
    database: Database, clock: ManualClock, keyring: Keyring
) -> None:
    await three_stretches(database, clock, keyring)
    before = await proof_of(database, keyring)
    expiring = old_lines(keyring, clock)
    async with database.reading() as view:
        counted = await expiring.count(view, clock.now() - YEAR)

    gone = await let_go(database, clock, keyring)
    again = await let_go(database, clock, keyring)
    await sealed(database, clock, keyring)

    after = await proof_of(database, keyring)
    assert (counted, gone, again) == (3, 3, 0)
    assert await numbers(database) == [4, 5, 6, 7]
    assert (after.is_whole, after.pruned_to, after.sealed) == (True, 3, 4)
    async with database.reading() as view:
        last = await view.first(select(lines).where(lines.c.n == 7))
    assert last is not None
    assert (last.action, last.detail["to"], last.detail["lines"]) == (PRUNED, 3, 3)
    # Heads that were noted before still tell whether the end is gone.
    assert (await proof_of(database, keyring, before.head)).is_whole
    assert not (await proof_of(database, keyring, f"6:{'0' * 64}")).is_whole


async def test_a_second_time_goes_on_from_the_first(
    database: Database, clock: ManualClock, keyring: Keyring
) -> None:
    await three_stretches(database, clock, keyring)
    first = await let_go(database, clock, keyring, limit=2)
    second = await let_go(database, clock, keyring, limit=2)
    await sealed(database, clock, keyring)

    proof = await proof_of(database, keyring)
    assert (first, second) == (2, 1)
    assert (proof.is_whole, proof.pruned_to) == (True, 3)


async def test_the_last_seal_stays_however_old_it_is(
    database: Database, clock: ManualClock, keyring: Keyring
) -> None:
    """What is sealed after years of silence goes on from it."""
    await note(database, clock, "a")
    await sealed(database, clock, keyring)
    await note(database, clock, "b")
    await sealed(database, clock, keyring)
    clock.advance(3 * YEAR)

    assert await let_go(database, clock, keyring) == 1
    await sealed(database, clock, keyring)
    assert (await proof_of(database, keyring)).is_whole
    assert await numbers(database) == [2, 3]


async def test_nothing_goes_for_less_than_a_day(
    database: Database, clock: ManualClock, keyring: Keyring
) -> None:
    await note(database, clock, "a")
    await sealed(database, clock, keyring)
    await note(database, clock, "b")
    await sealed(database, clock, keyring)
    clock.advance(YEAR + timedelta(hours=20))
    assert await let_go(database, clock, keyring) == 0
    clock.advance(timedelta(hours=5))
    assert await let_go(database, clock, keyring) == 1


async def test_what_somebody_changed_stays_to_be_found(
    database: Database, clock: ManualClock, keyring: Keyring
) -> None:
    await three_stretches(database, clock, keyring)
    await behind_our_back(database, CHANGED.format("subject", "x", "VARCHAR(80)", 2))

    assert await let_go(database, clock, keyring) == 0
    assert await named(database, keyring) == [("changed", 2)]


@pytest.mark.parametrize("proof", ["", "0" * 64])
async def test_nobody_without_the_secret_says_that_it_was_let_go_of(
    database: Database, clock: ManualClock, keyring: Keyring, proof: str
) -> None:
    """Whoever has the database writes the line, yet not its proof."""
    await three_stretches(database, clock, keyring)
    async with database.reading() as view:
        seal = await view.first(select(audit_seals).where(audit_seals.c.to_n == 3))
    assert seal is not None
    await behind_our_back(
        database,
        "DELETE FROM shared_audit WHERE n <= 3",
        *(UNSEALED.format(n) for n in (1, 2, 3)),
    )
    detail = {"to": 3, "lines": 3, "seal": seal.mac, "proof": proof}
    async with database.transaction() as tx:
        await audit.record(tx, SYSTEM, PRUNED, "audit", detail, now=clock.now())
    await sealed(database, clock, keyring)

    assert ("seal", None) in await named(database, keyring)


async def test_the_database_refuses_again_afterwards(
    database: Database, clock: ManualClock, keyring: Keyring
) -> None:
    await three_stretches(database, clock, keyring)
    assert await let_go(database, clock, keyring) == 3

    with pytest.raises((DBAPIError, ClosedLoopError)):
        async with database.transaction() as tx:
            await tx.execute(lines.delete().where(lines.c.n == 4))
    async with database.reading() as view:
        assert (await prove(view, keyring)).findings == []


@ONLY_POSTGRES
async def test_a_roles_user_cannot_and_leaves_it_as_it_is(
    database: Database,
    engines: Engines,
    database_url: str,
    postgres_server: PostgresServer,
    clock: ManualClock,
    keyring: Keyring,
) -> None:
    """The owner of the tables does it then."""
    await three_stretches(database, clock, keyring)
    user = postgres_server.create_user()
    where = make_url(database_url)
    async with database.transaction() as tx:
        await tx.execute(text("CREATE TABLE alembic_version (version_num varchar(32))"))
    await schema.grant(engines, {"ingest": user})
    own = Engines.open(
        where.set(username=user, password=user).render_as_string(hide_password=False)
    )
    try:
        refused = await let_go(Database(own), clock, keyring)
    finally:
        await own.close()
        postgres_server.drop_user(user, database=where.database)

    assert (refused, await let_go(database, clock, keyring)) == (0, 3)
