"""A customer is erased while their task is open: all goes on, and shows nothing of them."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import timedelta
from email.message import EmailMessage

import pytest_asyncio

from services.loop.tasks.domain.acts import AddNote, Close
from services.loop.tasks.domain.task import FollowUpTask
from services.notify.domain.deliveries import State
from shared.db.transaction import Database
from shared.identity.erasure import erase_person
from shared.identity.person_keys import PersonKeys
from shared.sealing import Keyring
from tests.fakes import ManualClock
from tests.follow_up import REACHED
from tests.notices import House
from tests.shop import Shop

COMMENT = "Waited forty minutes with my daughter."
BLOCK = {
    "name": "Maya Lindqvist",
    "phone": "+46 70 000 00 00",
    "email": "maya@example.com",
    "company": "Lindqvist Bakery",
}
NOTE = "She mentioned her illness."
NOTHING_OF = (COMMENT, "forty", "daughter", "illness", "c-maya", *BLOCK.values())


async def shown_of(shop: Shop, task: FollowUpTask) -> Mapping[str, str]:
    """Return everything that people and machines are shown of the task."""
    paths = ("/", "/queue.csv", f"/tasks/{task.id}", "/v1/tasks", f"/v1/tasks/{task.id}")
    found = {}
    async with shop.browsing("ana") as browser:
        for path in paths:
            answer = await browser.get(path)
            assert answer.status_code == 200, (path, answer.text)
            found[path] = answer.text
    return found


@pytest_asyncio.fixture
async def shop(
    database_of: Callable[[str], Database],
    clock: ManualClock,
    keyring: Keyring,
    person_keys: PersonKeys,
) -> AsyncIterator[Shop]:
    opened = Shop(
        database=database_of("loop"),
        clock=clock,
        keyring=keyring,
        person_keys=person_keys,
        house=House(database_of("notify"), clock, keyring, person_keys),
    )
    await opened.open_for_business()
    yield opened


def words_of(mail: EmailMessage) -> str:
    """Return a mail's head and all its texts, decoded."""
    texts = [
        part.get_content() for part in mail.walk() if part.get_content_maintype() == "text"
    ]
    return "\n".join([*map(str, mail.items()), *texts])


def personal_in(text: str) -> list[str]:
    """Return what a text still says of the customer."""
    return [word for word in NOTHING_OF if word in text]


async def test_everything_goes_on_and_shows_nothing_of_the_customer(shop: Shop) -> None:
    await shop.house.webhook(detail="full")
    task = await shop.hears(COMMENT, customer="c-maya", block=BLOCK)
    await shop.act(task, AddNote(text=NOTE))
    assert personal_in((await shown_of(shop, task))[f"/tasks/{task.id}"])

    async with shop.database.transaction() as tx:
        await erase_person(tx, task.person_ref, shop.clock.now())
    await shop.act(task, REACHED)
    for _ in range(2):  # the reminder, then the broken promise
        shop.clock.advance(timedelta(hours=23))
        await shop.ring()
        await shop.tell()
    shown = await shown_of(shop, task)
    await shop.act(task, Close(reason="not_needed", note="erased"))
    await shop.tell()
    shown_ended = await shown_of(shop, task)

    for texts in (shown, shown_ended):
        assert {path: said for path, text in texts.items() if (said := personal_in(text))} == {}
    assert json.loads(shown[f"/v1/tasks/{task.id}"])["flags"] == [
        "overdue",
        "escalated",
        "erased",
    ]

    mails = [words_of(mail) for mail in shop.house.mail.messages]
    # Opened, due soon and overdue to the team; the two who are drawn in are told as well.
    assert len(mails) == 5
    assert [personal_in(mail) for mail in mails] == [[]] * 5
    # One of them reads German.
    any_of = ("data have been erased", "Daten der Kundin oder des Kunden wurden gelöscht")
    assert [mail for mail in mails if not any(words in mail for words in any_of)] == []
    calls = [call.body.decode() for call in shop.house.posts.calls]
    # Two that are due at once go out together, in no order that anybody promised.
    assert sorted(json.loads(body)["type"] for body in calls) == [
        "task.closed",
        "task.contacted",
        "task.due-soon",
        "task.escalated",
        "task.escalated",
        "task.opened",
        "task.overdue",
    ]
    assert [personal_in(body) for body in calls] == [[]] * 7
    assert {one.state for one in await shop.house.deliveries()} == {State.DELIVERED}
