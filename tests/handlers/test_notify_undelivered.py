"""Mail that does not get through: who is told instead, and what rests meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from email.message import EmailMessage

import pytest_asyncio
from sqlalchemy import select

from services.notify import store
from services.notify.channels.message import Mail
from services.notify.domain.deliveries import Channel, Outcome, State, Verdict
from services.notify.domain.endpoints import RECEIVER_GONE
from services.notify.domain.mail import Sender
from services.notify.handlers.composing import Composer
from services.notify.handlers.endpoints import resend
from services.notify.handlers.health import disable
from services.notify.handlers.resting import resume_mail
from services.notify.jobs import Dispatcher
from services.notify.store import MAIL_LANE, Delivery, Suppression
from shared.bus.consumer import ConsumerState
from shared.db.transaction import Database
from shared.events.loop import OwnerRef, TaskClosed, TaskOpened, TaskOverdue
from shared.identity.audit import SYSTEM
from shared.identity.people import create_staff, update_staff
from shared.identity.person_keys import PersonKeys
from shared.identity.principal import Role
from shared.identity.tables import audit
from shared.sealing import Keyring
from tests.fakes import ManualClock
from tests.notices import ACCEPTED, AWAY, PUBLIC_URL, House

MAIL = Channel.EMAIL
CARE = "team_customer_care"
DEAD = Outcome(verdict=Verdict.PERMANENT, reason="address_dead", code=550, reply="5.1.1 none")
POLICY = Outcome(verdict=Verdict.PERMANENT, reason="refused_by_policy", code=550)
FULL = Outcome(verdict=Verdict.TRANSIENT, reason="mailbox_full", code=452)
LATER = Outcome(verdict=Verdict.TRANSIENT, reason="mail_server_said_later", code=451)
DOUBT = Outcome(verdict=Verdict.DOUBT, reason="no_reply_after_the_mail")
WRONG = Outcome(
    verdict=Verdict.CONFIGURATION, reason="mail_server_refuses_us", code=535, reply="5.7.8 no"
)


class Manned(House):
    """A house with an administrator and people in the team."""

    async def employ(self, name: str, role: Role = Role.AGENT, *, in_team: bool = False) -> str:
        async with self.database.transaction() as tx:
            person = await create_staff(
                tx,
                email=f"{name}@example.org",
                name=name,
                role=role,
                now=self.clock.now(),
                team_ids=[CARE] if in_team else [],
            )
        return person.id

    async def mails(self) -> list[Delivery]:
        return list(await self.deliveries(MAIL))

    async def suppressions(self) -> list[Suppression]:
        async with self.database.reading() as view:
            return list(await store.list_suppressions(view, limit=100))

    async def audited(self) -> list[str]:
        async with self.database.reading() as view:
            rows = await view.all(select(audit.c.action).order_by(audit.c.n))
        return [row.action for row in rows if row.action.startswith("mail.")]

    async def undeliverable(self) -> list[tuple[str, bool]]:
        return [
            (one["data"]["reason"], one["data"]["passed_on"])
            for one in await self.announced()
            if one["type"] == "alert.undeliverable.v1"
        ]

    async def drive(self, dispatcher: Dispatcher) -> None:
        while await dispatcher.step():
            pass


def plain_of(message: EmailMessage) -> str:
    """Return the words of a mail."""
    words = message.get_body(("plain",))
    assert words is not None
    return str(words.get_content())


@pytest_asyncio.fixture
async def house(
    database_of: Callable[[str], Database],
    clock: ManualClock,
    keyring: Keyring,
    person_keys: PersonKeys,
) -> Manned:
    made = Manned(
        database=database_of("notify"), clock=clock, keyring=keyring, person_keys=person_keys
    )
    await made.prepare()
    return made


# ---------------------------------------------------------------- a dead mailbox


async def test_a_dead_address_is_written_to_no_more_and_the_team_is_told(house: Manned) -> None:
    ana = await house.employ("ana", in_team=True)
    ben = await house.employ("ben", in_team=True)
    house.mail.answers = [DEAD]
    await house.hear(await house.event())  # the team has an address of its own

    await house.dispatch()

    first, *others = await house.mails()
    assert (first.target, first.state, first.reason) == (CARE, State.FAILED, "address_dead")
    assert {(one.target, one.state, one.instead_of) for one in others} == {
        (ana, State.DELIVERED, first.id),
        (ben, State.DELIVERED, first.id),
    }
    (dead,) = await house.suppressions()
    assert (dead.address, dead.reason, dead.code) == ("care@example.org", "address_dead", 550)
    assert await house.undeliverable() == [("address_dead", True)]
    assert await house.audited() == ["mail.suppressed"]


async def test_a_suppressed_address_is_never_tried_and_the_alert_goes_to_the_next(
    house: Manned,
) -> None:
    await house.employ("ana", in_team=True)
    house.mail.answers = [DEAD]
    await house.hear(await house.event())
    await house.dispatch()
    before = len(house.mail.mails)

    await house.hear(await house.event(task_id="tsk_2"))
    await house.dispatch()

    tried = house.mail.mails[before:]
    assert [mail.recipient for mail in tried] == ["ana@example.org"]
    passed_over = [one for one in await house.mails() if one.reason == "address_suppressed"]
    assert [(one.state, one.attempts) for one in passed_over] == [(State.FAILED, 0)]
    assert await house.undeliverable() == [("address_dead", True), ("address_suppressed", True)]


async def test_once_it_is_taken_off_the_list_it_is_written_to_again(house: Manned) -> None:
    await house.employ("ana", in_team=True)
    house.mail.answers = [DEAD]
    await house.hear(await house.event())
    await house.dispatch()
    (dead,) = await house.suppressions()
    async with house.database.transaction() as tx:
        assert await store.drop_suppression(tx, dead.id) == dead

    await house.hear(await house.event(task_id="tsk_2"))
    await house.dispatch()

    assert house.mail.mails[-1].recipient == "care@example.org"


async def test_sent_again_it_goes_to_the_address_that_was_corrected(house: Manned) -> None:
    ana = await house.employ("ana")
    house.mail.answers = [DEAD]
    await house.hear(await house.event(owner=OwnerRef(id=ana, kind="person")))
    await house.dispatch()
    (one,) = await house.mails()
    async with house.database.transaction() as tx:
        await update_staff(tx, ana, email="ana.berg@example.org", now=house.clock.now())
        await resend(tx, one.id, notify=house.notify, by=SYSTEM, now=house.clock.now())

    await house.dispatch()

    assert [mail.recipient for mail in house.mail.mails] == [
        "ana@example.org",
        "ana.berg@example.org",
    ]


async def test_the_colleagues_of_a_person_are_told(house: Manned) -> None:
    ana = await house.employ("ana", in_team=True)
    ben = await house.employ("ben", in_team=True)
    await house.employ("eve")
    house.mail.answers = [DEAD]
    await house.hear(await house.event(owner=OwnerRef(id=ana, kind="person")))

    await house.dispatch()

    assert [(one.target, one.state) for one in await house.mails()] == [
        (ana, State.FAILED),
        (ben, State.DELIVERED),
    ]


async def test_where_nobody_of_the_team_is_left_one_administrator_is_told(
    house: Manned,
) -> None:
    boss = await house.employ("boss", Role.ADMIN)
    await house.employ("second", Role.ADMIN)
    ana = await house.employ("ana", in_team=True)
    house.mail.answers = [DEAD, DEAD]
    await house.hear(await house.event())

    await house.dispatch()

    assert [(one.target, one.state) for one in await house.mails()] == [
        (CARE, State.FAILED),
        (ana, State.FAILED),
        (boss, State.DELIVERED),
    ]


async def test_colleagues_who_are_told_already_are_told_no_second_time(house: Manned) -> None:
    ana = await house.employ("ana", in_team=True)
    ben = await house.employ("ben", in_team=True)
    async with house.database.transaction() as tx:
        await store.suppress(
            tx,
            "Care@example.org",
            reason="address_dead",
            code=550,
            delivery_id="dlv_0",
            now=house.clock.now(),
        )
    house.mail.answers = [DEAD]
    await house.hear(await house.event())

    await house.dispatch()

    states = {one.target: one.state for one in await house.mails()}
    assert states[CARE] is State.FAILED
    assert sorted([states[ana], states[ben]]) == [State.DELIVERED, State.FAILED]
    assert len(states) == 3


async def test_when_nobody_is_left_it_is_said_and_nothing_is_made_up(house: Manned) -> None:
    house.mail.answers = [DEAD]
    await house.hear(await house.event())

    await house.dispatch()

    assert [one.state for one in await house.mails()] == [State.FAILED]
    assert await house.undeliverable() == [("address_dead", False)]


async def test_a_mail_in_somebodys_place_is_about_the_same_and_has_its_own_id(
    house: Manned,
) -> None:
    await house.employ("ana", in_team=True)
    house.mail.answers = [DEAD]
    await house.hear(await house.event())

    await house.dispatch()

    first, second = house.mail.messages
    assert first["Subject"] == second["Subject"]
    assert first["Message-ID"] != second["Message-ID"]
    assert "waited forty minutes" in plain_of(second)
    assert "meant for" not in plain_of(first)
    assert "This mail was meant for Customer care and could not be" in plain_of(second)


async def test_the_third_in_line_is_told_in_the_owners_place(house: Manned) -> None:
    """Whoever stands in needs to know whose task it is, not who else was not reached."""
    await house.employ("boss", Role.ADMIN)
    ana = await house.employ("ana", in_team=True)
    await house.employ("ben", in_team=True)
    house.mail.answers = [DEAD, DEAD]
    await house.hear(await house.event(owner=OwnerRef(id=ana, kind="person")))

    await house.dispatch()

    *_, third = house.mail.messages
    assert third["To"] == "boss@example.org"
    assert "This mail was meant for ana" in plain_of(third)


async def test_a_mail_about_a_webhook_says_whose_it_was(house: Manned) -> None:
    """It has no owner: it was meant for the administrator whose mailbox is dead."""
    await house.employ("boss", Role.ADMIN)
    webhook, _ = await house.webhook()
    async with house.database.transaction() as tx:
        await disable(
            tx, webhook.id, reason=RECEIVER_GONE, keyring=house.keyring, now=house.clock.now()
        )
    await house.employ("deputy", Role.ADMIN)
    house.mail.answers = [DEAD]

    await house.dispatch()

    first, second = house.mail.messages
    assert (first["To"], second["To"]) == ("boss@example.org", "deputy@example.org")
    assert "This mail was meant for boss" in plain_of(second)


async def test_a_summary_is_passed_on_with_its_lines(house: Manned) -> None:
    await house.employ("ana", in_team=True)
    house.mail.answers = [DEAD]
    for n in range(3):
        await house.hear(await house.event(task_id=f"tsk_{n}", import_id="imp_1"))
    house.clock.advance(timedelta(minutes=11))

    await house.dispatch()

    assert [mail.recipient for mail in house.mail.mails] == [
        "care@example.org",
        "ana@example.org",
    ]
    assert house.mail.mails[0].subject == house.mail.mails[1].subject
    (verdict,) = [
        one["data"]
        for one in await house.announced()
        if one["type"] == "alert.undeliverable.v1"
    ]
    assert (verdict["task_id"], verdict["import_id"]) == (None, "imp_1")
    assert verdict["task_ids"] == ["tsk_0", "tsk_1", "tsk_2"]


# ---------------------------------------------------------------- other refusals


async def test_a_refusal_by_policy_fails_without_condemning_the_address(house: Manned) -> None:
    boss = await house.employ("boss", Role.ADMIN)
    house.mail.answers = [POLICY]
    await house.hear(await house.event())

    await house.dispatch()

    assert [(one.target, one.state) for one in await house.mails()] == [
        (CARE, State.FAILED),
        (boss, State.DELIVERED),
    ]
    assert await house.suppressions() == []


async def test_a_colleague_hears_of_a_mailbox_that_is_full_for_a_day(house: Manned) -> None:
    ana = await house.employ("ana", in_team=True)
    await house.hear(
        await house.event(first_contact_due_at=house.clock.now() + timedelta(days=9))
    )
    hours = 0
    while len(await house.mails()) == 1:
        house.mail.answers = [FULL]
        await house.dispatch()
        house.clock.advance(timedelta(hours=1))
        hours += 1
    house.mail.answers = []
    await house.dispatch()

    full, passed_on = await house.mails()
    assert 24 <= hours <= 49
    assert (full.state, full.reason) == (State.DUE, "mailbox_full")
    assert (passed_on.target, passed_on.state) == (ana, State.DELIVERED)
    house.mail.answers = [FULL]
    house.clock.advance(timedelta(hours=24))
    await house.dispatch()
    assert len(await house.mails()) == 2


async def test_a_colleague_is_told_when_the_deadline_passes_before_the_mail_gets_through(
    house: Manned,
) -> None:
    ana = await house.employ("ana", in_team=True)
    await house.hear(await house.event())  # due in an hour
    house.mail.answers = [LATER]
    await house.dispatch()
    assert len(await house.mails()) == 1
    house.clock.advance(timedelta(hours=1, minutes=1))
    house.mail.answers = [LATER]
    await house.dispatch()

    late, passed_on = await house.mails()
    assert late.state is State.DUE
    assert (passed_on.target, passed_on.state) == (ana, State.DELIVERED)
    assert house.mail.mails[-1].subject.startswith("Overdue")


async def test_a_server_that_is_away_makes_nobody_else_be_told(house: Manned) -> None:
    await house.employ("ana", in_team=True)
    await house.hear(await house.event())
    for _ in range(5):
        house.mail.answers = [AWAY]
        await house.dispatch()
        house.clock.advance(timedelta(hours=1))

    assert len(await house.mails()) == 1


async def test_nobody_is_told_in_anybodys_place_of_a_task_that_is_done(house: Manned) -> None:
    await house.employ("ana", in_team=True)
    house.mail.answers = [LATER]
    await house.hear(await house.event(TaskOpened))
    await house.dispatch()
    await house.hear(await house.event(TaskClosed, version=2))
    await house.hear(await house.event(TaskOverdue, version=1))
    house.clock.advance(timedelta(hours=30))
    house.mail.answers = [DEAD] * 9

    await house.dispatch()

    assert {(one.state, one.reason) for one in await house.mails()} == {
        (State.HELD, "task_done")
    }
    assert len(house.mail.mails) == 1


async def test_a_mail_that_waits_for_its_turn_is_not_sent_once_its_task_is_done(
    house: Manned,
) -> None:
    """Claimed with others, behind a server that takes its time."""
    first_goes, go_on = asyncio.Event(), asyncio.Event()

    class Slow:
        async def send(self, mail: Mail) -> Outcome:
            first_goes.set()
            await go_on.wait()
            return await house.mail.send(mail)

    await house.hear(await house.event())
    await house.hear(await house.event(TaskOverdue, task_id="tsk_2"))
    dispatcher = house.dispatcher(mail=Slow(), mail_at_once=1)
    await dispatcher.step()
    await first_goes.wait()
    await house.hear(await house.event(TaskClosed, task_id="tsk_2", version=2))
    house.clock.advance(timedelta(seconds=11))
    go_on.set()
    await house.drive(dispatcher)

    assert {(one.task_id, one.state) for one in await house.mails()} == {
        ("tsk_1", State.DELIVERED),
        ("tsk_2", State.HELD),
    }
    assert len(house.mail.mails) == 1


async def test_what_may_have_arrived_is_sent_again_under_the_same_id_and_says_so(
    house: Manned,
) -> None:
    house.mail.answers = [DOUBT]
    await house.hear(await house.event())
    await house.dispatch()
    house.clock.advance(timedelta(minutes=2))
    await house.dispatch()

    first, second = house.mail.messages
    assert first["Message-ID"] == second["Message-ID"]
    assert first["Date"] == second["Date"]
    (one,) = await house.mails()
    assert (one.state, one.in_doubt, one.attempts) == (State.DELIVERED, True, 2)
    (delivered,) = await house.announced()
    assert delivered["data"]["possible_duplicate"] is True


# ---------------------------------------------------------------- a wrong setting


async def test_a_wrong_setting_pauses_all_mail_until_somebody_resumes_it(house: Manned) -> None:
    for n in range(40):
        await house.hear(await house.event(task_id=f"tsk_{n:02}"))
    house.mail.answers = [WRONG] * 99
    dispatcher = house.dispatcher()
    await house.drive(dispatcher)
    knocked = len(house.mail.mails)
    assert knocked <= 16  # those at once, and no more
    house.clock.advance(timedelta(days=2))
    await house.drive(dispatcher)
    await house.drive(house.dispatcher())  # nor does another process, or the next one
    assert len(house.mail.mails) == knocked
    assert (dispatcher.health.state, dispatcher.health.ready) == (ConsumerState.DEGRADED, True)
    assert "/settings/mail" in dispatcher.health.reason
    assert await house.audited() == ["mail.paused"]

    house.mail.answers = []
    async with house.database.transaction() as tx:
        assert await resume_mail(tx, by=SYSTEM, why="asked", now=house.clock.now())
    await house.drive(dispatcher)

    found = await house.mails()
    assert {(one.state, one.failures) for one in found} == {(State.DELIVERED, 0)}
    assert dispatcher.health.state is ConsumerState.OK
    assert await house.audited() == ["mail.paused", "mail.resumed"]


async def test_other_settings_are_tried_at_once(house: Manned) -> None:
    await house.hear(await house.event())
    house.mail.answers = [WRONG]
    await house.drive(house.dispatcher(mail_settings="before"))
    await house.drive(house.dispatcher(mail_settings="before"))
    assert len(house.mail.mails) == 1

    await house.drive(house.dispatcher(mail_settings="after"))

    assert [one.state for one in await house.mails()] == [State.DELIVERED]
    async with house.database.reading() as view:
        assert await store.pause_of(view, MAIL_LANE) is None
    assert house.mail.answers == []


async def test_webhooks_go_on_while_mail_is_paused(house: Manned) -> None:
    await house.webhook()
    house.mail.answers = [WRONG]
    await house.hear(await house.event())
    dispatcher = house.dispatcher()
    await house.drive(dispatcher)
    house.posts.answers = [ACCEPTED]
    await house.hear(await house.event(task_id="tsk_2"))

    await house.drive(dispatcher)

    calls = await house.deliveries(Channel.WEBHOOK)
    assert [one.state for one in calls] == [State.DELIVERED] * 2


async def test_each_mail_has_a_return_path_of_its_own_where_that_arrives(house: Manned) -> None:
    plain = Sender(name="Loop", address="loop@example.org")
    for sender in (plain, replace(plain, bounces_to="bounces@example.org")):
        await house.hear(await house.event(task_id=f"tsk_{sender.bounces_to is None}"))
        composer = Composer(sender=sender, public_url=PUBLIC_URL, keyring=house.keyring)
        await house.drive(house.dispatcher(composer=composer))

    usual, own = house.mail.mails
    assert usual.return_path == "loop@example.org"
    mac = house.keyring.mac("return-path", own.delivery_id.lower())[:16]
    assert own.return_path == f"bounces+{own.delivery_id.lower()}.{mac}@example.org"
    assert len(own.return_path.partition("@")[0]) <= 64
    assert [message["From"] for message in house.mail.messages] == [
        "Loop <loop@example.org>"
    ] * 2
