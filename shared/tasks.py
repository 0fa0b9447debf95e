"""Background tasks that are never forgotten: the one place that creates them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Coroutine

T = TypeVar("T")

_alive: set[asyncio.Task[Any]] = set()


def spawn(work: Coroutine[Any, Any, T], *, name: str) -> asyncio.Task[T]:
    """Start ``work`` beside the caller; the task is held until it ends."""
    task = asyncio.get_running_loop().create_task(work, name=name)
    _alive.add(task)
    task.add_done_callback(_alive.discard)
    return task


async def unbroken(work: Coroutine[Any, Any, T], *, name: str) -> T:
    """Await ``work`` to its end even if the caller is cancelled; then pass the cancel on.

    A cancelled coroutine is no rollback: a commit that was cut off may still have happened.
    """
    task = spawn(work, name=name)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        if not task.done():
            await asyncio.wait({task})
        raise


class Pause:
    """A wait of so many seconds, for whoever would rather be told to stop than be cancelled."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._ended = asyncio.Event()

    async def wait(self) -> None:
        """Return after the time, or at once when it was ended."""
        try:
            async with asyncio.timeout(self._seconds):
                await self._ended.wait()
        except TimeoutError:
            return

    def end(self) -> None:
        """End this wait and every later one."""
        self._ended.set()


class Resting:
    """What a worker does between two steps: it rests so long, and ends that when closed."""

    def __init__(self, seconds: float) -> None:
        self._pause = Pause(seconds)

    async def wait(self) -> None:
        """Return after the rest, or at once when closing."""
        await self._pause.wait()

    async def close(self) -> None:
        """End the rest."""
        self._pause.end()
