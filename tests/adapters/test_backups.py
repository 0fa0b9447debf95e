"""Backup and restore on both databases: all comes back, but nobody who was forgotten since."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, text, update

from services.commands.backing_up import KEYS, back_up, restore
from services.notify.tables import deliveries
from shared.clock import SystemClock
from shared.db import schema
from shared.db.base import metadata
from shared.db.copies import LEFT_OUT
from shared.db.engine import Engines
from shared.db.transaction import Database
from shared.errors import Conflict, Forbidden, Invalid, Misconfigured, NotFound
from shared.identity.secret import begin_restore, verify_secret
from shared.identity.tables import audit, person_keys
from shared.sealing import Keyring
from tests.fakes import ManualClock
from tests.infra.postgres import PostgresServer
from tests.plumbing import SECRET
from tests.whole_house import WholeHouse, open_house

MAYA = "Maya Lindqvist"
JONAS = "Jonas Ekdahl"
_CHANGES = {"shared_audit", "shared_person_requests", "shared_installation"}
"""Tables that a restore adds to."""


def answer(number: int, name: str) -> dict[str, Any]:
    return {
        "external_id": f"A-{number}",
        "score": 2,
        "comment": f"{name} waited",
        "customer": {"id": f"C-{number}", "name": name},
    }


def surely(_question: str) -> bool:
    return True


async def stamp(engines: Engines) -> None:
    """Say of tables that were made without migrations that they are of today."""
    async with engines.writer.connect() as connection:
        _ = await connection.begin()
        await connection.execute(
            text("CREATE TABLE alembic_version (version_num VARCHAR(32) PRIMARY KEY)")
        )
        await connection.execute(
            text("INSERT INTO alembic_version VALUES (:version)"), {"version": schema.head()}
        )
        await connection.commit()


async def everything(engines: Engines) -> dict[str, list[tuple[Any, ...]]]:
    """Return every row of every table of which a copy has rows."""
    async with Database(engines).reading() as view:
        return {
            table.name: sorted((tuple(row) for row in await view.all(select(table))), key=repr)
            for table in metadata.sorted_tables
            if table.name not in LEFT_OUT
        }


@pytest.fixture
def settled(monkeypatch: pytest.MonkeyPatch, database_url: str) -> Callable[[str], None]:
    """Point the commands at a database."""
    for name in [name for name in os.environ if name.startswith("CLOSED_LOOP_")]:  # noqa: TID251 - what a shell would have
        if not name.startswith("CLOSED_LOOP_TEST_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("CLOSED_LOOP_SECRET", SECRET)
    # A command sets the log up for its process; this one is the tests'.
    monkeypatch.setattr("services.commands.backing_up.set_up", lambda **_: None)

    def at(url: str) -> None:
        monkeypatch.setenv("CLOSED_LOOP_DATABASE_URL", url)

    at(database_url)
    return at


@pytest.fixture
def elsewhere(
    request: pytest.FixtureRequest, database_url: str, tmp_path: Path
) -> Iterator[str]:
    """The address of a database without a table."""
    if database_url.startswith("sqlite"):
        yield f"sqlite+aiosqlite:///{tmp_path}/elsewhere/closed-loop.db"
        return
    server: PostgresServer = request.getfixturevalue("postgres_server")
    name = server.create_database()
    yield server.url(name)
    server.drop_database(name)


@asynccontextmanager
async def house_on(
    engines: Engines, clock: ManualClock, keyring: Keyring
) -> AsyncIterator[WholeHouse]:
    async with Database(engines).transaction() as tx:
        await verify_secret(tx, keyring, clock.now())
    async with open_house(engines, clock, keyring) as house:
        yield house


@pytest.fixture
async def house(
    engines: Engines, clock: ManualClock, keyring: Keyring, settled: Callable[[str], None]
) -> AsyncIterator[WholeHouse]:
    """An installation in which two customers are unhappy."""
    await stamp(engines)
    async with house_on(engines, clock, keyring) as opened:
        async with opened.client() as client:
            for number, name in enumerate((MAYA, JONAS), 1):
                reply = await client.post("/v1/responses", json=answer(number, name))
                assert reply.status_code == 202, reply.text
        await opened.settle()
        yield opened


async def names_in(house: WholeHouse) -> set[str]:
    """Return which of the customers the tasks still name."""
    async with house.client() as client:
        listed = (await client.get("/v1/tasks")).json()["data"]
        texts = [(await client.get(f"/v1/tasks/{one['id']}")).text for one in listed]
    assert len(texts) == 2
    return {name for name in (MAYA, JONAS) for text in texts if name in text}


async def test_everything_comes_back_elsewhere(
    house: WholeHouse,
    engines: Engines,
    elsewhere: str,
    settled: Callable[[str], None],
    tmp_path: Path,
    keyring: Keyring,
    clock: ManualClock,
    capsys: pytest.CaptureFixture[str],
) -> None:
    before = await everything(engines)
    await back_up(tmp_path / "one", keys=None, as_json=True)
    said = json.loads(capsys.readouterr().out)
    settled(elsewhere)
    await restore(tmp_path / "one", keys=None, replace=False, sure=surely, as_json=True)

    assert said["persons"] >= 2
    restored = Engines.open(elsewhere)
    try:
        after = await everything(restored)
        async with Database(restored).reading() as view:
            acts = [
                row.action for row in await view.all(select(audit.c.action).order_by(audit.c.n))
            ]
        for name, rows in before.items():
            if name == "notify_deliveries":
                assert len(after[name]) == len(rows)
            elif name not in _CHANGES:
                assert after[name] == rows, name
        async with house_on(restored, clock, keyring) as again:
            assert await names_in(again) == {MAYA, JONAS}
    finally:
        await restored.close()
    assert acts[-1] == "installation.restored"
    async with house.database.reading() as view:
        told = [
            row.action for row in await view.all(select(audit.c.action).order_by(audit.c.n))
        ]
    assert told[-1] == "installation.backed-up"


async def test_whoever_was_forgotten_since_stays_forgotten(
    house: WholeHouse,
    elsewhere: str,
    settled: Callable[[str], None],
    tmp_path: Path,
    keyring: Keyring,
    clock: ManualClock,
) -> None:
    await back_up(tmp_path / "old", keys=None, as_json=True)
    assert MAYA.encode() not in b"".join(
        file.read_bytes() for file in (tmp_path / "old").iterdir()
    )
    clock.advance(SystemClock().now() - clock.now())
    async with house.client() as client:
        asked = await client.post(
            "/v1/person-requests",
            json={"kind": "erasure", "person": {"source": "crm", "customer_id": "C-1"}},
        )
    assert asked.status_code == 202, asked.text
    await house.settle()
    await back_up(tmp_path / "new", keys=None, as_json=True)

    settled(elsewhere)
    await restore(tmp_path / "old", keys=None, replace=False, sure=surely, as_json=True)

    restored = Engines.open(elsewhere)
    try:
        async with house_on(restored, clock, keyring) as again:
            assert await names_in(again) == {JONAS}  # before anything was handled
            await again.settle()
            async with again.client() as client:
                requests = (await client.get("/v1/person-requests")).json()["data"]
        assert [one["state"] for one in requests] == ["done"]
    finally:
        await restored.close()


async def test_what_waited_may_have_been_sent_since(
    house: WholeHouse,
    elsewhere: str,
    settled: Callable[[str], None],
    tmp_path: Path,
) -> None:
    async with house.database.transaction() as tx:
        await tx.execute(update(deliveries).values(state="due", in_doubt=False))
    await back_up(tmp_path / "one", keys=None, as_json=True)
    settled(elsewhere)
    await restore(tmp_path / "one", keys=None, replace=False, sure=surely, as_json=True)

    restored = Engines.open(elsewhere)
    try:
        async with Database(restored).reading() as view:
            doubts = [row.in_doubt for row in await view.all(select(deliveries.c.in_doubt))]
    finally:
        await restored.close()
    assert doubts
    assert all(doubts)


async def test_what_is_there_is_replaced_only_when_asked_for(
    house: WholeHouse, engines: Engines, tmp_path: Path, elsewhere: str, settled: Any
) -> None:
    await back_up(tmp_path / "one", keys=None, as_json=True)
    settled(elsewhere)
    await restore(tmp_path / "one", keys=None, replace=False, sure=surely, as_json=True)

    with pytest.raises(Conflict, match="--replace"):
        await restore(tmp_path / "one", keys=None, replace=False, sure=surely, as_json=True)
    with pytest.raises(Forbidden, match="--yes"):
        await restore(
            tmp_path / "one", keys=None, replace=True, sure=lambda _: False, as_json=True
        )
    await restore(tmp_path / "one", keys=None, replace=True, sure=surely, as_json=True)
    with pytest.raises(Conflict, match="is there already"):
        await back_up(tmp_path / "one", keys=None, as_json=True)
    if elsewhere.startswith("sqlite"):
        kept = [
            one.name for one in (tmp_path / "elsewhere").iterdir() if ".before-" in one.name
        ]
        assert kept


async def test_nothing_starts_on_half_a_restore(
    house: WholeHouse, keyring: Keyring, clock: ManualClock
) -> None:
    async with house.database.transaction() as tx:
        await begin_restore(tx, clock.now())

    async with house.database.transaction() as tx:
        with pytest.raises(Misconfigured, match="not finished"):
            await verify_secret(tx, keyring, clock.now())


@pytest.mark.parametrize(
    ("spoil", "error", "words"),
    [
        ("cut the data", Invalid, "checksum"),
        ("cut the keys", Invalid, "cut off"),
        ("a newer schema", Misconfigured, "schema 9999"),
        ("another secret", Misconfigured, "another secret"),
        ("another database", Invalid, "is a backup of"),
        ("older keys", Invalid, "older than the backup"),
        ("no manifest", NotFound, "no backup"),
        ("no JSON", Invalid, "none that this version can read"),
    ],
)
async def test_what_is_not_whole_or_not_ours_is_refused(
    house: WholeHouse,
    tmp_path: Path,
    elsewhere: str,
    settled: Callable[[str], None],
    monkeypatch: pytest.MonkeyPatch,
    spoil: str,
    error: type[Exception],
    words: str,
) -> None:
    one, keys = tmp_path / "one", tmp_path / KEYS
    await back_up(one, keys=None, as_json=True)
    former = keys.read_bytes()
    manifest = json.loads((one / "manifest.json").read_text())
    data = one / manifest["file"]
    match spoil:
        case "cut the data":
            data.write_bytes(data.read_bytes()[:-100])
        case "cut the keys":
            keys.write_bytes(former[: len(former) // 2])
        case "a newer schema":
            manifest["schema"] = "9999"
        case "another secret":
            monkeypatch.setenv("CLOSED_LOOP_SECRET", "x" * 40)
        case "another database":
            manifest["database"] = "oracle"
        case "older keys":
            manifest["made_at"] = "2099-01-01T00:00:00+00:00"
        case _:
            pass  # below
    (one / "manifest.json").write_text("{" if spoil == "no JSON" else json.dumps(manifest))
    if spoil == "no manifest":
        (one / "manifest.json").unlink()
    settled(elsewhere)

    with pytest.raises(error, match=words):
        await restore(one, keys=None, replace=False, sure=surely, as_json=True)


async def test_a_copy_holds_no_keys_and_no_sessions(
    house: WholeHouse, engines: Engines, tmp_path: Path
) -> None:
    async with house.database.reading() as view:
        wrapped = [
            row.wrapped_key
            for row in await view.all(select(person_keys.c.wrapped_key))
            if row.wrapped_key
        ]
    await back_up(tmp_path / "one", keys=None, as_json=True)
    (file,) = [one for one in (tmp_path / "one").iterdir() if one.name.startswith("data")]
    content = file.read_bytes()
    if file.suffix == ".pgdump":
        reading = await asyncio.create_subprocess_exec(
            "pg_restore", "--file=-", str(file), stdout=asyncio.subprocess.PIPE
        )
        content, _ = await reading.communicate()
        assert b"COPY public.loop_tasks" in content  # it is readable, and holds the rest

    assert wrapped
    assert not any(key in content or key.hex().encode() in content for key in wrapped)
    assert file.stat().st_mode & 0o077 == 0
    assert (tmp_path / KEYS).stat().st_mode & 0o077 == 0
