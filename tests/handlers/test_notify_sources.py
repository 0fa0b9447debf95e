"""Whoever looks after the sources is told of a silence once, on both databases."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from typing import Any

import pytest_asyncio

from services.notify.domain.deliveries import Channel
from services.notify.schemas import checked_patterns
from shared.bus.consumer import Arrived
from shared.db.engine import Engines
from shared.db.transaction import Database
from shared.events.envelope import Event, decode, read, wrap
from shared.events.ingest import SourceResumed, SourceSilent
from shared.events.registry import EVENTS
from shared.identity.people import disable_staff
from shared.identity.person_keys import PersonKeys
from shared.identity.principal import Role
from shared.sealing import Keyring
from tests.fakes import ManualClock
from tests.notices import House
from tests.staff import staff
from tests.whole_house import open_house

DAY = timedelta(days=1)


@pytest_asyncio.fixture
async def house(
    database_of: Callable[[str], Database],
    clock: ManualClock,
    keyring: Keyring,
    person_keys: PersonKeys,
) -> AsyncIterator[House]:
    opened = House(database_of("notify"), clock, keyring, person_keys)
    await opened.prepare()
    yield opened


def arrived(event: Event, event_id: str, clock: ManualClock) -> Arrived:
    envelope = decode(
        wrap(event, event_id=event_id, at=clock.now(), correlation_id="req_1").encode()
    )
    return Arrived(envelope=envelope, event=read(envelope, EVENTS[envelope.type]), key="crm")


def silent(clock: ManualClock, **members: Any) -> Arrived:
    since = clock.now() - DAY
    event = SourceSilent(
        **{
            "source": "Web shop",
            "silent_since": since,
            "silent_after_hours": 24,
            "last_response_at": since,
            **members,
        }
    )
    return arrived(event, "evt_silent", clock)


async def keep_house(house: House) -> None:
    """Have an administrator, a developer, somebody disabled, and somebody else."""
    now = house.clock.now()
    for role, email in (
        (Role.ADMIN, "ada@example.org"),
        (Role.DEVELOPER, "dev@example.org"),
        (Role.ADMIN, "gone@example.org"),
        (Role.LEAD, "lee@example.org"),
    ):
        person = await staff(
            house.database, now, email, role=role, language="de" if "dev" in email else "en"
        )
        if "gone" in email:
            async with house.database.transaction() as tx:
                await disable_staff(tx, person.id, now=now)


async def test_administrators_and_developers_get_one_mail_each(house: House) -> None:
    await keep_house(house)

    for _ in range(2):  # the bus may bring it again
        await house.hear(silent(house.clock))
    await house.dispatch()

    told = {one["To"]: one for one in house.mail.messages}
    assert sorted(told) == ["ada@example.org", "dev@example.org"]
    assert len(house.mail.mails) == 2
    ada = told["ada@example.org"]
    assert ada["Subject"] == "“Web shop” has sent nothing since yesterday 09:00"
    text = ada.get_body(("plain",))
    assert text is not None
    assert "https://loop.example.org/settings/sources/Web%20shop" in text.get_content()
    assert "nichts gesendet" in told["dev@example.org"]["Subject"]
    # What came of the mails is announced as of any other, about no task.
    assert [one["data"]["event_type"] for one in await house.announced()] == [
        "source.silent"
    ] * 2


async def test_webhooks_that_ask_for_it_are_told_of_silence_and_return(house: House) -> None:
    assert checked_patterns(["source.*"]) == ("source.*",)
    await house.webhook(events=("source.*",))
    await house.webhook(url="https://crm.example.com/other", events=("task.*",))

    await house.hear(silent(house.clock))
    await house.dispatch()
    house.clock.advance(timedelta(hours=1))
    resumed = SourceResumed(
        source="Web shop",
        silent_since=house.clock.now() - DAY,
        last_response_at=house.clock.now(),
    )
    await house.hear(arrived(resumed, "evt_resumed", house.clock))
    await house.dispatch()

    assert house.mail.mails == []
    assert {call.url for call in house.posts.calls} == {"https://crm.example.com/hook"}
    bodies = [json.loads(call.body) for call in house.posts.calls]
    assert [body["type"] for body in bodies] == ["source.silent", "source.resumed"]
    assert bodies[0]["data"] == {
        "source": "Web shop",
        "silent_since": "2026-03-01T09:00:00Z",
        "silent_after_hours": 24,
        "last_response_at": "2026-03-01T09:00:00Z",
        "links": {
            "source": "https://loop.example.org/settings/sources/Web%20shop",
            "api": "https://loop.example.org/v1/sources/Web%20shop",
        },
    }


async def test_the_return_of_a_source_is_worth_no_mail(house: House) -> None:
    await keep_house(house)
    resumed = SourceResumed(
        source="crm", silent_since=house.clock.now() - DAY, last_response_at=house.clock.now()
    )

    await house.hear(arrived(resumed, "evt_resumed", house.clock))

    assert await house.deliveries() == []


async def test_events_of_tasks_and_sources_come_in_one_poll(house: House) -> None:
    await keep_house(house)

    await house.hear(await house.event(), silent(house.clock, last_response_at=None))

    mails = await house.deliveries(Channel.EMAIL)
    assert sorted(one.purpose for one in mails) == [
        "source_silent",
        "source_silent",
        "task_opened",
    ]


async def test_from_the_setting_to_the_mail_and_the_captured_words(
    engines: Engines, clock: ManualClock, keyring: Keyring
) -> None:
    """The whole way, over the bus: set, silent, told once, and told that it is over."""
    settings = {"bootstrap_admin": f"ada@example.org:{'long enough ' * 3}"}
    async with open_house(engines, clock, keyring, **settings) as house, house.client() as one:
        answer = await one.post("/v1/responses", json={"external_id": "A-1", "score": 9})
        assert answer.status_code == 202
        await one.put("/v1/sources/crm", json={"silent_after_hours": 24})
        await house.settle()
        clock.advance(DAY + timedelta(minutes=1))
        for _ in range(2):
            await house.settle()
            clock.advance(timedelta(minutes=1))
        await one.post("/v1/responses", json={"external_id": "A-2", "score": 9})
        await house.settle()

        told = (await one.get("/v1/deliveries?state=delivered")).json()["data"]
        source = (await one.get("/v1/sources/crm")).json()

    assert [(each["purpose"], each["event_type"]) for each in told] == [
        ("source_silent", "source.silent")
    ]
    assert source["silent_since"] is None
