"""What goes besides customers' data: deliveries, settled dead letters, lines of the trail."""

from __future__ import annotations

import importlib
from collections.abc import AsyncIterator, Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy import insert, select, update

from services.notify.domain.deliveries import NOBODY_TO_TELL, Channel, State
from services.notify.store import NewDelivery, add_deliveries
from services.notify.tables import attempts, captured_mails, deliveries
from shared.bus.embedded import EmbeddedBus
from shared.db import dead_letter
from shared.db.dead_letter import LetterState, Undeliverable
from shared.db.engine import Engines
from shared.db.transaction import Database
from shared.housekeeping import Housekeeping
from shared.identity import audit
from shared.identity.audit import SYSTEM
from shared.identity.audit_seals import AuditSealing
from shared.identity.erasure import FORGOTTEN
from shared.identity.retention import Policy, note_policy
from shared.identity.tables import audit as lines
from shared.sealing import Keyring
from tests.fakes import ManualClock
from tests.staff import audited
from tests.whole_house import WholeHouse, open_house

PATH = "/v1/retention"
HOUR = timedelta(hours=1, seconds=1)
LONG_AGO = timedelta(days=4 * 365)


@pytest_asyncio.fixture
async def house(
    engines: Engines, clock: ManualClock, keyring: Keyring
) -> AsyncIterator[WholeHouse]:
    async with open_house(engines, clock, keyring) as opened:
        yield opened


def database_of(engines: Engines, role: str) -> Database:
    return Database(engines, importlib.import_module(f"services.{role}.tables").PLUMBING)


def keepers(house: WholeHouse, engines: Engines) -> list[Housekeeping]:
    """Return the housekeeping of every service, as it is composed."""
    return [
        Housekeeping(
            database=database_of(engines, service.name),
            bus=EmbeddedBus(house.database, house.clock),
            clock=house.clock,
            expiring=service.expiring,
        )
        for service in house.services
    ]


async def an_hour(house: WholeHouse, engines: Engines) -> None:
    """Have the hour come and every service keep house."""
    all_of_them = keepers(house, engines)
    house.clock.advance(HOUR)
    for one in all_of_them:
        while await one.step():
            pass


async def set_periods(house: WholeHouse, **periods: Any) -> None:
    async with house.database.transaction() as tx:
        await note_policy(tx, Policy(version=2, **periods), now=house.clock.now())


async def delivery(house: WholeHouse, name: str, *, at: datetime, **values: Any) -> str:
    """Make a delivery that ended, but for what is said otherwise."""
    new = NewDelivery(
        event_id=name,
        event_type="task.opened",
        channel=values.pop("channel", Channel.EMAIL),
        target="stf_1",
        purpose="event",
        payload=b"{}",
        person_ref="cus_1",
    )
    async with house.database.transaction() as tx:
        (made,) = await add_deliveries(tx, [new], now=at)
        ended = {"state": State.DELIVERED, "reason": None, "settled_at": at, **values}
        await tx.execute(update(deliveries).where(deliveries.c.id == made).values(**ended))
        await tx.execute(
            insert(attempts).values(
                delivery_id=made,
                n=1,
                started_at=at,
                milliseconds=1,
                result="accepted",
                reason="accepted",
                reply="",
            )
        )
        await tx.execute(
            insert(captured_mails).values(
                id=f"cap_{name}",
                delivery_id=made,
                recipient_address="ada@example.org",
                subject="A task",
                at=at,
                sealed_message=b"x",
            )
        )
    return made


async def left(house: WholeHouse) -> list[str]:
    """Return which deliveries are left, having looked that nothing else of others is."""
    async with house.database.reading() as view:
        rows = await view.all(select(deliveries.c.id, deliveries.c.event_id))
        ids = {row.id for row in rows}
        for table in (attempts, captured_mails):
            assert {row[0] for row in await view.all(select(table.c.delivery_id))} == ids
    return sorted(row.event_id for row in rows)


async def letters(
    house: WholeHouse, engines: Engines, role: str, settled: Sequence[timedelta | None]
) -> None:
    """Park records, and settle those so long ago of which that is said."""
    now = house.clock.now()
    records = [
        Undeliverable(
            topic="t",
            partition=0,
            offset=n,
            key="k",
            body=b"x",
            headers={},
            error="e",
            digest="d",
            tries=1,
        )
        for n in range(len(settled))
    ]
    async with database_of(engines, role).transaction() as tx:
        await dead_letter.park(tx, records, consumer=role, keyring=house.keyring, now=now)
        table = tx.plumbing.dead_letters
        for n, ago in enumerate(settled):
            if ago is not None:
                await tx.execute(
                    update(table)
                    .where(table.c.offset == n)
                    .values(state=LetterState.DISCARDED, settled_at=now - ago)
                )


async def letters_left(engines: Engines, role: str) -> list[int]:
    database = database_of(engines, role)
    table = database.plumbing.dead_letters
    async with database.reading() as view:
        return [row.offset for row in await view.all(select(table.c.offset).order_by("offset"))]


async def test_old_deliveries_go_with_what_hangs_on_them_and_others_stay(
    house: WholeHouse, engines: Engines
) -> None:
    old, hook = house.clock.now() - LONG_AGO, Channel.WEBHOOK
    await delivery(house, "old", at=old)
    await delivery(house, "old, failed", at=old, state=State.FAILED, reason="tries_used_up")
    await delivery(house, "old, of the erased", at=old, channel=hook, sealed_person=FORGOTTEN)
    await delivery(house, "old, without words", at=old, channel=hook)
    await delivery(house, "old mail with words", at=old, sealed_person="1.x")
    await delivery(house, "due", at=old, state=State.DUE)
    await delivery(house, "nobody to tell", at=old, state=State.HELD, reason=NOBODY_TO_TELL)
    await delivery(house, "words elsewhere", at=old, channel=hook, sealed_person="1.x")
    await delivery(house, "young", at=house.clock.now())

    await an_hour(house, engines)

    assert await left(house) == ["due", "nobody to tell", "words elsewhere", "young"]


async def test_what_is_kept_for_ever_stays(house: WholeHouse, engines: Engines) -> None:
    old = house.clock.now() - LONG_AGO
    await delivery(house, "old", at=old)
    await letters(house, engines, "loop", [LONG_AGO])
    await set_periods(house, deliveries_months=None, dead_letters_days=None)

    await an_hour(house, engines)

    assert await left(house) == ["old"]
    assert await letters_left(engines, "loop") == [0]
    async with house.client() as client:
        seen = (await client.get(PATH)).json()
    assert seen["others"] == {"deliveries": None, "dead_letters": None, "audit": None}


async def test_settled_letters_go_in_every_service_and_what_waits_stays(
    house: WholeHouse, engines: Engines
) -> None:
    for role in ("ingest", "loop", "notify"):
        await letters(house, engines, role, [None, timedelta(days=31), timedelta(days=29)])
    await set_periods(house, dead_letters_days=30)

    await an_hour(house, engines)

    for role in ("ingest", "loop", "notify"):
        assert await letters_left(engines, role) == [0, 2]


async def test_what_will_go_is_counted_by_whoever_holds_it(
    house: WholeHouse, engines: Engines
) -> None:
    month = timedelta(days=30)
    await delivery(house, "soon", at=house.clock.now() - timedelta(days=3 * 365 - 10))
    for role in ("ingest", "notify"):
        await letters(house, engines, role, [timedelta(days=80), timedelta(days=10)])
    async with house.client() as client:
        before = (await client.get(PATH)).json()
        await an_hour(house, engines)
        seen = (await client.get(PATH)).json()
        await client.put(PATH, json={"audit_months": 600, "confirm": True})
        changed = (await client.get(PATH)).json()
        await an_hour(house, engines)
        again = (await client.get(PATH)).json()

    assert before["others"]["deliveries"] is None
    assert (seen["deliveries_months"], seen["dead_letters_days"]) == (36, 90)
    assert seen["audit_months"] is seen["others"]["audit"] is None
    for kind, soon in (("deliveries", 1), ("dead_letters", 2)):
        found = seen["others"][kind]
        assert (found["due"], found["within_30_days"]) == (0, soon), kind
        assert datetime.fromisoformat(found["counted_at"]) > house.clock.now() - month
    # Counted by other periods than those that hold now.
    assert changed["others"]["deliveries"] is None
    assert again["others"]["audit"]["within_30_days"] == 0


async def test_lines_of_the_trail_go_only_where_somebody_said_so(
    house: WholeHouse, engines: Engines
) -> None:
    sealing = AuditSealing(house.database, house.keyring, house.clock)
    for subject in ("a", "b"):
        async with house.database.transaction() as tx:
            now = house.clock.now()
            await audit.record(tx, SYSTEM, "key.revoked", subject, now=now)
        for _ in range(2):
            while await sealing.step():
                pass
            house.clock.advance(timedelta(minutes=1))
    house.clock.advance(timedelta(days=800))
    async with house.database.transaction() as tx:
        await audit.record(tx, SYSTEM, "key.revoked", "c", now=house.clock.now())
    for _ in range(2):
        while await sealing.step():
            pass
        house.clock.advance(timedelta(minutes=1))
    await an_hour(house, engines)
    whole = await subjects(house)
    await set_periods(house, audit_months=24)
    await an_hour(house, engines)

    assert {"a", "b", "c"} <= whole
    assert await subjects(house) & {"a", "b", "c"} == {"c"}
    assert (await audited(house.database)).count("audit.pruned") == 1


async def subjects(house: WholeHouse) -> set[str]:
    async with house.database.reading() as view:
        return {row.subject for row in await view.all(select(lines.c.subject))}


async def test_a_change_names_what_it_changes_and_a_shorter_period_is_asked_for_twice(
    house: WholeHouse,
) -> None:
    async with house.client() as client:
        longer = await client.put(PATH, json={"deliveries_months": 48})
        short = await client.put(PATH, json={"deliveries_months": 6})
        first = await client.put(PATH, json={"audit_months": 24})
        sure = await client.put(
            PATH,
            json={"deliveries_months": 6, "audit_months": 24, "confirm": True},
            headers={"if-match": longer.headers["etag"]},
        )
        nothing = await client.put(PATH, json={})

    assert longer.status_code == 200
    assert (short.status_code, first.status_code) == (409, 409)
    assert "within the hour" in short.json()["detail"]
    assert sure.status_code == 200
    assert (nothing.status_code, nothing.headers["etag"]) == (200, '"3"')
    periods = {name: sure.json()[name] for name in Policy().periods()}
    assert periods == {
        "customers_months": 36,
        "deliveries_months": 6,
        "dead_letters_days": 90,
        "audit_months": 24,
    }
    async with house.database.reading() as view:
        rows = await view.all(
            select(lines.c.detail)
            .where(lines.c.action == "retention.changed")
            .order_by(lines.c.n)
        )
    assert [row.detail for row in rows] == [
        {"deliveries_months": {"from": 36, "to": 48}},
        {
            "deliveries_months": {"from": 48, "to": 6},
            "audit_months": {"from": None, "to": 24},
        },
    ]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("customers_months", 0),
        ("customers_months", 601),
        ("deliveries_months", 5),
        ("dead_letters_days", 29),
        ("dead_letters_days", 3_651),
        ("audit_months", 11),
    ],
)
async def test_a_period_that_is_none_is_refused(
    house: WholeHouse, name: str, value: int
) -> None:
    async with house.client() as client:
        answer = await client.put(PATH, json={name: value, "confirm": True})

    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.json()["errors"]] == [f"/{name}"]
