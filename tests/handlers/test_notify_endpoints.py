"""Endpoints over days: schedules, secrets, failing, being switched off, and nothing lost."""

from __future__ import annotations

import asyncio
import os
import random
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy import select
from standardwebhooks import Webhook as Verifier
from standardwebhooks import WebhookVerificationError

from services.notify import store
from services.notify.channels.webhook import Call, headers_of
from services.notify.domain.deliveries import (
    WEBHOOK_SCHEDULE,
    Channel,
    Outcome,
    State,
    Verdict,
)
from services.notify.handlers import endpoints as handlers
from services.notify.handlers.endpoints import ChangeWebhook
from services.notify.store import Delivery, Webhook
from services.notify.tables import deliveries
from services.notify.upkeep import Upkeep
from shared.clock import SystemClock
from shared.db.transaction import Database
from shared.errors import Conflict, Invalid, NotFound
from shared.identity.audit import SYSTEM
from shared.identity.people import create_staff
from shared.identity.person_keys import PersonKeys
from shared.identity.principal import Role
from shared.identity.tables import audit
from shared.sealing import Keyring
from tests.fakes import ManualClock
from tests.notices import LATER, House

WEBHOOK, MAIL = Channel.WEBHOOK, Channel.EMAIL
URL = "https://crm.example.com/hook"
GONE = Outcome(verdict=Verdict.GONE, reason="receiver_gone", code=410)
BUSY = Outcome(
    verdict=Verdict.TRANSIENT, reason="http_503", code=503, asked_wait=timedelta(hours=1)
)


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
    async with made.database.transaction() as tx:
        await create_staff(
            tx, email="ada@example.org", name="Ada", role=Role.ADMIN, now=clock.now()
        )
    return made


async def looked_after(house: House) -> None:
    """Do what the worker does that looks after endpoints, until nothing is left."""
    upkeep = Upkeep(house.database, house.clock, keyring=house.keyring, wake=lambda: None)
    while await upkeep.step():
        pass


async def stands(house: House, webhook: Webhook) -> Webhook:
    async with house.database.reading() as view:
        found = await store.webhook_of(view, webhook.id, house.keyring)
    assert found is not None
    return found


async def calls_of(house: House) -> list[Delivery]:
    return list(await house.deliveries(WEBHOOK))


async def mails_about(house: House) -> list[str]:
    return [one.purpose for one in await house.deliveries(MAIL) if "webhook" in one.purpose]


async def acting(house: House, act: Callable[..., Any], *given: Any, **members: Any) -> Any:
    async with house.database.transaction() as tx:
        return await act(
            tx, *given, notify=house.notify, by=SYSTEM, now=house.clock.now(), **members
        )


async def fail_for(house: House, hours: int, *, every: int = 1) -> None:
    """Have every call fail from now on, for so long, with the workers at work."""
    for _ in range(0, hours, every):
        house.posts.answers = [LATER] * 500
        await house.dispatch()
        await looked_after(house)
        house.clock.advance(timedelta(hours=every))
    house.posts.answers = [LATER] * 500
    await house.dispatch()
    await looked_after(house)
    house.posts.answers = []


# ---------------------------------------------------------------- tries


async def test_ten_tries_come_when_the_table_says_also_across_restarts(house: House) -> None:
    await house.webhook()
    await house.hear(await house.event())
    chance = random.Random(7)
    tried = []

    for _ in range(20):
        (one,) = await calls_of(house)
        if one.state is not State.DUE or one.next_attempt_at is None:
            break
        house.clock.advance(one.next_attempt_at - house.clock.now())
        tried.append(house.clock.now())
        house.posts.answers = [LATER]
        dispatcher = house.dispatcher()  # a new process each time
        dispatcher._chance = chance.random
        while await dispatcher.step():
            pass
        await dispatcher.close()

    (one,) = await calls_of(house)
    assert (one.state, one.reason, one.attempts) == (State.FAILED, "tries_used_up", 10)
    waits = [later - earlier for earlier, later in pairwise(tried)]
    for wait, planned in zip(waits, WEBHOOK_SCHEDULE.waits, strict=True):
        assert planned * 0.8 <= wait <= planned * 1.2
    assert waits != list(WEBHOOK_SCHEDULE.waits)
    assert timedelta(days=2.5) < sum(waits, timedelta()) < timedelta(days=3.8)


async def test_what_a_receiver_asks_for_is_stored_and_at_most_doubles_the_wait(
    house: House,
) -> None:
    await house.webhook()
    await house.hear(await house.event())
    house.posts.answers = [BUSY]

    await house.dispatch()

    (one,) = await calls_of(house)
    assert one.next_attempt_at == house.clock.now() + timedelta(seconds=10)


async def test_a_receiver_that_was_down_for_two_days_has_lost_nothing(house: House) -> None:
    await house.webhook()
    for n in range(5):
        await house.hear(await house.event(task_id=f"tsk_{n}"))
    await fail_for(house, 48)

    house.clock.advance(timedelta(hours=20))
    await house.dispatch()

    assert {one.state for one in await calls_of(house)} == {State.DELIVERED}


# ---------------------------------------------------------------- secrets


def verifies(call: Call, secret: str) -> bool:
    try:
        # The library knows one clock; the manual one of the test is brought along.
        Verifier(secret).verify(call.body, dict(headers_of(call)))
    except WebhookVerificationError:
        return False
    return True


@pytest.fixture
def clock() -> ManualClock:
    """The library that verifies lives now; so does everybody here."""
    return ManualClock(SystemClock().now())


async def test_during_a_rotation_receivers_with_the_old_the_new_or_both_verify_everything(
    house: House,
) -> None:
    webhook, old = await house.webhook()
    sent = 0

    async def work(count: int) -> None:
        nonlocal sent
        for _ in range(count):
            await house.hear(await house.event(task_id=f"tsk_{sent}"))
            sent += 1
        await house.dispatch()

    await work(5)
    _, new = await acting(house, handlers.rotate_secret, webhook.id)
    rotated_at = len(house.posts.calls)
    await work(5)

    before, after = house.posts.calls[:rotated_at], house.posts.calls[rotated_at:]
    assert len(after) == 5
    assert all(verifies(call, old) for call in [*before, *after])
    assert all(verifies(call, new) for call in after)


async def test_after_the_grace_only_the_new_secret_signs(house: House) -> None:
    webhook, old = await house.webhook()
    _, new = await acting(house, handlers.rotate_secret, webhook.id)

    for hours, secrets in ((23.9, {old, new}), (24.1, {new})):
        house.clock.advance(timedelta(hours=hours) - (house.clock.now() - webhook.created_at))
        await house.hear(await house.event(task_id=f"tsk_{hours}"))
        await house.dispatch()
        assert set(house.posts.calls[-1].secrets) == secrets


async def test_a_secret_that_was_replaced_after_the_claim_signs_no_more(house: House) -> None:
    """Whoever rotates without overlap has thrown the old one away when the answer is there."""
    webhook, old = await house.webhook()
    released = asyncio.Event()
    house.posts.by_url[URL] = released.wait
    for n in range(6):
        await house.hear(await house.event(task_id=f"tsk_{n}"))
    dispatcher = house.dispatcher(endpoint_at_once=1)
    dispatcher._quick.add(webhook.id)  # so that all are claimed ahead
    await dispatcher.step()

    _, new = await acting(house, handlers.rotate_secret, webhook.id, overlap=timedelta())
    released.set()
    while await dispatcher.step():
        pass

    secrets = [list(call.secrets) for call in house.posts.calls]
    assert secrets[0] == [old]
    assert secrets[1:] == [[new]] * 5


async def test_ten_former_secrets_sign_and_none_is_dropped_before_its_time(
    house: House,
) -> None:
    webhook, first = await house.webhook()
    week = timedelta(days=7)
    for _ in range(10):
        await acting(house, handlers.rotate_secret, webhook.id, overlap=week)

    with pytest.raises(Conflict):
        await acting(house, handlers.rotate_secret, webhook.id, overlap=week)

    assert first in [one.value for one in (await stands(house, webhook)).secrets]
    _, newest = await acting(house, handlers.rotate_secret, webhook.id, overlap=timedelta())
    assert [one.value for one in (await stands(house, webhook)).secrets] == [newest]


async def test_a_shorter_overlap_ends_earlier_secrets_too(house: House) -> None:
    webhook, _ = await house.webhook()
    await acting(house, handlers.rotate_secret, webhook.id, overlap=timedelta(days=7))
    await acting(house, handlers.rotate_secret, webhook.id, overlap=timedelta(hours=1))

    ends = {one.until for one in (await stands(house, webhook)).secrets if one.until}
    assert ends == {house.clock.now() + timedelta(hours=1)}


# ---------------------------------------------------------------- failing for days


async def test_five_days_without_success_switch_it_off_with_one_warning_and_one_mail(
    house: House,
) -> None:
    webhook, _ = await house.webhook()
    await house.hear(await house.event())
    begin = house.clock.now()

    await fail_for(house, 23)
    assert await mails_about(house) == []
    house.clock.advance(timedelta(hours=1))
    await looked_after(house)
    await looked_after(house)
    assert await mails_about(house) == ["webhook_failing"]
    await house.hear(await house.event(task_id="tsk_2"))
    await fail_for(house, 95)
    assert (await stands(house, webhook)).is_enabled
    await house.hear(await house.event(task_id="tsk_3"))
    await fail_for(house, 6)

    off = await stands(house, webhook)
    assert (off.is_enabled, off.disabled_reason) == (False, "no_success")
    assert off.disabled_at is not None
    assert off.health.failing_since == begin
    assert off.disabled_at - begin >= timedelta(hours=120)
    assert await mails_about(house) == ["webhook_failing", "webhook_disabled"]
    await fail_for(house, 48)
    assert await mails_about(house) == ["webhook_failing", "webhook_disabled"]
    async with house.database.reading() as view:
        rows = await view.all(select(audit).where(audit.c.action == "webhook.disabled"))
    assert [(row.subject, row.detail) for row in rows] == [
        (webhook.id, {"reason": "no_success"})
    ]


async def test_one_success_on_the_fourth_day_begins_the_count_anew(house: House) -> None:
    webhook, _ = await house.webhook()
    for n in range(6):
        await house.hear(await house.event(task_id=f"tsk_{n}"))
        await fail_for(house, 16)
    await house.hear(await house.event(task_id="tsk_good"))
    await house.dispatch()
    assert (await stands(house, webhook)).health.failing_since is None

    await house.hear(await house.event(task_id="tsk_bad"))
    await fail_for(house, 30)

    assert (await stands(house, webhook)).is_enabled
    assert await mails_about(house) == ["webhook_failing", "webhook_failing"]


async def test_few_failures_switch_nothing_off_however_long_they_last(house: House) -> None:
    webhook, _ = await house.webhook()
    too_large = Outcome(verdict=Verdict.TRANSIENT, reason="http_413", code=413, tries=3)
    await house.hear(await house.event())
    for _ in range(4):
        house.posts.answers = [too_large]
        await house.dispatch()
        house.clock.advance(timedelta(hours=1))
    house.clock.advance(timedelta(days=9))
    await looked_after(house)

    (one,) = await calls_of(house)
    assert (one.state, one.reason, one.attempts) == (State.FAILED, "http_413", 3)
    assert (await stands(house, webhook)).is_enabled


async def test_an_endpoint_that_gave_up_its_only_message_is_switched_off_by_time_alone(
    house: House,
) -> None:
    webhook, _ = await house.webhook()
    await house.hear(await house.event())
    await fail_for(house, 112, every=4)
    assert (await stands(house, webhook)).is_enabled

    house.clock.advance(timedelta(hours=8))
    await looked_after(house)

    assert not (await stands(house, webhook)).is_enabled


async def test_the_mails_say_which_since_when_and_what_to_do(house: House) -> None:
    await house.webhook("https://crm.example.com/hook/with-a-secret-4711")
    await house.hear(await house.event())
    await fail_for(house, 121, every=3)
    await house.dispatch()

    texts = {
        str(each["Subject"]): str(each.get_body(("plain",)))
        for each in house.mail.messages
        if "Webhook" in str(each["Subject"])
    }
    warned, off = texts
    assert warned.startswith("Webhook to crm.example.com fails since ")
    assert off == "Webhook to crm.example.com was switched off"
    assert "/settings/webhooks/whk_" in texts[off]
    assert "Nothing is lost" in " ".join(texts[off].split())
    assert "4711" not in "".join(texts.values())


async def test_another_receiver_begins_anew(house: House) -> None:
    webhook, _ = await house.webhook()
    await house.hear(await house.event())
    await fail_for(house, 3)

    moved = ChangeWebhook(webhook_id=webhook.id, url="https://new.example.com/")
    await acting(house, handlers.change_webhook, moved)

    assert (await stands(house, webhook)).health.failing_since is None


# ---------------------------------------------------------------- held, and sent after all


async def switch_off_by_410(house: House) -> Webhook:
    webhook, _ = await house.webhook()
    house.posts.answers = [GONE]
    await house.hear(await house.event(task_id="tsk_gone"))
    await house.dispatch()
    assert not (await stands(house, webhook)).is_enabled
    return webhook


async def test_what_happens_while_it_is_off_by_itself_is_held_and_can_be_sent(
    house: House,
) -> None:
    webhook = await switch_off_by_410(house)
    assert await mails_about(house) == ["webhook_disabled"]
    since = house.clock.now()
    house.clock.advance(timedelta(days=2))
    for n in range(3):
        await house.hear(await house.event(task_id=f"tsk_{n}"))
    await house.dispatch()
    held = [one for one in await calls_of(house) if one.state is State.HELD]
    assert [one.reason for one in held] == ["endpoint_disabled"] * 3
    calls = len(house.posts.calls)

    with pytest.raises(Conflict):
        await acting(house, handlers.recover, webhook.id, since=since, skip=False)
    await acting(house, handlers.enable_webhook, webhook.id)
    await house.dispatch()
    assert len(house.posts.calls) == calls  # nothing goes out unasked
    counts = [
        await acting(house, handlers.recover, webhook.id, since=since, skip=False)
        for _ in range(2)
    ]
    await house.dispatch()

    assert counts == [4, 0]
    assert {one.state for one in await calls_of(house)} == {State.DELIVERED}
    assert len({call.message_id for call in house.posts.calls}) == 4
    again = await acting(house, handlers.recover, webhook.id, since=since, skip=False)
    await house.dispatch()
    assert again == 0
    assert len(house.posts.calls) == calls + 4


async def test_recovery_reaches_back_to_the_moment_that_is_named_and_no_further(
    house: House,
) -> None:
    webhook = await switch_off_by_410(house)
    for n in range(3):
        house.clock.advance(timedelta(hours=1))
        await house.hear(await house.event(task_id=f"tsk_{n}"))
    await acting(house, handlers.enable_webhook, webhook.id)

    count = await acting(
        house, handlers.recover, webhook.id, since=house.clock.now(), skip=False
    )

    assert count == 1
    states = sorted(one.state.value for one in await calls_of(house))
    assert states == ["due", "failed", "held", "held"]


async def test_what_is_skipped_stays_as_history_and_goes_nowhere(house: House) -> None:
    webhook = await switch_off_by_410(house)
    since = house.clock.now()
    await house.hear(await house.event(task_id="tsk_1"))

    counts = [
        await acting(house, handlers.recover, webhook.id, since=since, skip=True)
        for _ in range(2)
    ]
    await acting(house, handlers.enable_webhook, webhook.id)
    await house.dispatch()

    assert counts == [1, 0]
    assert [(one.state, one.reason) for one in await calls_of(house)] == [
        (State.FAILED, "receiver_gone"),
        (State.FAILED, "skipped"),
    ]
    async with house.database.reading() as view:
        rows = await view.all(select(audit).where(audit.c.action == "webhook.skipped"))
    assert [row.detail["deliveries"] for row in rows] == [1]


async def test_nothing_is_recovered_from_the_future_or_from_nowhere(house: House) -> None:
    webhook, _ = await house.webhook()
    later = house.clock.now() + timedelta(seconds=1)

    with pytest.raises(Invalid) as refused:
        await acting(house, handlers.recover, webhook.id, since=later, skip=False)
    with pytest.raises(NotFound):
        await acting(house, handlers.recover, "whk_none", since=later, skip=False)
    assert refused.value.findings[0].pointer == "/since"


async def test_whoever_switched_it_off_gets_nothing_of_what_happens_meanwhile(
    house: House,
) -> None:
    webhook, _ = await house.webhook()
    await house.hear(await house.event(task_id="tsk_before"))
    off = ChangeWebhook(webhook_id=webhook.id, is_enabled=False)
    await acting(house, handlers.change_webhook, off)

    await house.hear(await house.event(task_id="tsk_after"))

    assert [(one.task_id, one.state) for one in await calls_of(house)] == [
        ("tsk_before", State.HELD)
    ]


async def test_nobody_keeps_for_ever_what_nobody_wants(house: House) -> None:
    await switch_off_by_410(house)
    house.clock.advance(timedelta(days=31))

    await house.hear(await house.event(task_id="tsk_late"))

    assert [one.task_id for one in await calls_of(house)] == ["tsk_gone"]


async def test_what_was_claimed_when_it_was_switched_off_is_held_and_not_sent(
    house: House,
) -> None:
    webhook, _ = await house.webhook()
    released = asyncio.Event()
    house.posts.by_url[URL] = released.wait
    for n in range(6):
        await house.hear(await house.event(task_id=f"tsk_{n}"))
    dispatcher = house.dispatcher(endpoint_at_once=1)
    dispatcher._quick.add(webhook.id)
    await dispatcher.step()

    off = ChangeWebhook(webhook_id=webhook.id, is_enabled=False)
    await acting(house, handlers.change_webhook, off)
    released.set()
    while await dispatcher.step():
        pass

    assert len(house.posts.calls) == 1
    states = sorted(one.state.value for one in await calls_of(house))
    assert states == ["delivered", *["held"] * 5]
    assert {one.attempts for one in await calls_of(house)} == {0, 1}


# ---------------------------------------------------------------- fairness


async def test_no_lane_gets_more_than_its_room_and_each_gets_its_turn(house: House) -> None:
    """Each has more waiting than fits, and all of the first was there before the second."""
    webhooks = []
    for n in range(3):
        webhook, _ = await house.webhook(f"https://{n}.example.com/", events=(f"task.{n}",))
        webhooks.append(webhook.id)
    for webhook_id in webhooks:
        for _ in range(6):
            await acting_test(house, webhook_id)

    async def claimed(limit: int) -> Counter[str]:
        async with house.database.transaction() as tx:
            some = await store.claim(
                tx,
                token="mine",
                now=house.clock.now(),
                lasting=timedelta(seconds=30),
                per_lane=4,
                mail_lane=0,
                in_flight={webhooks[0]: 3},
                limit=limit,
            )
        return Counter(one.target for one in some)

    assert await claimed(3) == dict.fromkeys(webhooks, 1)
    assert await claimed(100) == {webhooks[0]: 1, webhooks[1]: 4, webhooks[2]: 4}


async def acting_test(house: House, webhook_id: str) -> None:
    """Have one test event be due to an endpoint."""
    async with house.database.transaction() as tx:
        await handlers.send_test(tx, webhook_id, notify=house.notify, now=house.clock.now())


async def test_many_endpoints_that_hang_leave_room_for_one_that_does_not(
    house: House,
) -> None:
    """Each of them has more waiting than is claimed at a time; together they would fill it."""
    hung = asyncio.Event()
    for n in range(12):
        url = f"https://hangs-{n}.example.com/"
        webhook, _ = await house.webhook(url)
        house.posts.by_url[url] = hung.wait
        for _ in range(6):
            await acting_test(house, webhook.id)
    dispatcher = house.dispatcher(claim_limit=60)
    async with asyncio.timeout(10):
        while len(house.posts.calls) < 12 * 4:
            await dispatcher.step()

    url = "https://well.example.com/"
    await house.webhook(url, events=("task.opened",))
    await house.hear(await house.event(task_id="tsk_well"))
    async with asyncio.timeout(10):
        while not house.mail.mails or url not in {call.url for call in house.posts.calls}:
            await dispatcher.step()

    hung.set()
    while await dispatcher.step():
        pass
    assert {one.state for one in await house.deliveries()} == {State.DELIVERED}


async def test_an_endpoint_that_turns_slow_lets_go_of_what_was_claimed_ahead(
    house: House,
) -> None:
    webhook, _ = await house.webhook()
    for n in range(40):
        await house.hear(await house.event(task_id=f"tsk_{n:02}"))
    gate = asyncio.Semaphore(0)
    house.posts.by_url[URL] = gate.acquire
    dispatcher = house.dispatcher()
    dispatcher._quick.add(webhook.id)

    async def claimed() -> int:
        return sum(one.state is State.SENDING for one in await calls_of(house))

    await dispatcher.step()
    assert await claimed() == 32
    house.clock.advance(timedelta(seconds=5))
    gate.release()  # one has answered, late
    async with asyncio.timeout(10):
        while await claimed() > 4:
            await dispatcher.step()

    for _ in range(100):
        gate.release()
    while await dispatcher.step():
        pass

    assert {(one.state, one.attempts) for one in await calls_of(house)} == {
        (State.DELIVERED, 1)
    }
    assert house.posts.most_at_once <= 4


@pytest.mark.postgres
@pytest.mark.parametrize("database_url", ["postgres"], indirect=True)
async def test_leases_are_prolonged_past_what_is_being_settled(house: House) -> None:
    """Waiting for it, while it waits for another of ours, would be a deadlock."""
    webhook, _ = await house.webhook()
    for n in range(2):
        await house.hear(await house.event(task_id=f"tsk_{n}"))
    async with house.database.transaction() as tx:
        claimed = await store.claim(
            tx,
            token="mine",
            now=house.clock.now(),
            lasting=timedelta(seconds=30),
            per_lane=4,
            mail_lane=0,
            in_flight={},
            limit=10,
        )
    calls = [one for one in claimed if one.target == webhook.id]
    assert len(calls) == 2

    async with house.database.transaction() as settling:
        assert await store.give_back(settling, calls[0])
        async with asyncio.timeout(5), house.database.transaction() as tx:
            await store.prolong(
                tx,
                token="mine",
                ids=[one.id for one in calls],
                lasting=timedelta(seconds=90),
            )

    async with house.database.reading() as view:
        rows = await view.all(select(deliveries).where(deliveries.c.target == webhook.id))
    left = {row.id: row.lease_until for row in rows}
    assert left[calls[0].id] is None
    assert left[calls[1].id] > SystemClock().now().timestamp() + 60


def test_secrets_are_made_of_32_random_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    real = os.urandom

    def noted(size: int) -> bytes:
        asked.append(size)
        return real(size)

    monkeypatch.setattr("services.notify.handlers.endpoints.os.urandom", noted)
    assert handlers._new_secret() != handlers._new_secret()
    assert asked == [32, 32]
