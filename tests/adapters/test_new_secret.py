"""A new secret: everything opens and is found before, during and after the change."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from sqlalchemy import LargeBinary, func, select

from services.loop.tasks.handlers.search import asked_for
from services.loop.tasks.store.search import tasks_with
from services.notify.channels.capture import CaptureChannel
from services.notify.channels.message import Mail
from shared.db import dead_letter
from shared.db.base import metadata
from shared.db.dead_letter import Undeliverable
from shared.db.engine import Engines
from shared.db.transaction import Database
from shared.errors import Misconfigured
from shared.identity import second_factor
from shared.identity.person_keys import PersonKeys
from shared.identity.rewrapping import REGISTER, Rewrapped, SealedColumn, rewrap_some
from shared.identity.secret import forget_former, is_being_replaced, verify_secret
from shared.identity.tables import audit, installation, person_keys, person_requests
from shared.sealing import LASTING, Keyring
from tests.fakes import ManualClock
from tests.plumbing import load_tables
from tests.staff import staff
from tests.whole_house import WholeHouse, open_house

OLD = "the secret of the first years, long enough"
NEW = "the secret that takes its place, as long"
ANSWER = {
    "external_id": "A-1",
    "score": 2,
    "comment": "The courier was late",
    "customer": {"id": "C-1", "email": "maya@example.org"},
}
HOOK = {"url": "https://hooks.example.org/x"}
ONCE = {"Idempotency-Key": "once"}


def sealed_columns() -> list[SealedColumn]:
    """Return what the shared tables and every service declare as sealed."""
    load_tables()
    own: list[SealedColumn] = []
    for name, module in sorted(sys.modules.items()):
        if name.startswith("services.") and name.endswith(".tables"):
            own += getattr(module, "SEALED", ())
    return [*REGISTER, *own]


@pytest.fixture
def database(engines: Engines) -> Database:
    """A database of no service."""
    return Database(engines)


@asynccontextmanager
async def serving(
    engines: Engines, clock: ManualClock, keyring: Keyring
) -> AsyncIterator[WholeHouse]:
    """Start as a process does."""
    async with Database(engines).transaction() as tx:
        await verify_secret(tx, keyring, clock.now())
    async with open_house(engines, clock, keyring) as house:
        yield house


async def furnish(house: WholeHouse) -> None:
    """Have something sealed in every column that is under the installation's key."""
    async with house.client() as client:
        for path, body, status in (
            ("/v1/responses", ANSWER, 202),
            ("/v1/webhooks", HOOK, 201),
            ("/v1/departments", {"name": "Doors"}, 201),
            ("/v1/sources/crm/secrets", {"secret": "of the sender"}, 201),
            ("/v1/responses", {"external_id": "A-2", "score": "many"}, 422),
        ):
            answer = await client.post(path, json=body, headers=ONCE if status == 201 else {})
            assert answer.status_code == status, (path, answer.text)
        other = {**ANSWER, "external_id": "A-3", "comment": "Once more"}
        assert (await client.post("/v1/responses", json=other, headers=ONCE)).is_success
    await house.settle()
    async with house.database.transaction() as tx:
        subject = house.keyring.seal("person-requests", b"{}", context="prq_1")
        await tx.execute(
            tx.insert(person_requests).values(
                id="prq_1",
                kind="export",
                reason="request",
                state="searching",
                asked_at=house.clock.now(),
                asked_by="stf_1",
                sealed_subject=subject,
            )
        )
    ann = await staff(house.database, house.clock.now())
    async with house.database.transaction() as tx:
        await second_factor.begin(tx, house.keyring, ann.id, now=house.clock.now())
    for service in house.services:
        letter = Undeliverable(
            topic="closed-loop.tasks",
            partition=1,
            offset=10_000_000,
            key="per_1",
            body=b"unreadable",
            headers={},
            error="KeyError",
            digest="0" * 64,
            tries=1,
            event_id=None,
            event_type=None,
        )
        resources: Any = service.resources
        async with resources.database.transaction() as tx:
            await dead_letter.park(
                tx,
                [letter],
                consumer=service.name,
                keyring=house.keyring,
                now=house.clock.now(),
            )
        if service.name == "notify":
            mails = CaptureChannel(resources.database, keyring=house.keyring, clock=house.clock)
            await mails.send(
                Mail(
                    delivery_id="dlv_1",
                    sender="us@example.org",
                    return_path="us@example.org",
                    recipient="ana@example.org",
                    subject="A test",
                    raw=b"of nobody",
                )
            )


async def values(house: WholeHouse, column: SealedColumn) -> list[tuple[str, bytes]]:
    """Return the sealed values of a column that are under the installation's key."""
    table = column.table
    sealed = table.c[column.column]
    query = select(table).where(func.length(sealed) > 0)
    if column.unless is not None:
        query = query.where(table.c[column.unless].is_(None))
    async with house.database.reading() as view:
        rows = [row._asdict() for row in await view.all(query)]
    return [
        ("/".join(str(row[name]) for name in column.context), row[column.column])
        for row in rows
    ]


async def prove_that_all_is_found(house: WholeHouse) -> None:
    """Open every column; find by ref, natural key, Idempotency-Key and word."""
    for column in sealed_columns():
        found = await values(house, column)
        assert found, f"furnish the house with {column.table.name}.{column.column}"
        for context, sealed in found:
            house.keyring.open(column.purpose, sealed, context=context)

    async with house.client() as client:
        again = await client.post("/v1/responses", json=ANSWER)
        hook = await client.post("/v1/webhooks", json=HOOK, headers=ONCE)
        secret = await client.post(
            "/v1/sources/crm/secrets", json={"secret": "of the sender"}, headers=ONCE
        )
        tasks = (await client.get("/v1/tasks")).json()["data"]
        task = (await client.get(f"/v1/tasks/{tasks[0]['id']}")).json()
    assert again.json()["duplicate"] is True
    assert hook.headers["idempotency-replayed"] == "true"
    assert secret.headers["idempotency-replayed"] == "true"
    assert task["customer"]["email"] == "maya@example.org"
    ref = PersonKeys(house.keyring).ref("crm", "C-1")
    (words,) = asked_for(house.keyring, "courier")
    async with house.database.reading() as view:
        keys = await view.all(select(person_keys.c.ref))
        found_by_word = await view.all(tasks_with(words))
    assert [row.ref for row in keys if row.ref.startswith("per_")] == [ref]
    assert {row.task_id for row in found_by_word} == {tasks[0]["id"]}


async def walk(
    house: WholeHouse, keyring: Keyring, *, most: int = 1, columns: int | None = None
) -> list[Rewrapped]:
    """Bring columns under the secret of today, in steps as small as can be."""
    steps = []
    for column in sealed_columns()[:columns]:
        after: tuple[Any, ...] | None = None
        while True:
            async with house.database.transaction() as tx:
                step = await rewrap_some(tx, column, keyring, after=after, most=most)
            steps.append(step)
            if step.last is None:
                break
            after = step.last
    return steps


async def test_all_is_found_before_during_and_after(
    engines: Engines, clock: ManualClock
) -> None:
    async with serving(engines, clock, Keyring(OLD)) as house:
        await furnish(house)
        await prove_that_all_is_found(house)

    both = Keyring(NEW, OLD)
    async with serving(engines, clock, both) as house:
        await prove_that_all_is_found(house)
        await walk(house, both, columns=3)  # and there the power goes
        await prove_that_all_is_found(house)
        steps = await walk(house, both)
        again = await walk(house, both)
        await prove_that_all_is_found(house)
        async with house.database.transaction() as tx:
            await forget_former(tx)
    assert sum(step.kept for step in steps) >= 1
    assert sum(step.rewrapped for step in steps) >= len(sealed_columns()) - 3
    assert sum(step.rewrapped + step.unreadable for step in again) == 0

    async with serving(engines, clock, Keyring(NEW)) as house:
        await prove_that_all_is_found(house)
        async with house.database.reading() as view:
            trail = [row.action for row in await view.all(select(audit.c.action))]
    assert "secret.replaced" in trail
    with pytest.raises(Misconfigured):
        async with serving(engines, clock, Keyring(OLD)):
            pass


async def test_the_former_secret_is_asked_for_until_nothing_needs_it(
    database: Database, clock: ManualClock
) -> None:
    async def start(keyring: Keyring, *, adopt: bool = True) -> None:
        async with database.transaction() as tx:
            await verify_secret(tx, keyring, clock.now(), adopt=adopt)

    await start(Keyring(OLD))
    with pytest.raises(Misconfigured, match="does not know the new"):
        await start(Keyring(NEW, OLD), adopt=False)
    await start(Keyring(NEW, OLD))
    await start(Keyring(NEW, OLD), adopt=False)
    with pytest.raises(Misconfigured, match="secret rewrap"):
        await start(Keyring(NEW))
    with pytest.raises(Misconfigured, match="secret rewrap"):
        await start(Keyring(f"{NEW} again", NEW))
    async with database.transaction() as tx:
        assert await is_being_replaced(tx)
        await forget_former(tx)

    await start(Keyring(NEW))


async def test_processes_may_take_the_new_secret_one_after_the_other(
    database: Database, clock: ManualClock
) -> None:
    """First every process knows both and seals under the old one, then under the new one."""
    digests = set()
    for keyring in (
        Keyring(OLD),
        Keyring(OLD, NEW),
        Keyring(NEW, OLD),
        Keyring(OLD, NEW),  # one that had not been changed over starts again
        Keyring(NEW, OLD),
    ):
        async with database.transaction() as tx:
            await verify_secret(tx, keyring, clock.now())
        digests.add(tuple(keyring.macs(purpose, "x") for purpose in sorted(LASTING)))

    assert digests == {tuple(Keyring(OLD).macs(purpose, "x") for purpose in sorted(LASTING))}


async def test_what_was_begun_under_an_earlier_version_keeps_its_digests(
    database: Database, clock: ManualClock
) -> None:
    """Its secret is changed by the very start that brings the lasting keys."""
    async with database.transaction() as tx:
        await verify_secret(tx, Keyring(OLD), clock.now())
        await tx.execute(installation.delete().where(installation.c.name == "lasting-keys"))
    before = Keyring(OLD).mac("person-refs", "crm", "C-1")

    keyring = Keyring(NEW, OLD)
    async with database.transaction() as tx:
        await verify_secret(tx, keyring, clock.now())

    assert keyring.macs("person-refs", "crm", "C-1") == (before,)
    assert keyring.mac("links", "x") != Keyring(OLD).mac("links", "x")


async def test_what_no_secret_opens_is_counted_and_left(
    database: Database, clock: ManualClock
) -> None:
    keys = PersonKeys(Keyring("a third one that nobody remembers any more"))
    async with database.transaction() as tx:
        await keys.for_sealing(tx, ["per_1"], now=clock.now())
        step = await rewrap_some(tx, REGISTER[0], Keyring(NEW, OLD), after=None, most=10)

    assert (step.rewrapped, step.kept, step.unreadable, step.last) == (0, 0, 1, None)


def test_every_sealed_column_is_declared() -> None:
    """Bytes that are sealed are under the installation's key: words of persons are texts."""
    declared = {(one.table.name, one.column) for one in sealed_columns()}
    forgotten = [
        f"{table.name}.{column.name}"
        for table in metadata.sorted_tables
        for column in table.columns
        if column.name.startswith(("sealed_", "wrapped_"))
        and isinstance(column.type, LargeBinary)
        and (table.name, column.name) not in declared
    ]

    assert forgotten == []
