"""What is good once is good once, also for several who come with it at the same moment."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import pyotp
import pytest
import pytest_asyncio
from sqlalchemy import select

from shared.db.transaction import Database
from shared.errors import Gone, Refused
from shared.identity import passwords, people, second_factor, sign_in
from shared.identity import tables as t
from shared.identity.password_resets import ask_for_reset, token_of, use_reset
from shared.identity.principal import Principal
from shared.sealing import Keyring
from tests.fakes import ManualClock
from tests.staff import staff

PASSWORD = "correct horse battery"
SEVERAL = 4


@dataclass
class Door:
    """Ann, who has shown her password and is asked for a code."""

    database: Database
    keyring: Keyring
    clock: ManualClock
    person: people.Staff
    app: pyotp.TOTP
    codes: list[str]
    token: str

    async def show(self, code: str) -> sign_in.SignedIn:
        """Take the second step."""
        return await sign_in.show_code(
            self.database, self.keyring, token=self.token, code=code, now=self.clock.now()
        )


@pytest.fixture
def database(database_of: Callable[[str], Database]) -> Database:
    return database_of("shared")


@pytest.fixture(scope="session")
def password_hash() -> str:
    return passwords._hash(PASSWORD)


@pytest_asyncio.fixture
async def door(
    database: Database, keyring: Keyring, clock: ManualClock, password_hash: str
) -> Door:
    person = await staff(database, clock.now(), password_hash=password_hash)
    by = Principal(kind="staff", id=person.id, name=person.name, scopes=frozenset())
    async with database.transaction() as tx:
        await second_factor.begin(tx, keyring, person.id, now=clock.now())
        secret = await second_factor.being_set_up(tx, keyring, person.id)
        assert secret is not None
        app = pyotp.TOTP(secret)
        codes = await second_factor.confirm(
            tx, keyring, by, app.at(clock.now()), now=clock.now()
        )
    asked = await sign_in.sign_in(
        database,
        keyring,
        email=person.email,
        password=PASSWORD,
        address="10.0.0.1",
        now=clock.now(),
    )
    assert isinstance(asked, sign_in.CodeWanted)
    return Door(database, keyring, clock, person, app, list(codes), asked.token)


async def outcomes(tries: list[Awaitable[object]]) -> list[str]:
    """Return what came of things that were tried at the same moment, sorted."""
    found = await asyncio.gather(*tries, return_exceptions=True)
    assert [one for one in found if isinstance(one, Exception) and not _refused(one)] == []
    return sorted("refused" if isinstance(one, Exception) else "taken" for one in found)


def _refused(error: Exception) -> bool:
    return isinstance(error, Refused)


async def test_a_code_of_the_app_lets_one_of_several_in(door):
    code = door.app.at(int(door.clock.now().timestamp()) + 30)  # a telephone that is early

    came = await outcomes([door.show(code) for _ in range(SEVERAL)])

    assert came == ["refused"] * (SEVERAL - 1) + ["taken"]


async def test_a_recovery_code_lets_one_of_several_in(door):
    came = await outcomes([door.show(door.codes[0]) for _ in range(SEVERAL)])

    assert came == ["refused"] * (SEVERAL - 1) + ["taken"]
    async with door.database.reading() as view:
        left = await second_factor.second_factor(view, door.person.id)
        stored = [row.digest for row in await view.all(select(t.recovery_codes))]
    assert left is not None
    assert left.codes_left == second_factor.CODES - 1
    assert not {code.replace("-", "") for code in door.codes} & set(stored)


async def test_a_recovery_code_is_its_own_persons_alone(door):
    other = await staff(door.database, door.clock.now(), "bo@example.test")

    async with door.database.transaction() as tx:
        passed = await second_factor.passes(
            tx, door.keyring, other.id, door.codes[0], now=door.clock.now()
        )

    assert passed is None


async def test_a_link_for_a_new_password_is_taken_by_one_of_several(door, password_hash):
    now = door.clock.now()
    async with door.database.transaction() as tx:
        await ask_for_reset(tx, door.keyring, email=door.person.email, address="x", now=now)
        (reset,) = await tx.all(select(t.password_resets))
    token = token_of(door.keyring, reset.id, reset.expires_at)

    async def use() -> None:
        async with door.database.transaction() as tx:
            await use_reset(tx, door.keyring, token, password_hash, now=now)

    came = await outcomes([use() for _ in range(SEVERAL)])

    assert came == ["refused"] * (SEVERAL - 1) + ["taken"]
    with pytest.raises(Gone):
        await use()
