"""Alerts that nobody can be told: they are seen, and told once there is somebody."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta

import pytest
import pytest_asyncio
from structlog.testing import capture_logs

from services.notify import store
from services.notify.domain.deliveries import Channel, State
from services.notify.handlers.endpoints import resend
from services.notify.store import Delivery
from services.notify.upkeep import Upkeep
from shared.db.transaction import Database
from shared.errors import Conflict
from shared.events.loop import OwnerRef, TaskClosed, TaskDueSoon
from shared.identity.audit import SYSTEM
from shared.identity.people import create_staff
from shared.identity.person_keys import PersonKeys
from shared.identity.principal import Role
from shared.identity.teams import add_member, update_team
from shared.sealing import Keyring
from tests.fakes import ManualClock
from tests.notices import WORDS, House

CARE = "team_customer_care"
HELD = (State.HELD, "nobody_to_tell")


class Deserted(House):
    """An installation in which a team without an address keeps the promises."""

    async def team_address(self, email: str) -> None:
        async with self.database.transaction() as tx:
            await update_team(tx, CARE, email=email, now=self.clock.now())

    async def looks_after(self) -> bool:
        upkeep = Upkeep(self.database, self.clock, keyring=self.keyring, wake=lambda: None)
        return await upkeep.step()

    async def mails(self) -> list[Delivery]:
        return list(await self.deliveries(Channel.EMAIL))


@pytest_asyncio.fixture
async def house(
    database_of: Callable[[str], Database],
    clock: ManualClock,
    keyring: Keyring,
    person_keys: PersonKeys,
) -> Deserted:
    made = Deserted(database_of("notify"), clock, keyring, person_keys)
    await made.prepare()
    await made.team_address("")
    return made


async def test_an_alert_that_nobody_can_be_told_is_held_and_seen(house: Deserted) -> None:
    with capture_logs() as logs:
        await house.hear(*[await house.event(task_id=f"tsk_{n}") for n in range(3)])
    await house.dispatch()

    found = await house.mails()
    assert [(one.state, one.reason) for one in found] == [HELD] * 3
    assert {(one.target, one.recipient) for one in found} == {(CARE, None)}
    (line,) = [line for line in logs if line["event"] == "alerts.nobody_to_tell"]
    assert (line["count"], line["owners"]) == (3, [CARE])
    assert not await house.looks_after()
    assert [(one.state, one.reason) for one in await house.mails()] == [HELD] * 3


async def test_it_goes_out_as_soon_as_the_team_has_an_address(house: Deserted) -> None:
    await house.hear(await house.event())
    (before,) = await house.mails()
    house.clock.advance(timedelta(days=1))
    await house.team_address("care@example.org")

    assert await house.looks_after()
    assert not await house.looks_after()
    await house.dispatch()

    (mail,) = house.mail.messages
    assert mail["To"] == "care@example.org"
    body = mail.get_body(("plain",))
    assert body is not None
    assert WORDS in body.get_content()
    (after,) = await house.mails()
    assert (after.id, after.state, after.reason) == (before.id, State.DELIVERED, None)


async def test_every_member_who_joined_meanwhile_is_told_once(house: Deserted) -> None:
    await house.hear(await house.event(), await house.event(TaskDueSoon))
    members = [await house.staff(f"{name}@example.org") for name in ("ana", "ole", "uwe")]
    async with house.database.transaction() as tx:
        for member in members:
            await add_member(tx, CARE, member, now=house.clock.now())

    await asyncio.gather(*[house.looks_after() for _ in range(3)])
    await house.dispatch()
    await house.looks_after()
    await house.dispatch()

    assert sorted(mail["To"] for mail in house.mail.messages) == sorted(
        f"{name}@example.org" for name in ("ana", "ole", "uwe") for _ in range(2)
    )
    assert {one.state for one in await house.mails()} == {State.DELIVERED}


async def test_an_administrator_is_told_what_nobody_else_can_be(house: Deserted) -> None:
    await house.hear(await house.event(owner=OwnerRef(id="stf_gone", kind="person")))
    async with house.database.transaction() as tx:
        ada = await create_staff(
            tx, email="ada@example.org", name="Ada", role=Role.ADMIN, now=house.clock.now()
        )

    assert await house.looks_after()

    (one,) = await house.mails()
    assert (one.target, one.state) == (ada.id, State.DUE)


async def test_what_is_about_a_task_that_is_done_stays_held(house: Deserted) -> None:
    await house.hear(await house.event(), await house.event(task_id="tsk_2"))
    await house.hear(await house.event(TaskClosed, version=5))
    await house.team_address("care@example.org")

    await house.looks_after()
    await house.dispatch()

    assert {one.task_id: (one.state, one.reason) for one in await house.mails()} == {
        "tsk_1": (State.HELD, "too_late"),
        "tsk_2": (State.DELIVERED, None),
    }


async def test_it_cannot_be_sent_by_hand_to_nobody(house: Deserted) -> None:
    await house.hear(await house.event())
    (one,) = await house.mails()

    async with house.database.transaction() as tx:
        with pytest.raises(Conflict, match="has no address"):
            await resend(tx, one.id, notify=house.notify, by=SYSTEM, now=house.clock.now())

    assert [(each.state, each.reason) for each in await house.mails()] == [HELD]


async def test_webhooks_hear_of_it_all_the_same(house: Deserted) -> None:
    await house.webhook()

    await house.hear(await house.event())
    await house.dispatch()

    (call,) = await house.deliveries(Channel.WEBHOOK)
    assert call.state is State.DELIVERED
    async with house.database.reading() as view:
        assert await store.list_deliveries(view, limit=5, state=State.HELD) != []
