"""Telling about tasks: who is told, once; and every alert tried until there is a verdict."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
import pytest_asyncio

from services.notify import store
from services.notify.channels.capture import CaptureChannel, opened
from services.notify.domain.deliveries import (
    WEBHOOK_SCHEDULE,
    Channel,
    Outcome,
    State,
    Verdict,
)
from services.notify.handlers import endpoints as handlers
from services.notify.handlers.endpoints import ChangeWebhook
from services.notify.store import Delivery
from services.notify.tables import deliveries
from shared.db.transaction import Database
from shared.errors import Conflict, Invalid, NotFound
from shared.events.loop import (
    OwnerRef,
    TaskClosed,
    TaskDueSoon,
    TaskOpened,
    TaskOverdue,
    TaskReopened,
    TaskResolved,
)
from shared.identity.audit import SYSTEM
from shared.identity.erasure import erase_person
from shared.identity.person_keys import PersonKeys
from shared.identity.teams import add_member, update_team
from shared.sealing import Keyring
from tests.fakes import ManualClock
from tests.notices import AWAY, LATER, WORDS, House

MAIL, WEBHOOK = Channel.EMAIL, Channel.WEBHOOK
CARE = "team_customer_care"


@pytest_asyncio.fixture
async def house(
    database_of: Callable[[str], Database],
    clock: ManualClock,
    keyring: Keyring,
    person_keys: PersonKeys,
) -> House:
    made = House(
        database=database_of("notify"), clock=clock, keyring=keyring, person_keys=person_keys
    )
    await made.prepare()
    return made


async def only(house: House, channel: Channel | None = None) -> Delivery:
    (one,) = await house.deliveries(channel)
    return one


# ---------------------------------------------------------------- who is told


async def test_an_opened_task_becomes_one_mail_to_its_owner_and_one_call_per_webhook(
    house: House,
) -> None:
    first, _ = await house.webhook()
    second, _ = await house.webhook("https://bi.example.com/in")

    await house.hear(await house.event())

    mails = await house.deliveries(MAIL)
    calls = await house.deliveries(WEBHOOK)
    assert [(one.target, one.purpose, one.state) for one in mails] == [
        (CARE, "task_opened", State.DUE)
    ]
    assert {one.target for one in calls} == {first.id, second.id}


async def test_the_same_event_twice_makes_no_twins(house: House) -> None:
    await house.webhook()
    event = await house.event()

    await house.hear(event, event)
    await house.hear(event)

    assert len(await house.deliveries()) == 2


async def test_a_persons_task_goes_to_that_person(house: House) -> None:
    ole = await house.staff("ole@example.org", language="de", time_zone="Europe/Berlin")

    await house.hear(await house.event(owner=OwnerRef(id=ole, kind="person")))

    one = await only(house)
    assert one.target == ole
    assert one.recipient is not None
    assert one.recipient.email == "ole@example.org"
    assert (one.recipient.language, one.recipient.time_zone) == ("de", "Europe/Berlin")


async def test_a_team_without_an_address_has_each_member_told(house: House) -> None:
    members = [await house.staff(f"{name}@example.org") for name in ("ana", "ole")]
    async with house.database.transaction() as tx:
        await update_team(tx, CARE, email="", now=house.clock.now())
        for member in members:
            await add_member(tx, CARE, member, now=house.clock.now())

    await house.hear(await house.event())

    assert {one.target for one in await house.deliveries(MAIL)} == set(members)


async def test_a_webhook_hears_only_what_it_asked_for_and_only_while_it_is_on(
    house: House,
) -> None:
    asked, _ = await house.webhook(events=("task.closed", "task.overdue"))
    off, _ = await house.webhook("https://off.example.com/")
    async with house.database.transaction() as tx:
        await handlers.change_webhook(
            tx,
            ChangeWebhook(webhook_id=off.id, is_enabled=False),
            notify=house.notify,
            by=SYSTEM,
            now=house.clock.now(),
        )

    await house.hear(await house.event(), await house.event(TaskOverdue))

    calls = await house.deliveries(WEBHOOK)
    assert [(one.target, one.event_type) for one in calls] == [(asked.id, "task.overdue")]


async def test_a_webhook_hears_that_a_task_is_open_again(house: House) -> None:
    hook, _ = await house.webhook(events=("task.*",))

    await house.hear(await house.event(TaskReopened, version=4))

    (call,) = await house.deliveries(WEBHOOK)
    assert (call.target, call.event_type) == (hook.id, "task.reopened")


async def test_only_openings_and_reminders_are_worth_a_mail(house: House) -> None:
    await house.hear(
        *[
            await house.event(kind)
            for kind in (TaskOpened, TaskDueSoon, TaskOverdue, TaskResolved, TaskClosed)
        ]
    )

    purposes = [one.purpose for one in await house.deliveries(MAIL)]
    assert sorted(purposes) == ["task_due_soon", "task_opened", "task_overdue"]


# ---------------------------------------------------------------- sending


async def test_a_delivered_alert_is_written_down_and_announced(house: House) -> None:
    await house.hear(await house.event())

    await house.dispatch()

    one = await only(house)
    (attempt,) = await house.attempts(one.id)
    (announced,) = await house.announced()
    assert (one.state, one.attempts, one.in_doubt) == (State.DELIVERED, 1, False)
    assert (attempt.n, attempt.result, attempt.code) == (1, "accepted", 250)
    assert announced["type"] == "alert.delivered.v1"
    assert announced["correlationid"] == "req_1"
    assert announced["data"] == {
        "delivery_id": one.id,
        "channel": "email",
        "event_type": "task.opened",
        "event_id": one.event_id,
        "task_id": "tsk_1",
        "import_id": None,
        "attempts": 1,
        "at": house.clock.now().isoformat().replace("+00:00", "Z"),
        "possible_duplicate": False,
    }


async def test_the_mail_says_score_touchpoint_and_time_in_its_subject_and_the_words_inside(
    house: House,
) -> None:
    await house.hear(await house.event())

    await house.dispatch()

    (message,) = house.mail.messages
    assert message["Subject"] == "4/10 from Doorstep delivery, due today 10:00"
    assert message["To"] == "care@example.org"
    text, html = [part.get_content() for part in message.iter_parts()]
    assert WORDS in text
    assert "waited forty minutes &lt;b&gt;at the door&lt;/b&gt;" in html
    assert "Ana Berg" in text
    assert "https://loop.example.org/tasks/tsk_1" in text
    assert "Ana" not in str(message["Subject"])


async def test_a_mail_that_leaves_late_says_so(house: House) -> None:
    await house.hear(await house.event())
    house.clock.advance(timedelta(hours=25))

    await house.dispatch()

    (message,) = house.mail.messages
    assert message["Subject"] == (
        "Overdue: 4/10 from Doorstep delivery, was due yesterday 10:00"
    )


async def test_a_call_carries_the_stored_body_and_every_valid_secret(house: House) -> None:
    webhook, secret = await house.webhook()
    async with house.database.transaction() as tx:
        _, newer = await handlers.rotate_secret(
            tx, webhook.id, notify=house.notify, by=SYSTEM, now=house.clock.now()
        )
    await house.hear(await house.event())
    one = await only(house, WEBHOOK)

    await house.dispatch()
    house.clock.advance(timedelta(hours=24, seconds=1))
    await house.hear(await house.event(TaskOverdue))
    await house.dispatch()

    first, second = house.posts.calls
    assert first.body == one.payload
    assert first.message_id == f"msg_{one.id.removeprefix('dlv_')}"
    assert list(first.secrets) == [newer, secret]
    assert list(second.secrets) == [newer]


async def test_only_a_full_webhook_gets_the_person(house: House) -> None:
    await house.webhook("https://thin.example.com/")
    await house.webhook("https://full.example.com/", detail="full")

    await house.hear(await house.event())
    await house.dispatch()

    bodies = {call.url: json.loads(call.body)["data"] for call in house.posts.calls}
    assert "comment" not in bodies["https://thin.example.com/"]
    assert "customer" not in bodies["https://thin.example.com/"]
    assert bodies["https://full.example.com/"]["comment"] == WORDS
    assert bodies["https://full.example.com/"]["customer"]["name"] == "Ana Berg"
    thin = next(one for one in await house.deliveries(WEBHOOK) if not one.sealed_person)
    assert b"forty" not in thin.payload


async def test_after_an_erasure_alerts_go_out_without_the_person(house: House) -> None:
    await house.webhook(detail="full")
    await house.hear(await house.event())
    async with house.database.transaction() as tx:
        await erase_person(tx, "per_1", house.clock.now())

    await house.dispatch()

    (call,), (message,) = house.posts.calls, house.mail.messages
    assert b"forty" not in call.body
    assert "The customer's data have been erased." in str(message)
    assert "forty" not in str(message)
    assert "Ana" not in str(message)


async def test_captured_mail_is_sealed_and_readable_until_its_person_is_erased(
    house: House,
) -> None:
    await house.hear(await house.event())
    capture = CaptureChannel(house.database, keyring=house.keyring, clock=house.clock)
    dispatcher = house.dispatcher(mail=capture)
    while await dispatcher.step():
        pass

    async def look() -> tuple[store.CapturedMail, bytes | None]:
        async with house.database.reading() as view:
            (mail,) = await store.list_captured(view, limit=10)
            stored = await store.captured_mail(view, mail.id)
            found = await opened(
                view, mail.id, keyring=house.keyring, person_keys=house.person_keys
            )
        assert stored is not None
        assert b"forty" not in stored[1]
        assert found is not None
        return found

    mail, message = await look()
    assert mail.recipient == "care@example.org"
    assert message is not None
    assert b"forty minutes" in message
    async with house.database.transaction() as tx:
        await erase_person(tx, "per_1", house.clock.now())
    _, message = await look()
    assert message is None


# ---------------------------------------------------------------- trying again


async def test_a_receiver_that_is_down_is_tried_again_by_the_schedule(house: House) -> None:
    await house.webhook()
    house.posts.answers = [LATER] * 3
    await house.hear(await house.event())

    for wait in WEBHOOK_SCHEDULE.waits[:3]:
        await house.dispatch()
        one = await only(house, WEBHOOK)
        assert one.state is State.DUE
        assert one.next_attempt_at == house.clock.now() + wait
        house.clock.advance(wait - timedelta(seconds=1))
        await house.dispatch()
        assert (await only(house, WEBHOOK)).attempts == one.attempts
        house.clock.advance(timedelta(seconds=1))
    await house.dispatch()

    one = await only(house, WEBHOOK)
    assert (one.state, one.attempts, one.failures) == (State.DELIVERED, 4, 3)
    assert len({call.message_id for call in house.posts.calls}) == 1
    assert len({call.body for call in house.posts.calls}) == 1
    assert len({call.at for call in house.posts.calls}) == 4


async def test_after_ten_tries_it_is_given_up_and_announced(house: House) -> None:
    await house.webhook()
    house.posts.answers = [LATER] * 10
    await house.hear(await house.event())

    for _ in range(11):
        await house.dispatch()
        house.clock.advance(timedelta(hours=30))

    one = await only(house, WEBHOOK)
    assert (one.state, one.reason, one.attempts) == (State.FAILED, "tries_used_up", 10)
    assert [attempt.n for attempt in await house.attempts(one.id)] == list(range(1, 11))
    undeliverable = [
        event for event in await house.announced() if event["type"] == "alert.undeliverable.v1"
    ]
    assert [event["data"]["reason"] for event in undeliverable] == ["tries_used_up"]


async def test_a_receiver_that_is_gone_switches_its_webhook_off_and_holds_the_rest(
    house: House,
) -> None:
    webhook, _ = await house.webhook()
    gone = Outcome(verdict=Verdict.GONE, reason="receiver_gone", code=410)
    house.posts.answers = [LATER, gone]
    await house.hear(await house.event())
    await house.dispatch()
    await house.hear(await house.event(TaskOverdue))

    await house.dispatch()

    states = {
        one.event_type: (one.state, one.reason) for one in await house.deliveries(WEBHOOK)
    }
    assert states == {
        "task.opened": (State.HELD, "endpoint_disabled"),
        "task.overdue": (State.FAILED, "receiver_gone"),
    }
    async with house.database.transaction() as tx:
        again = await handlers.enable_webhook(
            tx, webhook.id, notify=house.notify, by=SYSTEM, now=house.clock.now()
        )
        assert again.is_enabled
        sent = await handlers.recover(
            tx,
            webhook.id,
            since=house.clock.now() - timedelta(days=1),
            skip=False,
            notify=house.notify,
            by=SYSTEM,
            now=house.clock.now(),
        )
    assert sent == 2
    await house.dispatch()
    assert [one.state for one in await house.deliveries(WEBHOOK)] == [
        State.DELIVERED,
        State.DELIVERED,
    ]


async def test_mail_rests_while_its_server_is_away_and_loses_no_try(house: House) -> None:
    house.mail.answers = [AWAY] * 200
    for n in range(40):
        await house.hear(await house.event(task_id=f"tsk_{n:02}"))

    dispatcher = house.dispatcher()
    while await dispatcher.step():
        pass
    knocked = len(house.mail.mails)
    assert not await dispatcher.step()
    assert len(house.mail.mails) == knocked <= 16  # those at once, and no more
    house.mail.answers = []
    house.clock.advance(timedelta(minutes=11))
    while await dispatcher.step():
        pass

    found = await house.deliveries(MAIL)
    assert {one.state for one in found} == {State.DELIVERED}
    assert {one.failures for one in found} == {0}
    assert len(house.mail.mails) == knocked + 40


async def test_a_reminder_is_held_when_its_task_is_done_meanwhile(house: House) -> None:
    house.mail.answers = [replace(LATER, reason="greylisted")] * 2
    await house.hear(await house.event(), await house.event(TaskDueSoon))
    await house.dispatch()
    await house.hear(await house.event(TaskResolved, version=5))
    sent = len(house.mail.mails)
    house.clock.advance(timedelta(hours=2))

    await house.dispatch()

    found = await house.deliveries(MAIL)
    assert {(one.state, one.reason) for one in found} == {(State.HELD, "task_done")}
    assert len(house.mail.mails) == sent


async def test_a_reminder_that_comes_late_for_a_done_task_is_held_until_it_is_reopened(
    house: House,
) -> None:
    await house.hear(await house.event(TaskClosed, version=5))
    await house.hear(await house.event(TaskOverdue, version=4))
    await house.dispatch()
    assert (await only(house)).state is State.HELD

    await house.hear(await house.event(TaskReopened, version=6))
    await house.dispatch()

    assert [one.state for one in await house.deliveries(MAIL)] == [State.DELIVERED]
    await house.hear(await house.event(TaskClosed, version=7))
    await house.hear(await house.event(TaskReopened, version=8))
    await house.dispatch()
    assert len(house.mail.mails) == 1


async def test_what_may_have_been_sent_is_not_sent_again_when_its_task_is_reopened(
    house: House,
) -> None:
    house.mail.answers = [Outcome(verdict=Verdict.DOUBT, reason="no_reply_after_the_mail")]
    await house.hear(await house.event())
    await house.dispatch()
    await house.hear(await house.event(TaskClosed, version=2))
    house.clock.advance(timedelta(hours=1))
    await house.dispatch()

    await house.hear(await house.event(TaskReopened, version=3))
    await house.dispatch()

    assert (await only(house)).state is State.HELD
    assert len(house.mail.mails) == 1


# ---------------------------------------------------------------- dying and being slow


class Died(BaseException):
    """A worker's end, as the dispatcher never sees it."""


async def claim_and_die(house: House) -> None:
    """Claim as a dispatcher does, with a lease that is over at once, and send nothing."""
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


async def test_what_a_dead_worker_had_claimed_is_sent_by_the_next_one_and_in_doubt(
    house: House,
) -> None:
    await house.hear(await house.event())
    await claim_and_die(house)

    await house.dispatch()

    one = await only(house)
    attempts = await house.attempts(one.id)
    (announced,) = await house.announced()
    assert (one.state, one.attempts, one.in_doubt) == (State.DELIVERED, 2, True)
    assert [(each.n, each.result) for each in attempts] == [(1, "interrupted"), (2, "accepted")]
    assert announced["data"]["possible_duplicate"] is True


async def test_a_worker_paused_beyond_its_lease_changes_nothing(house: House) -> None:
    await house.webhook()
    await house.hear(await house.event())
    url = "https://crm.example.com/hook"
    slow = house.dispatcher(lease=timedelta(seconds=-1), heartbeat=10**9)
    begun, released = asyncio.Event(), asyncio.Event()

    async def pause() -> None:
        begun.set()
        await released.wait()

    house.posts.by_url[url] = pause
    await slow.step()
    await begun.wait()
    del house.posts.by_url[url]

    await house.dispatch()
    before = await only(house, WEBHOOK)
    house.posts.answers = [LATER]
    released.set()
    while slow._sending:
        await slow.step()

    after = await only(house, WEBHOOK)
    assert before.state is State.DELIVERED
    assert after == before
    results = [each.result for each in await house.attempts(after.id)]
    assert results == ["interrupted", "accepted"]


async def test_nobody_takes_over_from_itself_what_it_is_still_sending(house: House) -> None:
    """Stopped beyond its lease, or the clock put forward: the one process goes on as before."""
    await house.webhook()
    await house.hear(await house.event())
    begun, released = asyncio.Event(), asyncio.Event()

    async def pause() -> None:
        begun.set()
        await released.wait()

    house.posts.by_url["https://crm.example.com/hook"] = pause
    alone = house.dispatcher(lease=timedelta(seconds=-1), heartbeat=10**9)
    await alone.step()
    await begun.wait()

    await alone.step()
    released.set()
    while alone._sending:
        await alone.step()

    one = await only(house, WEBHOOK)
    assert (one.state, one.attempts, one.in_doubt) == (State.DELIVERED, 1, False)
    assert len(house.posts.calls) == 1


async def test_a_late_success_leaves_the_claim_to_whoever_holds_it_now(house: House) -> None:
    """The receiver took it from the paused worker too: the other one's claim still stands."""
    await house.webhook()
    await house.hear(await house.event())
    gates = [(asyncio.Event(), asyncio.Event()), (asyncio.Event(), asyncio.Event())]
    calls = iter(gates)

    async def pause() -> None:
        begun, released = next(calls)
        begun.set()
        await released.wait()

    house.posts.by_url["https://crm.example.com/hook"] = pause
    paused = house.dispatcher(lease=timedelta(seconds=-1), heartbeat=10**9)
    await paused.step()
    await gates[0][0].wait()
    holder = house.dispatcher()
    await holder.step()
    await gates[1][0].wait()

    gates[0][1].set()
    while paused._sending:
        await paused.step()

    assert (await only(house, WEBHOOK)).state is State.SENDING
    gates[1][1].set()
    while holder._sending:
        await holder.step()
    assert (await only(house, WEBHOOK)).state is State.DELIVERED


async def test_a_lease_is_prolonged_while_the_receiver_takes_its_time(house: House) -> None:
    await house.webhook()
    await house.hear(await house.event())
    slow = house.dispatcher(lease=timedelta(seconds=-1), heartbeat=0)
    released = asyncio.Event()
    house.posts.by_url["https://crm.example.com/hook"] = released.wait
    await slow.step()
    slow._pace = replace(slow._pace, lease=timedelta(seconds=60))
    await slow.step()

    other = house.dispatcher()
    await other.step()
    released.set()
    while await slow.step():
        pass

    assert (await only(house, WEBHOOK)).attempts == 1
    assert len(house.posts.calls) == 1


async def test_a_slow_endpoint_has_few_places_and_costs_no_other_endpoint_any(
    house: House,
) -> None:
    await house.webhook("https://slow.example.com/")
    await house.webhook("https://quick.example.com/")
    released = asyncio.Event()
    house.posts.by_url["https://slow.example.com/"] = released.wait
    for n in range(60):
        await house.hear(await house.event(task_id=f"tsk_{n:02}"))

    dispatcher = house.dispatcher()

    def quick() -> int:
        return sum(call.url == "https://quick.example.com/" for call in house.posts.calls)

    for _ in range(100):
        if quick() == 60:
            break
        await dispatcher.step()
    assert quick() == 60
    assert house.posts.most_at_once == 4
    assert len(house.posts.calls) == 64

    released.set()
    while await dispatcher.step():
        pass
    assert house.posts.most_at_once == 4
    assert {one.state for one in await house.deliveries(WEBHOOK)} == {State.DELIVERED}


async def test_two_dispatchers_send_each_delivery_once(house: House) -> None:
    await house.webhook()
    for n in range(30):
        await house.hear(await house.event(task_id=f"tsk_{n:02}"))
    both = [house.dispatcher(), house.dispatcher()]

    while any(await asyncio.gather(*(dispatcher.step() for dispatcher in both))):
        pass

    assert len(house.posts.calls) == 30
    assert len(house.mail.mails) == 30
    assert {one.attempts for one in await house.deliveries()} == {1}


# ---------------------------------------------------------------- looking after webhooks


async def test_an_endpoint_that_leads_inside_is_refused_with_a_finding(house: House) -> None:
    with pytest.raises(Invalid) as refused:
        await house.webhook("http://169.254.169.254/latest")

    (finding,) = refused.value.findings
    assert (finding.pointer, finding.code) == ("/url", "address")
    webhook, _ = await house.webhook()
    moved = handlers.ChangeWebhook(webhook_id=webhook.id, url="http://10.0.0.7/hook")
    async with house.database.transaction() as tx:
        with pytest.raises(Invalid):
            await handlers.change_webhook(
                tx, moved, notify=house.notify, by=SYSTEM, now=house.clock.now()
            )


async def test_a_deleted_endpoint_gets_nothing_more_and_its_history_stays(
    house: House,
) -> None:
    webhook, _ = await house.webhook()
    house.posts.answers = [LATER]
    await house.hear(await house.event())
    await house.dispatch()
    async with house.database.transaction() as tx:
        await handlers.delete_webhook(
            tx, webhook.id, notify=house.notify, by=SYSTEM, now=house.clock.now()
        )
    house.clock.advance(timedelta(days=1))

    await house.dispatch()

    one = await only(house, WEBHOOK)
    assert (one.state, one.reason, one.attempts) == (State.FAILED, "endpoint_deleted", 1)
    async with house.database.transaction() as tx:
        with pytest.raises(NotFound):
            await handlers.send_test(tx, webhook.id, notify=house.notify, now=house.clock.now())


async def test_a_test_event_is_delivered_like_any_other(house: House) -> None:
    webhook, _ = await house.webhook()
    async with house.database.transaction() as tx:
        delivery_id = await handlers.send_test(
            tx, webhook.id, notify=house.notify, now=house.clock.now()
        )

    await house.dispatch()

    one = await only(house)
    (call,) = house.posts.calls
    assert (one.id, one.state) == (delivery_id, State.DELIVERED)
    assert json.loads(call.body)["type"] == "webhook.test"


async def test_a_settled_delivery_can_be_sent_again_under_the_same_id(house: House) -> None:
    await house.webhook()
    await house.hear(await house.event())

    async def resend() -> None:
        one = await only(house, WEBHOOK)
        async with house.database.transaction() as tx:
            await handlers.resend(
                tx, one.id, notify=house.notify, by=SYSTEM, now=house.clock.now()
            )

    with pytest.raises(Conflict):
        await resend()
    await house.dispatch()
    await resend()
    await house.dispatch()

    assert len(house.posts.calls) == 2
    assert len({call.message_id for call in house.posts.calls}) == 1
    assert (await only(house, WEBHOOK)).attempts == 2


async def test_an_address_that_is_none_is_given_up_at_once(house: House) -> None:
    await house.hear(await house.event())
    async with house.database.transaction() as tx:
        one = await only(house)
        await tx.execute(
            deliveries.update()
            .where(deliveries.c.id == one.id)
            .values(recipient={"email": "a@b\nx", "language": "en", "time_zone": "UTC"})
        )

    await house.dispatch()

    one = await only(house)
    assert (one.state, one.reason) == (State.FAILED, "address_unusable")
    assert house.mail.mails == []


async def test_sending_goes_on_where_the_last_process_stopped(house: House) -> None:
    await house.webhook()
    house.posts.answers = [LATER]
    await house.hear(await house.event())
    await house.dispatch()
    house.clock.advance(timedelta(seconds=6))

    newcomer = House(
        database=house.database,
        clock=house.clock,
        keyring=house.keyring,
        person_keys=house.person_keys,
    )
    await newcomer.dispatch()

    assert (await only(house, WEBHOOK)).state is State.DELIVERED
    assert newcomer.posts.calls[0].message_id == house.posts.calls[0].message_id
