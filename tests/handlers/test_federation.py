"""Whom a provider vouches for, and whose account that is: on both databases."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from sqlalchemy import func, select

from shared.db.engine import Engines
from shared.db.transaction import Database
from shared.errors import Conflict, Forbidden
from shared.identity import second_factor
from shared.identity.audit import SYSTEM
from shared.identity.federation import RoleMap, Vouched, enter, unlink
from shared.identity.groups import DEFAULT_TEAM
from shared.identity.people import disable_staff, find_staff
from shared.identity.principal import Role
from shared.identity.sessions import find, start
from shared.identity.tables import federated_identities, teams
from tests.fakes import ManualClock
from tests.staff import staff

MAP = RoleMap.read("it=admin;support=agent")
ANN = Vouched(
    issuer="https://id.example.org",
    subject="ann-1",
    email="ann@example.test",
    name="Ann",
    groups=frozenset({"support"}),
)


@pytest.fixture
def database(engines: Engines) -> Database:
    return Database(engines)


async def come(
    database: Database, who: Vouched, clock: ManualClock, roles: RoleMap = MAP
) -> str:
    """Sign in; return the id of whom the session is of."""
    async with database.transaction() as tx:
        token = await enter(tx, who, MAP, now=clock.now())
    async with database.reading() as view:
        session = await find(view, token, now=clock.now())
    assert session is not None
    return session.principal.id


def like(who: Vouched, **more: object) -> Vouched:
    return Vouched(**{**vars(who), **more})


async def links(database: Database) -> int:
    async with database.reading() as view:
        return int(await view.scalar(select(func.count()).select_from(federated_identities)))


async def test_somebody_stays_who_they_are_whatever_their_address_becomes(database, clock):
    first = await come(database, ANN, clock)

    assert await come(database, like(ANN, email="new@example.test"), clock) == first
    assert await come(database, like(ANN, email=None), clock) == first
    assert await links(database) == 1


async def test_an_account_has_one_identity_at_a_provider_and_one_at_each(database, clock):
    first = await come(database, ANN, clock)

    with pytest.raises(Forbidden):
        await come(database, like(ANN, subject="bob-1"), clock)
    assert await come(database, like(ANN, issuer="https://other.example.org"), clock) == first
    assert await links(database) == 2


async def test_after_unlinking_the_address_decides_once_more(database, clock):
    first = await come(database, ANN, clock)
    async with database.transaction() as tx:
        ann = await find_staff(tx, "ann@example.test")
        assert ann is not None
        assert await unlink(tx, ann, now=clock.now()) == 1
        assert await unlink(tx, ann, now=clock.now()) == 0

    assert await come(database, like(ANN, subject="ann-2"), clock) == first
    with pytest.raises(Forbidden):
        await come(database, ANN, clock)


async def test_two_windows_at_once_make_one_account(database, clock):
    """Whoever is too late is refused and may try again; nobody is made twice."""
    came = await asyncio.gather(
        *(come(database, ANN, clock) for _ in range(4)), return_exceptions=True
    )

    people = {one for one in came if isinstance(one, str)}
    assert len(people) == 1
    assert all(isinstance(one, str | Forbidden | Conflict) for one in came), came
    assert {await come(database, ANN, clock)} == people
    assert await links(database) == 1


async def test_a_first_administrator_by_single_sign_on_answers_for_the_team(database, clock):
    async with database.transaction() as tx:
        await tx.execute(
            tx.insert(teams)
            .values(id=DEFAULT_TEAM, name="Customer care", created_at=clock.now())
            .on_conflict_do_nothing()
        )
    await come(database, like(ANN, groups=frozenset({"it"})), clock)

    async with database.reading() as view:
        address = await view.scalar(select(teams.c.email).where(teams.c.id == DEFAULT_TEAM))
    assert address == "ann@example.test"


async def test_a_new_role_ends_what_was_open_with_the_former_one(database, clock):
    boss = await staff(database, clock.now(), "eve@example.test", role=Role.ADMIN)
    async with database.transaction() as tx:
        token = await enter(tx, ANN, MAP, now=clock.now())
    await come(database, like(ANN, groups=frozenset({"support", "it"})), clock)

    async with database.reading() as view:
        assert await find(view, token, now=clock.now()) is None
        ann = await find_staff(view, "ann@example.test")
    assert ann is not None
    assert ann.role is Role.ADMIN
    async with database.transaction() as tx:
        await disable_staff(tx, boss.id, now=clock.now())
    with pytest.raises(Conflict):  # the last administrator stays one
        await come(database, ANN, clock)


async def test_a_disabled_account_is_nobodys_whoever_vouches(database, clock):
    await come(database, ANN, clock)
    async with database.transaction() as tx:
        ann = await find_staff(tx, "ann@example.test")
        assert ann is not None
        await disable_staff(tx, ann.id, now=clock.now())

    for who in (ANN, like(ANN, subject="ann-2"), like(ANN, issuer="https://other.example.org")):
        with pytest.raises(Forbidden):
            await come(database, who, clock)


async def test_the_second_factor_of_here_is_for_passwords(database, clock):
    async with database.transaction() as tx:
        await second_factor.need_it(tx, frozenset({Role.AGENT}), by=SYSTEM, now=clock.now())
    person = await come(database, ANN, clock)
    async with database.transaction() as tx:
        by_password = await start(tx, person, now=clock.now())
        by_provider = await enter(tx, ANN, MAP, now=clock.now() + timedelta(seconds=1))

    async with database.reading() as view:
        asked = [
            (await find(view, token, now=clock.now())) for token in (by_password, by_provider)
        ]
    assert [one is not None and one.needs_second_factor for one in asked] == [True, False]
