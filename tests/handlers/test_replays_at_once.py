"""Answers, revisions, versions of the taxonomy and two replaying workers, all at once."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial

import pytest

from shared.errors import Conflict, TryLater
from tests.handlers.test_replays import (
    COMMENTS,
    PARKING,
    PRICE,
    QUEUE,
    History,
    history,
    small,
)

__all__ = ["history", "small"]


async def until_it_is_done(work: Callable[[], Awaitable[object]]) -> None:
    """Repeat what had to give way: two may wait for each other, and one comes again."""
    while True:
        try:
            await work()
        except TryLater:
            continue
        return


@dataclass
class Bustle:
    """What goes on at once; ``busy`` counts who is still at it."""

    history: History
    ids: Sequence[str]
    busy: int = 3

    async def answer(self) -> None:
        for _ in range(10):
            some = await self.history.responses([{"comment": one} for one in COMMENTS[:3]])
            await until_it_is_done(partial(self.history.take_in, *some))
        self.busy -= 1

    async def revise(self) -> None:
        for revision in range(2, 5):
            for one in self.ids:
                newer = await self.history.response(
                    response_id=one, revision=revision, comment=COMMENTS[revision - 2]
                )
                await until_it_is_done(partial(self.history.take_in, newer))
        self.busy -= 1

    async def publish(self) -> None:
        for themes in ((PARKING,), (PRICE, QUEUE), (QUEUE, PARKING), (PRICE, PARKING)):
            await until_it_is_done(partial(self.history.publish, *themes))
            await until_it_is_done(self.history.step)
        self.busy -= 1

    async def replay(self) -> None:
        while self.busy:
            with contextlib.suppress(Conflict, TryLater):
                await self.history.start()
            await until_it_is_done(self.history.step)


@pytest.mark.usefixtures("small")
async def test_live_responses_versions_and_replays_may_all_come_at_once(
    history: History,
) -> None:
    bustle = Bustle(history, await history.answers(*COMMENTS * 2))

    async with asyncio.timeout(120):
        await asyncio.gather(
            bustle.answer(),
            bustle.revise(),
            bustle.publish(),
            bustle.replay(),
            bustle.replay(),
        )

    assert await history.counted() == await history.recounted()
    await history.finished()
    replayed = await history.replayed()
    assert await history.counted() == await history.recounted()
    assert await history.versions() == {replayed.taxonomy_version}
    assert replayed.changed == 0
