"""A clock that jumps while something is under way: nothing happens twice, nothing is lost."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta

import pytest

from services.loop.tables import PLUMBING as LOOP
from services.notify.domain.deliveries import State
from shared.clock import SystemClock
from shared.db import timers
from shared.db.timers import Timer
from shared.db.transaction import Database
from shared.identity.person_keys import PersonKeys
from shared.sealing import Keyring
from tests.fakes import ManualClock
from tests.notices import House

URL = "https://crm.example.com/hook"
AHEAD = timedelta(hours=2)


class Jumping(ManualClock):
    """The machine's clock as far as people read it; what measures durations never jumps."""

    def __init__(self) -> None:
        super().__init__(SystemClock().now())

    def jump(self, by: timedelta) -> None:
        """Put the clock forward or back."""
        self._now += by


@pytest.mark.parametrize("by", [AHEAD, -AHEAD], ids=["forward", "back"])
async def test_a_clock_that_jumps_while_a_call_is_under_way_doubles_nothing(
    database_of: Callable[[str], Database],
    keyring: Keyring,
    person_keys: PersonKeys,
    by: timedelta,
) -> None:
    clock = Jumping()
    house = House(
        database=database_of("notify"), clock=clock, keyring=keyring, person_keys=person_keys
    )
    await house.prepare()
    await house.webhook()
    await house.hear(await house.event())
    answered = asyncio.Event()
    house.posts.by_url[URL] = answered.wait
    sender, other = house.dispatcher(), house.dispatcher()
    await sender.step()

    for jump in (by, -by):
        clock.jump(jump)
        await other.step()
    answered.set()
    while await sender.step():
        pass
    clock.jump(by)
    await house.dispatch()

    found = await house.deliveries()
    assert {(one.state, one.attempts, one.in_doubt) for one in found} == {
        (State.DELIVERED, 1, False)
    }
    assert (len(house.posts.calls), len(house.mail.mails)) == (1, 1)


async def test_a_clock_that_jumps_rings_no_timer_twice(
    database_of: Callable[[str], Database],
) -> None:
    database, clock = database_of("loop"), Jumping()
    due = clock.now() + timedelta(hours=1)
    async with database.transaction() as tx:
        await timers.set_all(tx, [Timer(kind="overdue", subject="tsk_1", due_at=due)])

    async def claim() -> list[timers.DueTimer]:
        async with database.transaction() as tx:
            return list(
                await timers.claim_due(tx, now=clock.now(), lasting=timedelta(minutes=1))
            )

    assert await claim() == []
    clock.jump(AHEAD)
    (claimed,) = await claim()
    clock.jump(AHEAD)
    assert await claim() == []
    async with database.transaction() as tx:
        assert await timers.settle(tx, claimed, now=clock.now())
    for jump in (-2 * AHEAD, 2 * AHEAD):
        clock.jump(jump)
        assert await claim() == []
    async with database.reading() as view:
        assert await timers.next_due(view, LOOP.timers) is None
