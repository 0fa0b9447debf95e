"""Tasks of an import are told of together: one mail an owner and kind, never twice."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import pytest_asyncio

from services.notify import store
from services.notify.channels.capture import CaptureChannel, opened
from services.notify.domain.deliveries import Channel, State
from services.notify.handlers.endpoints import resend
from services.notify.listeners import hear_events
from services.notify.store import Delivery
from services.notify.tables import summary_items
from services.notify.upkeep import Upkeep
from shared.bus.consumer import Arrived
from shared.db.transaction import Database
from shared.events.loop import (
    OwnerRef,
    TaskClosed,
    TaskDueSoon,
    TaskOpened,
    TaskOverdue,
    TaskReopened,
)
from shared.identity.audit import SYSTEM
from shared.identity.person_keys import PersonKeys
from shared.identity.teams import add_member, update_team
from shared.sealing import Keyring
from tests.fakes import ManualClock
from tests.notices import LATER, PUBLIC_URL, WORDS, House

CARE = "team_customer_care"
IMPORT = "imp_01jqzv8m3x7f5k2n9r4t6w8y0a"
MINUTE = timedelta(minutes=1)


class Importing(House):
    """Notify while files of responses are taken in."""

    async def opened(self, *numbers: int, kind: type = TaskOpened, **members: Any) -> None:
        """Hear of tasks of the import, in one poll."""
        await self.hear(*[await self.of(number, kind=kind, **members) for number in numbers])

    async def of(self, number: int, *, kind: type = TaskOpened, **members: Any) -> Arrived:
        """Return an event of the import's task with this number."""
        given = {"import_id": IMPORT, **members}
        return await self.event(kind, task_id=f"tsk_{number}", **given)

    async def mails(self) -> list[Delivery]:
        """Return the deliveries by mail."""
        return list(await self.deliveries(Channel.EMAIL))

    def texts(self) -> list[str]:
        """Return the text parts of what was sent."""
        parts = [message.get_body(("plain",)) for message in self.mail.messages]
        return [part.get_content().replace("\r\n", "\n") for part in parts if part is not None]

    def subjects(self) -> list[str]:
        """Return the subjects of what was sent."""
        return [str(message["Subject"]) for message in self.mail.messages]


@pytest_asyncio.fixture
async def house(
    database_of: Callable[[str], Database],
    clock: ManualClock,
    keyring: Keyring,
    person_keys: PersonKeys,
) -> Importing:
    made = Importing(database_of("notify"), clock, keyring, person_keys)
    await made.prepare()
    return made


# ---------------------------------------------------------------- one mail


async def test_hundreds_of_tasks_of_an_import_are_one_mail_to_their_owner(
    house: Importing,
) -> None:
    for start in range(0, 300, 100):
        await house.opened(*range(start, start + 100))
        house.clock.advance(timedelta(seconds=20))

    await house.dispatch()
    assert house.mail.mails == []
    house.clock.advance(MINUTE)
    await house.dispatch()

    assert house.subjects() == ["300 tasks from an import, the first due today 10:00"]
    (one,) = await house.mails()
    assert (one.state, one.target, one.purpose) == (State.DELIVERED, CARE, "tasks_opened")
    assert (one.import_id, one.task_id) == (IMPORT, None)
    (announced,) = await house.announced()
    assert announced["data"]["import_id"] == IMPORT


async def test_many_unhappy_customers_at_once_are_one_mail_to_their_owner(
    house: Importing,
) -> None:
    await house.opened(*range(30), import_id=None, burst="burst_0a1b2c")
    await house.opened(30, import_id=None)
    house.clock.advance(MINUTE)
    await house.dispatch()

    one, many = sorted(house.subjects(), key=len)
    assert many == "30 unhappy customers at once, the first due today 10:00"
    assert "30" not in one
    assert len(await house.mails()) == 2


async def test_the_mail_names_the_first_due_and_no_customer(house: Importing) -> None:
    now = house.clock.now()
    for number in range(8):
        await house.opened(
            number,
            score=number % 3,
            first_contact_due_at=now + timedelta(hours=9 - number // 2),
        )
    house.clock.advance(MINUTE)
    await house.dispatch()

    (text,) = house.texts()
    named = [line for line in text.splitlines() if "/tasks/" in line]
    assert [line.rpartition("_")[2] for line in named] == ["6", "7", "4", "5", "3"]
    assert "0/10 from Doorstep delivery, due today 15:00" in text
    assert "and 3 more in the queue" in text
    assert "https://loop.example.org/\n" in text
    (message,) = house.mail.messages
    for secret in ("Ana", "forty", "+44", WORDS):
        assert secret not in str(message)


@pytest.mark.parametrize(
    ("kind", "subject"),
    [
        (TaskDueSoon, "Reminder: 2 tasks from an import, the first due today 10:00"),
        (TaskOverdue, "Overdue: 2 tasks from an import, the first was due tomorrow 09:00"),
    ],
)
async def test_reminders_of_an_import_are_gathered_too(
    house: Importing, kind: type, subject: str
) -> None:
    late = {"state": "in_progress"} if kind is TaskOverdue else {}
    await house.opened(1, 2, kind=kind, **late)
    house.clock.advance(MINUTE)
    await house.dispatch()

    assert house.subjects() == [subject]


async def test_each_owner_kind_and_import_has_its_own(house: Importing) -> None:
    ole = OwnerRef(id=await house.staff("ole@example.org"), kind="person")
    await house.hear(
        await house.of(1),
        await house.of(2, owner=ole),
        await house.of(3, kind=TaskDueSoon),
        await house.of(4, import_id="imp_other"),
        await house.of(5, import_id=None),
        await house.of(6),
    )
    house.clock.advance(MINUTE)
    await house.dispatch()

    told = sorted((str(one.import_id), one.target, one.purpose) for one in await house.mails())
    assert told == sorted(
        [
            (IMPORT, CARE, "tasks_opened"),
            (IMPORT, ole.id, "tasks_opened"),
            (IMPORT, CARE, "tasks_due_soon"),
            ("imp_other", CARE, "tasks_opened"),
            ("None", CARE, "task_opened"),
        ]
    )
    assert len(house.mail.mails) == 5


async def test_every_member_of_a_team_without_an_address_has_one(house: Importing) -> None:
    members = [await house.staff(f"{name}@example.org") for name in ("ana", "ole")]
    async with house.database.transaction() as tx:
        await update_team(tx, CARE, email="", now=house.clock.now())
        for member in members:
            await add_member(tx, CARE, member, now=house.clock.now())

    await house.opened(1, 2, 3)
    house.clock.advance(MINUTE)
    await house.dispatch()

    assert sorted(str(mail["To"]) for mail in house.mail.messages) == [
        "ana@example.org",
        "ole@example.org",
    ]
    assert {subject.partition(",")[0] for subject in house.subjects()} == {
        "3 tasks from an import"
    }


async def test_webhooks_stay_one_a_task_and_are_found_by_the_import(house: Importing) -> None:
    await house.webhook()
    await house.opened(1, 2, 3)
    await house.opened(4, import_id=None)

    async with house.database.reading() as view:
        found = await store.list_deliveries(view, limit=50, import_id=IMPORT)

    calls = [one.task_id for one in found if one.channel is Channel.WEBHOOK]
    assert sorted(map(str, calls)) == ["tsk_1", "tsk_2", "tsk_3"]
    assert len(found) == 4
    assert len(await house.deliveries(Channel.WEBHOOK)) == 4


# ---------------------------------------------------------------- when it is sent


async def test_it_waits_a_minute_after_the_last_and_ten_after_the_first(
    house: Importing,
) -> None:
    began = house.clock.now()
    for number in range(11):
        await house.opened(number)
        (one,) = await house.mails()
        last = house.clock.now() + MINUTE
        assert one.next_attempt_at == min(last, began + 10 * MINUTE)
        house.clock.advance(timedelta(seconds=55))
    await house.dispatch()

    assert house.subjects() == ["11 tasks from an import, the first due today 10:00"]


async def test_what_comes_after_it_was_sent_goes_into_the_next_one(house: Importing) -> None:
    await house.opened(1, 2)
    house.clock.advance(MINUTE)
    await house.dispatch()
    await house.opened(3)
    await house.dispatch()
    assert len(house.mail.mails) == 1
    house.clock.advance(MINUTE)
    await house.dispatch()

    assert [subject.partition(",")[0] for subject in house.subjects()] == [
        "2 tasks from an import",
        "1 task from an import",
    ]


async def test_tasks_that_were_done_meanwhile_are_left_out(house: Importing) -> None:
    await house.opened(1, 2, 3)
    await house.opened(2, kind=TaskClosed, version=2)
    house.clock.advance(MINUTE)
    await house.dispatch()

    assert house.subjects() == ["2 tasks from an import, the first due today 10:00"]
    assert "tsk_2" not in house.texts()[0]


async def test_one_whose_tasks_are_all_done_is_held_until_one_is_open_again(
    house: Importing,
) -> None:
    await house.opened(1, 2)
    await house.opened(1, 2, kind=TaskClosed, version=2)
    house.clock.advance(MINUTE)
    await house.dispatch()

    (one,) = await house.mails()
    assert (one.state, one.reason, one.attempts) == (State.HELD, "task_done", 0)
    assert house.mail.mails == []
    await house.opened(2, kind=TaskReopened, version=3)
    await house.dispatch()
    await house.dispatch()
    assert house.subjects() == ["1 task from an import, due today 10:00"]


async def test_a_summary_that_leaves_late_says_so(house: Importing) -> None:
    await house.opened(1, 2)
    house.clock.advance(timedelta(hours=2))
    await house.dispatch()

    assert house.subjects() == [
        "Overdue: 2 tasks from an import, the first was due today 10:00"
    ]


# ---------------------------------------------------------------- never twice


async def test_the_same_events_again_add_nothing(house: Importing) -> None:
    events = [await house.of(number) for number in range(5)]
    await house.hear(*events, *events)
    await house.hear(*events)
    house.clock.advance(MINUTE)
    await house.dispatch()
    await house.hear(*events)
    house.clock.advance(MINUTE)
    await house.dispatch()

    assert house.subjects() == ["5 tasks from an import, the first due today 10:00"]
    assert len(await house.mails()) == 1


async def test_several_workers_gather_into_one(house: Importing) -> None:
    events = [await house.of(number) for number in range(40)]

    await asyncio.gather(*[house.hear(*events[n : n + 5]) for n in range(0, 40, 5)])
    house.clock.advance(MINUTE)
    await asyncio.gather(*[house.dispatch() for _ in range(3)])

    assert house.subjects() == ["40 tasks from an import, the first due today 10:00"]


async def test_what_is_gathered_while_it_is_claimed_is_told_once(house: Importing) -> None:
    """Additions and claims at the same moment: every task in exactly one mail."""
    events = [await house.of(number) for number in range(30)]
    await house.hear(*events[:5])
    house.clock.advance(MINUTE)
    await asyncio.gather(
        house.dispatch(), *[house.hear(*events[n : n + 5]) for n in range(5, 30, 5)]
    )
    house.clock.advance(MINUTE)
    await house.dispatch()

    numbers = [int(subject.split()[0]) for subject in house.subjects()]
    assert sum(numbers) == 30
    assert len(numbers) <= 2


async def test_whoever_dies_with_a_claimed_summary_leaves_it_to_the_next(
    house: Importing,
) -> None:
    await house.opened(1, 2)
    house.clock.advance(MINUTE)
    async with house.database.transaction() as tx:
        claimed = await store.claim(
            tx,
            token="clm_dead",
            now=house.clock.now(),
            lasting=timedelta(seconds=-1),
            per_lane=16,
            mail_lane=16,
            in_flight={},
            limit=100,
        )
    assert claimed
    await house.opened(3)
    await house.dispatch()
    house.clock.advance(MINUTE)
    await house.dispatch()

    assert [subject.partition(",")[0] for subject in house.subjects()] == [
        "2 tasks from an import",
        "1 task from an import",
    ]
    first, second = await house.mails()
    assert (first.in_doubt, second.in_doubt) == (True, False)


async def test_a_poll_that_fails_gathers_nothing_and_is_gathered_when_it_comes_again(
    house: Importing,
) -> None:
    await house.opened(1)
    second = await house.of(2)
    with pytest.raises(RuntimeError, match="power cut"):
        async with house.database.transaction() as tx:
            hear = hear_events(public_url=PUBLIC_URL, wake=lambda: None)
            await hear(tx, [second], house.clock.now())
            raise RuntimeError("power cut")
    async with house.database.reading() as view:
        lines = await view.all(summary_items.select())
    assert [line.task_id for line in lines] == ["tsk_1"]

    await house.hear(second)
    house.clock.advance(MINUTE)
    await house.dispatch()
    assert house.subjects() == ["2 tasks from an import, the first due today 10:00"]


async def test_a_server_that_is_away_is_tried_again_with_what_is_still_open(
    house: Importing,
) -> None:
    house.mail.answers = [LATER]
    await house.opened(1, 2, 3)
    house.clock.advance(MINUTE)
    await house.dispatch()
    await house.opened(1, kind=TaskClosed, version=2)
    house.clock.advance(10 * MINUTE)
    await house.dispatch()

    assert [subject.partition(",")[0] for subject in house.subjects()] == [
        "3 tasks from an import",
        "2 tasks from an import",
    ]
    (one,) = await house.mails()
    assert (one.state, one.failures) == (State.DELIVERED, 1)


async def test_it_can_be_sent_again_by_hand(house: Importing) -> None:
    await house.opened(1, 2)
    house.clock.advance(MINUTE)
    await house.dispatch()
    (one,) = await house.mails()
    async with house.database.transaction() as tx:
        await resend(tx, one.id, notify=house.notify, by=SYSTEM, now=house.clock.now())
    await house.dispatch()

    first, second = house.mail.messages
    assert first["Message-ID"] == second["Message-ID"]


# ---------------------------------------------------------------- nobody to tell


async def test_without_an_address_it_gathers_on_and_goes_out_to_everybody_once_there_is_one(
    house: Importing,
) -> None:
    async with house.database.transaction() as tx:
        await update_team(tx, CARE, email="", now=house.clock.now())
    await house.opened(1, 2)
    house.clock.advance(timedelta(hours=1))
    await house.opened(3)
    await house.dispatch()
    (held,) = await house.mails()
    assert (held.state, held.reason, held.target) == (State.HELD, "nobody_to_tell", CARE)
    members = [await house.staff(f"{name}@example.org") for name in ("ana", "ole", "uwe")]
    async with house.database.transaction() as tx:
        for member in members:
            await add_member(tx, CARE, member, now=house.clock.now())

    upkeep = Upkeep(house.database, house.clock, keyring=house.keyring, wake=lambda: None)
    assert await upkeep.step()
    assert not await upkeep.step()
    await house.dispatch()

    assert sorted(str(mail["To"]) for mail in house.mail.messages) == [
        f"{name}@example.org" for name in ("ana", "ole", "uwe")
    ]
    assert set(house.subjects()) == {"3 tasks from an import, the first due today 10:00"}


async def test_a_captured_summary_can_be_read(house: Importing) -> None:
    await house.opened(1, 2)
    house.clock.advance(MINUTE)
    capture = CaptureChannel(house.database, keyring=house.keyring, clock=house.clock)
    dispatcher = house.dispatcher(mail=capture)
    while await dispatcher.step():
        pass

    async with house.database.reading() as view:
        (mail,) = await store.list_captured(view, limit=10)
        found = await opened(
            view, mail.id, keyring=house.keyring, person_keys=house.person_keys
        )
    assert found is not None
    assert found[1] is not None
    assert b"/tasks/tsk_1" in found[1]
