"""The accounts of others, as an administrator looks after them: opened again, unlocked."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from html import unescape
from pathlib import Path

import httpx
import pyotp
import pytest
import pytest_asyncio
from sqlalchemy import text

from services.commands import people as commands
from shared.clock import SystemClock
from shared.db import schema
from shared.db.engine import Engines
from shared.db.transaction import Database
from shared.errors import NotFound
from shared.identity import passwords, people, second_factor, sessions
from shared.identity.principal import Principal, Role
from shared.identity.sign_in import SignedIn, sign_in
from shared.sealing import Keyring
from tests.fakes import ManualClock
from tests.plumbing import create_tables
from tests.staff import audited, staff
from tests.whole_house import BASE, WholeHouse, open_house

PASSWORD = "correct horse battery"
AT = "/settings/people"


@pytest_asyncio.fixture
async def house(
    engines: Engines, clock: ManualClock, keyring: Keyring
) -> AsyncIterator[WholeHouse]:
    async with open_house(engines, clock, keyring) as opened:
        yield opened


@asynccontextmanager
async def browsing(
    house: WholeHouse, role: Role = Role.ADMIN
) -> AsyncIterator[httpx.AsyncClient]:
    """Open the browser of a new colleague of this role, who is signed in."""
    now = house.clock.now()
    person = await staff(house.database, now, f"{role}@example.org", role=role)
    async with house.database.transaction() as tx:
        token = await sessions.start(tx, person.id, now=now)
    headers = {"accept": "text/html", "origin": BASE}
    async with house.client(headers=headers, cookies={"session": token}) as browser:
        yield browser


async def ann(house: WholeHouse, role: Role = Role.LEAD) -> people.Staff:
    """Have Ann work here, who knows her password."""
    hashed = await passwords.hash_password(PASSWORD)
    return await staff(
        house.database, house.clock.now(), "ann@example.org", role=role, password_hash=hashed
    )


async def app_of(house: WholeHouse, person: people.Staff) -> pyotp.TOTP:
    """Give somebody a second factor; return its app."""
    now = house.clock.now()
    by = Principal(kind="staff", id=person.id, name=person.name, scopes=frozenset())
    async with house.database.transaction() as tx:
        await second_factor.begin(tx, house.keyring, person.id, now=now)
        secret = await second_factor.being_set_up(tx, house.keyring, person.id)
        assert secret is not None
        await second_factor.confirm(tx, house.keyring, by, pyotp.TOTP(secret).at(now), now=now)
    return pyotp.TOTP(secret)


async def enters(house: WholeHouse, person: people.Staff) -> str:
    """Sign somebody in by the form; return where that leads."""
    headers = {"accept": "text/html", "origin": BASE}
    async with house.client(headers=headers) as browser:
        answer = await browser.post(
            "/sign-in", data={"email": person.email, "password": PASSWORD}
        )
    return str(answer.headers.get("location", answer.status_code))


def said(answer: httpx.Response) -> str:
    """Return what a page says, without its markup."""
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", answer.text)).split())


async def test_a_disabled_account_is_opened_again_as_it_was(house):
    person = await ann(house)
    async with browsing(house) as browser:
        await browser.post(f"{AT}/{person.id}/disable", data={"sure": "yes"})
        shut_out = await enters(house, person)
        page = await browser.get(f"{AT}/{person.id}")
        opened = await browser.post(f"{AT}/{person.id}/enable", data={"now": "yes"})
        told = await browser.get(opened.headers["location"])
        again = await browser.post(f"{AT}/{person.id}/enable", data={"now": "yes"})

    assert shut_out == "401"
    assert "Open the account again" in said(page)
    assert "The person can sign in again." in said(told)
    assert again.status_code == 303
    assert await enters(house, person) == "/"
    async with house.database.reading() as view:
        found = await people.wanted(view, person.id)
    assert (found.active, found.role) == (True, Role.LEAD)
    assert (await audited(house.database)).count("staff.enabled") == 1


async def test_a_lost_second_factor_is_switched_off_and_that_is_on_record(house):
    person = await ann(house)
    await app_of(house, person)
    async with browsing(house) as browser:
        asked = await enters(house, person)
        page = await browser.get(f"{AT}/{person.id}")
        off = await browser.post(f"{AT}/{person.id}/second-factor/off", data={"now": "yes"})
        told = await browser.get(off.headers["location"])
        nobody = await browser.post(f"{AT}/stf_none/second-factor/off", data={"now": "yes"})

    assert asked.startswith("/sign-in/code")
    assert "Switch the second factor off" in said(page)
    assert "second factor is switched off" in said(told)
    assert "Switch the second factor off" not in said(told)
    assert nobody.status_code == 404
    assert await enters(house, person) == "/"
    assert "second-factor.switched-off" in await audited(house.database)


async def test_it_is_said_which_roles_need_a_second_factor(house):
    person = await ann(house)
    async with browsing(house) as browser:
        saved = await browser.post(
            f"{AT}/second-factor", data={"role:lead": "yes", "role:auditor": "yes", "x": "y"}
        )
        page = await browser.get(saved.headers["location"])
        await browser.post(f"{AT}/second-factor", data={"role:lead": "yes"})
        async with house.database.reading() as view:
            needed = await second_factor.roles_that_need_it(view)
        own = await browser.get(AT)
        await browser.post(f"{AT}/second-factor", data={"none": "1"})
        async with house.database.reading() as view:
            nobody = await second_factor.roles_that_need_it(view)

    ticked = re.findall(r'name="role:(\w+)" value="yes" checked', page.text)
    assert sorted(ticked) == ["auditor", "lead"]
    assert needed == {Role.LEAD}
    assert own.status_code == 200, "an administrator's role was not named"
    assert nobody == frozenset()
    assert (await audited(house.database)).count("second-factor.required") == 3
    assert person.active


@pytest.mark.parametrize("role", [Role.LEAD, Role.AUDITOR, Role.AGENT])
async def test_only_who_writes_settings_looks_after_accounts(house, role):
    person = await staff(house.database, house.clock.now(), "bo@example.org")
    app = await app_of(house, person)
    async with browsing(house, role) as browser:
        answers = [
            await browser.post(f"{AT}/{path}", data={"role:agent": "yes"})
            for path in (
                "second-factor",
                f"{person.id}/second-factor/off",
                f"{person.id}/enable",
            )
        ]

    assert [answer.status_code for answer in answers] == [403] * 3
    async with house.database.reading() as view:
        assert await second_factor.is_asked_for(view, person.id)
    assert app.secret


# ------------------------------------------------------------------ on the machine


@pytest_asyncio.fixture
async def machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[tuple[Database, Keyring]]:
    """An installation for the command line, with tables as this program has them."""
    url = f"sqlite+aiosqlite:///{tmp_path}/closed-loop.db"
    await create_tables(url)
    engines = Engines.open(url)
    async with engines.writer.connect() as connection:
        await connection.execute(
            text("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL)")
        )
        stamp = text("INSERT INTO alembic_version VALUES (:head)")
        await connection.execute(stamp, {"head": schema.head()})
        await connection.commit()
    monkeypatch.setenv("CLOSED_LOOP_DATABASE_URL", url)
    monkeypatch.setenv("CLOSED_LOOP_SECRET", "s" * 40)
    yield Database(engines), Keyring("s" * 40)
    await engines.close()


async def test_who_is_locked_out_is_helped_on_the_machine(machine, capsys):
    """A lone administrator without telephone and codes gets back in; others stay asked."""
    database, keyring = machine
    now = SystemClock().now()
    ada = await staff(database, now, "ada@example.org", role=Role.ADMIN)
    by = Principal(kind="staff", id=ada.id, name=ada.name, scopes=frozenset())
    async with database.transaction() as tx:
        await second_factor.begin(tx, keyring, ada.id, now=now)
        secret = await second_factor.being_set_up(tx, keyring, ada.id)
        assert secret is not None
        await second_factor.confirm(tx, keyring, by, pyotp.TOTP(secret).at(now), now=now)

    await commands.reset_user(ada.email)
    kept = capsys.readouterr()
    async with database.reading() as view:
        still = await second_factor.is_asked_for(view, ada.id)
    await commands.reset_user(ada.email, without_second_factor=True)
    password = capsys.readouterr().out.strip()
    entered = await sign_in(
        database, keyring, email=ada.email, password=password, address="x", now=now
    )

    assert still
    assert "a code of their app" in kept.err
    assert isinstance(entered, SignedIn)
    trail = await audited(database)
    assert trail.count("staff.password-set") == 2
    assert "second-factor.switched-off" in trail


async def test_an_account_is_opened_again_on_the_machine(machine, capsys):
    database, _ = machine
    now = SystemClock().now()
    await staff(database, now, "ada@example.org", role=Role.ADMIN)
    person = await staff(database, now, "bo@example.org")
    await commands.disable_user(person.email)
    async with database.reading() as view:
        shut = await people.wanted(view, person.id)
    assert await commands.enable_user(person.email) == 0

    async with database.reading() as view:
        assert (await people.wanted(view, person.id)).active
    assert not shut.active
    assert "can sign in again" in capsys.readouterr().err
    with pytest.raises(NotFound):
        await commands.enable_user("nobody@example.org")
