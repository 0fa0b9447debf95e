"""Many unhappy customers at once: every task opens, and the mails about them become one."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
import pytest_asyncio

from services.loop.tasks.handlers.ruling import change_book
from services.loop.tasks.tables import tasks
from shared.db.transaction import Database
from shared.events.loop import TaskOpened
from shared.identity.person_keys import PersonKeys
from shared.identity.principal import Principal, Scope
from shared.sealing import Keyring
from tests.fakes import ManualClock
from tests.handlers.intake import Intake

MACHINE = Principal(kind="key", id="key_1", name="tests", scopes=frozenset(Scope))


@pytest_asyncio.fixture
async def house(
    database_of: Callable[[str], Database],
    clock: ManualClock,
    keyring: Keyring,
    person_keys: PersonKeys,
) -> Intake:
    made = Intake(
        database=database_of("loop"), clock=clock, keyring=keyring, person_keys=person_keys
    )
    await made.prepare()
    async with made.database.transaction() as tx:
        await change_book(
            tx,
            lambda book: {**book, "burst": {"at_least": 3, "within_minutes": 30}},
            expected=None,
            by=MACHINE,
            now=clock.now(),
        )
    return made


async def _opened(house: Intake) -> list[tuple[str | None, str | None]]:
    return [
        (event.touchpoint, event.burst)
        for _, event in await house.announced()
        if isinstance(event, TaskOpened)
    ]


async def test_from_the_third_on_the_tasks_of_a_touchpoint_name_the_same_burst(
    house: Intake,
) -> None:
    for touchpoint in ("door", "door", "phone", "door", "door"):
        house.clock.advance(timedelta(minutes=5))
        await house.take_in(await house.response(touchpoint=touchpoint))

    found = await _opened(house)
    bursts = [burst for touchpoint, burst in found if touchpoint == "door"]
    assert bursts[:2] == [None, None]
    assert bursts[2] is not None
    assert bursts[2] == bursts[3]
    assert ("phone", None) in found
    assert len(await house.rows(tasks)) == 5


async def test_one_poll_with_many_is_one_burst_as_a_whole(house: Intake) -> None:
    await house.take_in(*await house.responses([{"touchpoint": "door"}] * 4))

    assert len({burst for _, burst in await _opened(house)}) == 1
    assert len(await house.rows(tasks)) == 4


@pytest.mark.parametrize("touchpoint", ["door", None])
async def test_slowly_or_nowhere_in_particular_is_no_burst(
    house: Intake, touchpoint: str | None
) -> None:
    for _ in range(4):
        house.clock.advance(timedelta(minutes=20))
        await house.take_in(await house.response(touchpoint=touchpoint))

    assert {burst for _, burst in await _opened(house)} == {None}
