"""Notify as it is composed: from the bus to the captured mail, and back onto the bus."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from pydantic import SecretStr

from services.notify import store
from services.notify.service import build
from shared.bus.embedded import EmbeddedBus
from shared.bus.ports import Record
from shared.db.transaction import Database
from shared.errors import Misconfigured
from shared.events import topics
from shared.events.envelope import decode
from shared.identity.person_keys import PersonKeys
from shared.sealing import Keyring
from shared.service import Kit
from shared.settings import Settings
from shared.supervisor import settle
from tests.fakes import ManualClock
from tests.notices import House


async def test_an_opened_task_on_the_bus_becomes_a_captured_mail_and_a_verdict_on_the_bus(
    database_of: Callable[[str], Database],
    clock: ManualClock,
    keyring: Keyring,
    person_keys: PersonKeys,
) -> None:
    house = House(
        database=database_of("notify"), clock=clock, keyring=keyring, person_keys=person_keys
    )
    await house.prepare()
    bus = EmbeddedBus(database_of("shared"), clock)
    await bus.create_topics(topics.ALL)
    service = build(
        Kit(
            settings=Settings(),
            clock=clock,
            database=house.database,
            bus=bus,
            keyring=keyring,
            person_keys=person_keys,
        )
    )
    event = await house.event()
    publisher = await bus.publisher()
    record = Record(topic=topics.TASKS, key=event.key, value=event.envelope.encode())

    assert await publisher.publish([record, record]) == [None, None]
    await settle(service.workers)

    async with house.database.reading() as view:
        (mail,) = await store.list_captured(view, limit=10)
    assert mail.subject == "4/10 from Doorstep delivery, due today 10:00"
    listener = await bus.subscribe(group="test", topics=[topics.ALERTS])
    (verdict,) = await listener.poll(most=10, wait=timedelta(0))
    assert decode(verdict.value).type == "alert.delivered.v1"
    assert verdict.key == event.key
    for worker in service.workers:
        await worker.close()
    await listener.close()
    await bus.close()


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        (Settings(mail_from="nobody"), "CLOSED_LOOP_MAIL_FROM"),
        (Settings(smtp_url=SecretStr("http://mail.example.org")), "CLOSED_LOOP_SMTP_URL"),
    ],
    ids=["sender", "server"],
)
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_an_unusable_setting_stops_the_start_with_its_name(
    database_of: Callable[[str], Database],
    clock: ManualClock,
    keyring: Keyring,
    person_keys: PersonKeys,
    settings: Settings,
    named: str,
) -> None:
    kit = Kit(
        settings=settings,
        clock=clock,
        database=database_of("notify"),
        bus=EmbeddedBus(database_of("shared"), clock),
        keyring=keyring,
        person_keys=person_keys,
    )

    with pytest.raises(Misconfigured, match=named):
        build(kit)
