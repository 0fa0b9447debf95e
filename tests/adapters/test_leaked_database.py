"""Whoever holds a copy of the database can let themselves in nowhere with what is in it.

Every credential that the product knows is made once; then every value of every table is looked
at, and tried as each of them.
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import timedelta
from email import message_from_bytes, policy
from pathlib import Path
from typing import Any

import pyotp
import pytest_asyncio
from sqlalchemy import select

from services.notify.channels.capture import opened
from services.notify.tables import captured_mails
from shared.db.base import metadata
from shared.db.engine import Engines
from shared.db.transaction import Database
from shared.errors import Gone, NotFound
from shared.identity import keys, password_resets, passwords, second_factor, sessions
from shared.identity.key_cache import KeyCache
from shared.identity.people import password_hash_of
from shared.identity.person_keys import PersonKeys
from shared.identity.principal import Principal, Scope
from shared.sealing import Keyring
from tests.fakes import ManualClock
from tests.staff import staff
from tests.whole_house import BASE, WholeHouse, open_house

PASSWORD = "correct horse battery staple"
SIGNING = "whsec_the-senders-own-secret-9f2c"
EMAIL = "ann@example.org"


@dataclass(frozen=True)
class Leak:
    """A house with one credential of each kind, and all that its database holds."""

    house: WholeHouse
    secrets: dict[str, str]
    values: frozenset[str | bytes]

    def texts(self) -> Iterator[str]:
        """Return every text, also those within documents."""
        for value in self.values:
            if isinstance(value, str):
                yield value
                yield from re.findall(r'[^\s"{}\[\],:]{6,}', value)


@pytest_asyncio.fixture
async def leak(engines: Engines, clock: ManualClock, keyring: Keyring) -> AsyncIterator[Leak]:
    async with open_house(engines, clock, keyring) as house:
        secrets = {
            **await _keys(house),
            **await _person(house),
            **await _systems(house),
            **await _reset(house),
        }
        yield Leak(house, secrets, frozenset(await _everything(house.database)))


async def _keys(house: WholeHouse) -> dict[str, str]:
    """Make a key that is in use, one for trials, and one that took another's place."""
    now = house.clock.now()
    async with house.database.transaction() as tx:
        made: dict[str, Any] = {"source": "crm", "scopes": [Scope.RESPONSES_WRITE], "now": now}
        former, old = await keys.create_key(tx, name="former", **made)
        _, trial = await keys.create_key(tx, name="trial", test=True, **made)
        _, new = await keys.rotate_key(tx, former.id, overlap=timedelta(hours=1), now=now)
    return {"rotated key": old, "new key": new, "key for trials": trial}


async def _person(house: WholeHouse) -> dict[str, str]:
    """Have Ann sign in, with a second factor."""
    now = house.clock.now()
    hashed = await passwords.hash_password(PASSWORD)
    ann = await staff(house.database, now, EMAIL, password_hash=hashed)
    by = Principal(kind="staff", id=ann.id, name=ann.name, scopes=frozenset())
    async with house.database.transaction() as tx:
        token = await sessions.start(tx, ann.id, now=now)
        await second_factor.begin(tx, house.keyring, ann.id, now=now)
        app = await second_factor.being_set_up(tx, house.keyring, ann.id)
        assert app is not None
        codes = await second_factor.confirm(
            tx, house.keyring, by, pyotp.TOTP(app).at(now), now=now
        )
    plain = {f"recovery code {n}": code.replace("-", "") for n, code in enumerate(codes)}
    return {"password": PASSWORD, "session": token, "app": app, "code": codes[0], **plain}


async def _systems(house: WholeHouse) -> dict[str, str]:
    """Make a webhook and a source with a secret, both by requests that are remembered."""
    async with house.client() as client:
        hook = await client.post(
            "/v1/webhooks",
            json={"url": "https://hooks.example.org/a"},
            headers={"Idempotency-Key": "once-1"},
        )
        await client.put("/v1/sources/shop", json={})
        kept = await client.post(
            "/v1/sources/shop/secrets",
            json={"secret": SIGNING},
            headers={"Idempotency-Key": "once-2"},
        )
        key = await client.post(
            "/v1/keys",
            json={"source": "shop", "name": "k", "scopes": ["responses:write"]},
            headers={"Idempotency-Key": "once-3"},
        )
    assert (hook.status_code, kept.status_code, key.status_code) == (201, 201, 201), kept.text
    return {
        "secret of a webhook": hook.json()["secret"].removeprefix("whsec_"),
        "secret of a source": SIGNING,
        "key of the interface": key.json()["key"],
    }


async def _reset(house: WholeHouse) -> dict[str, str]:
    """Have a link for a new password mailed."""
    async with house.client(headers={"origin": BASE}) as browser:
        await browser.post("/sign-in/forgot", data={"email": EMAIL})
    await house.settle()
    async with house.database.reading() as view:
        (row,) = await view.all(
            select(captured_mails).where(captured_mails.c.subject.contains("password"))
        )
        found = await opened(
            view, row.id, keyring=house.keyring, person_keys=PersonKeys(house.keyring)
        )
    assert found is not None
    assert found[1] is not None
    body = message_from_bytes(found[1], policy=policy.default).get_body(("plain",))
    assert body is not None
    (token,) = re.findall(r"/sign-in/reset/(\S+)", body.get_content())
    return {"link": token, "proof of the link": token.rpartition("~")[2]}


async def _everything(database: Database) -> set[str | bytes]:
    """Return every value of every table, as a dump would hold it."""
    found: set[str | bytes] = set()
    async with database.reading() as view:
        for table in metadata.sorted_tables:
            for row in await view.all(select(table)):
                for value in row:
                    plain = (
                        value
                        if isinstance(value, str | bytes)
                        else json.dumps(value, default=str)
                    )
                    found.add(plain)
    return found


async def test_no_credential_stands_in_any_table_or_file(leak, database_url):
    files = _files(database_url)
    found = [
        name
        for name, secret in leak.secrets.items()
        if secret.encode() in files
        or any(
            secret in value if isinstance(value, str) else secret.encode() in value
            for value in leak.values
        )
    ]

    assert len(leak.values) > 60
    assert not files or EMAIL.encode() in files, "what is looked for would be found"
    assert found == []


def _files(database_url: str) -> bytes:
    """Return every byte of SQLite's files, also those not yet written back."""
    if not database_url.startswith("sqlite"):
        return b""
    path = Path(database_url.partition("///")[2])
    return b"".join(
        one.read_bytes() for one in path.parent.iterdir() if one.name.startswith(path.name)
    )


async def test_nothing_that_is_stored_lets_anybody_in(leak):
    """Digests, prefixes, sealed bytes, ids: shown as a credential each of them is nobody's."""
    house, now = leak.house, leak.house.clock.now()
    cache = KeyCache(house.database, house.clock)
    texts = sorted(set(leak.texts()))
    let_in = []
    async with house.database.reading() as view:
        for text in texts:
            if await keys.find_by_plaintext(view, text, now=now) or await cache.principal(text):
                let_in.append(f"as a key: {text}")
            if await sessions.find(view, text, now=now):
                let_in.append(f"as a session: {text}")
            try:
                await password_resets.person_of(view, house.keyring, text, now=now)
                let_in.append(f"as a link: {text}")
            except (NotFound, Gone):
                continue
        _, stored = await password_hash_of(view, EMAIL) or (None, None)
    await cache.settle()

    assert len(texts) > 200
    assert let_in == []
    assert stored is not None
    assert stored.startswith("$argon2id$")
    assert not await passwords.verify_password(stored, stored)


async def test_nothing_that_is_stored_is_a_second_factor(leak):
    house, now = leak.house, leak.house.clock.now()
    async with house.database.transaction() as tx:
        (person,) = [one for one in leak.texts() if re.fullmatch(r"stf_\w{26}", one)][:1]
        passed = [
            text
            for text in sorted(set(leak.texts()))
            if await second_factor.passes(tx, house.keyring, person, text, now=now)
        ]

    assert passed == []


async def test_what_was_made_works_so_that_the_search_means_something(leak):
    house, now = leak.house, leak.house.clock.now()
    async with house.database.transaction() as tx:
        for name in ("rotated key", "new key", "key for trials", "key of the interface"):
            assert await keys.find_by_plaintext(tx, leak.secrets[name], now=now), name
        session = await sessions.find(tx, leak.secrets["session"], now=now)
        assert session is not None
        person = await password_resets.person_of(
            tx, house.keyring, leak.secrets["link"], now=now
        )
        assert person.email == EMAIL
        code = leak.secrets["code"]
        assert await second_factor.passes(tx, house.keyring, person.id, code, now=now)
