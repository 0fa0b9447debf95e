"""A task whose mail reached nobody says so, and who was told instead: page and interface."""

from __future__ import annotations

import re
from collections.abc import Mapping
from html import unescape
from typing import Any

import httpx

from services.loop.listeners import Hearing
from services.loop.resources import Loop
from services.loop.tasks import store as tasks
from services.notify import store
from shared.bus.consumer import Arrived
from shared.db.engine import Engines
from shared.db.transaction import Database
from shared.events.envelope import decode, read, wrap
from shared.events.notify import AlertUndeliverable
from shared.identity import sessions
from shared.identity.groups import DEFAULT_TEAM
from shared.identity.people import create_staff
from shared.identity.principal import Role, Scope
from shared.identity.teams import update_team
from shared.sealing import Keyring
from shared.web.auth import session_cookie
from tests.fakes import ManualClock
from tests.whole_house import WholeHouse, open_house

DETRACTOR = {"external_id": "A-1", "score": 1, "comment": "Late.", "customer": {"id": "c-1"}}


async def condemn(house: WholeHouse, *addresses: str) -> None:
    """Let these mailboxes be known to be dead."""
    async with house.database.transaction() as tx:
        for address in addresses:
            await store.suppress(
                tx,
                address,
                reason="address_dead",
                code=550,
                delivery_id="dlv_0",
                now=house.clock.now(),
            )


async def task_of(house: WholeHouse, client: httpx.AsyncClient) -> Mapping[str, Any]:
    """Post an answer of an unhappy customer, have everything handled, return its task."""
    headers = await house.key(*Scope, source="crm")
    taken = await client.post("/v1/responses", json=DETRACTOR, headers=headers)
    assert taken.status_code == 202, taken.text
    await house.settle()
    listed = await client.get("/v1/tasks", params={"response_id": taken.json()["id"]})
    (task,) = listed.json()["data"]
    shown: Mapping[str, Any] = (await client.get(f"/v1/tasks/{task['id']}")).json()
    return shown


async def history_on_the_page(house: WholeHouse, who: str, task_id: str) -> str:
    """Return the words of the history as a member of staff sees them."""
    async with house.database.transaction() as tx:
        name, token = (
            session_cookie(house.settings),
            await sessions.start(tx, who, now=house.clock.now()),
        )
    async with house.client(headers={}, cookies={name: token}) as client:
        page = await client.get(f"/tasks/{task_id}")
    assert page.status_code == 200
    part = page.text[page.text.index('class="history"') :]
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", part)).split())


async def employ(house: WholeHouse, name: str, role: Role = Role.AGENT) -> str:
    async with house.database.transaction() as tx:
        person = await create_staff(
            tx,
            email=f"{name.lower()}@example.org",
            name=name,
            role=role,
            now=house.clock.now(),
            team_ids=[DEFAULT_TEAM] if role is Role.AGENT else [],
        )
        await update_team(tx, DEFAULT_TEAM, email="care@example.org", now=house.clock.now())
    return person.id


async def test_the_history_says_who_was_not_reached_and_who_was_told_instead(
    engines: Engines, clock: ManualClock, keyring: Keyring
) -> None:
    async with open_house(engines, clock, keyring) as house, house.client() as client:
        ana = await employ(house, "Ana")
        await condemn(house, "care@example.org")

        task = await task_of(house, client)

        (line,) = [one for one in task["history"] if one["act"] == "undeliverable"]
        assert line["detail"] == {
            "alert": "task.opened",
            "reason": "address_suppressed",
            "target": DEFAULT_TEAM,
            "told": [ana],
        }
        assert line["version"] == task["version"]
        said = await history_on_the_page(house, ana, task["id"])
        assert "Mail not delivered · to Customer care · told instead: Ana" in said
        assert "example.org" not in said


async def test_the_history_says_so_where_nobody_was_left_to_be_told(
    engines: Engines, clock: ManualClock, keyring: Keyring
) -> None:
    async with open_house(engines, clock, keyring) as house, house.client() as client:
        ada = await employ(house, "Ada", Role.ADMIN)
        await condemn(house, "care@example.org", "ada@example.org")

        task = await task_of(house, client)

        (line,) = [one for one in task["history"] if one["act"] == "undeliverable"]
        assert line["detail"]["told"] == []
        said = await history_on_the_page(house, ada, task["id"])
        assert "Mail not delivered · to Customer care · nobody could be told instead" in said


async def test_each_task_of_an_import_says_that_its_owner_was_not_reached(
    engines: Engines, clock: ManualClock, keyring: Keyring
) -> None:
    async with open_house(engines, clock, keyring) as house, house.client() as client:
        await employ(house, "Ana")
        task = await task_of(house, client)
        loop = loop_of(house)

        together = alert(clock, task_ids=[task["id"], "tsk_of_nobody"], import_id="imp_1")
        await hear(loop.database, Hearing(loop), together)

        shown = (await client.get(f"/v1/tasks/{task['id']}")).json()
        assert [one["act"] for one in shown["history"]] == ["open", "undeliverable"]


async def test_a_question_that_did_not_reach_the_customer_is_said_to_be_one(
    engines: Engines, clock: ManualClock, keyring: Keyring
) -> None:
    """Nobody is told in a customer's place, and that is nothing to be alarmed of."""
    async with open_house(engines, clock, keyring) as house, house.client() as client:
        ana = await employ(house, "Ana")
        task = await task_of(house, client)
        loop = loop_of(house)
        async with loop.database.reading() as view:
            found = await tasks.find(view, task["id"])
        assert found is not None

        question = alert(clock, task_id=task["id"], target=found.person_ref)
        await hear(loop.database, Hearing(loop), question)

        said = await history_on_the_page(house, ana, task["id"])
        assert "Mail not delivered · to the customer" in said
        assert "instead" not in said


async def test_only_mails_about_a_task_that_is_known_are_noted(
    engines: Engines, clock: ManualClock, keyring: Keyring
) -> None:
    """Calls to programs, mails about none of our tasks and strangers' events change nothing."""
    async with open_house(engines, clock, keyring) as house, house.client() as client:
        await employ(house, "Ana")
        task = await task_of(house, client)
        loop = loop_of(house)

        await hear(
            loop.database,
            Hearing(loop),
            alert(clock, channel="webhook", task_id=task["id"]),
            alert(clock, task_id=None),
            alert(clock, task_id="tsk_of_nobody"),
        )

        assert (await client.get(f"/v1/tasks/{task['id']}")).json() == task


def loop_of(house: WholeHouse) -> Loop:
    (loop,) = [service.resources for service in house.services if service.name == "loop"]
    assert isinstance(loop, Loop)
    return loop


def alert(clock: ManualClock, **members: Any) -> Arrived:
    event = AlertUndeliverable(
        **{
            "delivery_id": "dlv_1",
            "channel": "email",
            "event_type": "task.opened",
            "event_id": "evt_1",
            "attempts": 1,
            "at": clock.now(),
            "reason": "address_dead",
            **members,
        }
    )
    envelope = decode(wrap(event, event_id="evt_2", at=clock.now()).encode())
    return Arrived(envelope=envelope, event=read(envelope, AlertUndeliverable), key="k")


async def hear(database: Database, hearing: Hearing, *arrived: Arrived) -> None:
    async with database.transaction() as tx:
        await hearing(tx, arrived, arrived[0].event.at)  # type: ignore[attr-defined] # an alert's
