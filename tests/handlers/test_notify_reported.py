"""Defects that users have reported of other systems, each proved not to be one of ours.

The fourth, a worker that is paused beyond its lease, is ``adapters/test_paused_worker.py``.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import pairwise

import pytest
import pytest_asyncio

from services.notify.domain.deliveries import (
    EMAIL_SCHEDULE,
    WEBHOOK_SCHEDULE,
    Channel,
    Outcome,
    State,
    Verdict,
)
from services.notify.store import Delivery
from shared.db.transaction import Database
from shared.events.loop import TaskClosed, TaskOverdue, TaskResolved
from shared.identity.person_keys import PersonKeys
from shared.retry import Schedule
from shared.sealing import Keyring
from tests.fakes import ManualClock
from tests.notices import LATER, House

GREYLISTED = Outcome(verdict=Verdict.TRANSIENT, reason="mail_server_said_later", code=451)


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


async def only(house: House, channel: Channel) -> Delivery:
    (one,) = await house.deliveries(channel)
    return one


async def test_a_receiver_that_is_down_at_the_moment_gets_everything_afterwards(
    house: House,
) -> None:
    """What happens during an outage, and what is tried in it, arrives: once, and signed."""
    await house.webhook()
    outcomes = (
        LATER,
        Outcome(verdict=Verdict.TRANSIENT, reason="connection_failed"),
        Outcome(verdict=Verdict.DOUBT, reason="timeout"),
    )
    for n, outcome in enumerate(outcomes):
        house.posts.answers = [outcome] * 50
        await house.hear(await house.event(task_id=f"tsk_{n}"))
        await house.dispatch()
        house.clock.advance(timedelta(minutes=20))
        await house.dispatch()
    tried = len(house.posts.calls)
    house.posts.answers = []

    house.clock.advance(timedelta(hours=4))
    await house.dispatch()
    await house.dispatch()

    found = await house.deliveries(Channel.WEBHOOK)
    assert {one.state for one in found} == {State.DELIVERED}
    arrived = house.posts.calls[tried:]
    assert len(arrived) == len({call.message_id for call in arrived}) == len(outcomes)
    assert all(call.secrets for call in arrived)


@pytest.mark.parametrize("ending", [TaskClosed, TaskResolved])
async def test_no_mail_of_a_breach_is_sent_for_a_task_that_is_closed(
    house: House, ending: type
) -> None:
    """Whether the end comes in the same poll, before the mail leaves, or between two tries."""
    await house.hear(
        await house.event(TaskOverdue, version=3, task_id="tsk_1"),
        await house.event(ending, version=4, task_id="tsk_1"),
    )
    await house.hear(await house.event(TaskOverdue, version=3, task_id="tsk_2"))
    await house.hear(await house.event(ending, version=4, task_id="tsk_2"))
    await house.dispatch()
    assert house.mail.mails == []

    await house.hear(await house.event(TaskOverdue, version=3, task_id="tsk_3"))
    house.mail.answers = [GREYLISTED]
    await house.dispatch()
    await house.hear(await house.event(ending, version=4, task_id="tsk_3"))
    house.clock.advance(timedelta(days=4))
    await house.dispatch()

    assert len(house.mail.mails) == 1
    found = await house.deliveries(Channel.EMAIL)
    assert {(one.state, one.reason) for one in found} == {(State.HELD, "task_done")}


@pytest.mark.parametrize(
    ("channel", "schedule"),
    [(Channel.EMAIL, EMAIL_SCHEDULE), (Channel.WEBHOOK, WEBHOOK_SCHEDULE)],
)
async def test_retries_go_on_for_three_days_whoever_restarts_meanwhile(
    house: House, channel: Channel, schedule: Schedule
) -> None:
    """They do not stop after minutes, nor with the process that made the first one."""
    if channel is Channel.WEBHOOK:
        await house.webhook()
    await house.hear(await house.event())
    chance = random.Random(11)
    tried: list[datetime] = []

    while (one := await only(house, channel)).state is State.DUE:
        assert one.next_attempt_at is not None
        house.clock.advance(one.next_attempt_at - house.clock.now())
        tried.append(house.clock.now())
        if channel is Channel.EMAIL:
            house.mail.answers = [GREYLISTED]
        else:
            house.posts.answers = [LATER]
        dispatcher = house.dispatcher()  # another process each time
        dispatcher._chance = chance.random
        while await dispatcher.step():
            pass
        await dispatcher.close()

    waits = [later - earlier for earlier, later in pairwise(tried)]
    for wait, planned in zip(waits, schedule.waits, strict=True):
        assert planned * 0.8 <= wait <= planned * 1.2
    assert timedelta(days=2.5) < tried[-1] - tried[0] < timedelta(days=3.8)
    assert (one.state, one.reason, one.attempts) == (
        State.FAILED,
        "tries_used_up",
        len(schedule.waits) + 1,
    )
