"""Keeps the workers going: the one place that catches everything.

A worker that fails waits longer and longer and is tried again; what it failed with is logged
by its class, never by its text, which may hold a customer's words. Nothing needs a clean stop.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from shared.logs import get_logger
from shared.retry import Backoff
from shared.tasks import spawn

if TYPE_CHECKING:
    from collections.abc import Coroutine, Sequence

    from shared.clock import Clock
    from shared.service import Worker

log = get_logger(__name__)

_PATIENCE = 20.0
_UNREADY_AFTER = 60.0


@dataclass
class _Condition:
    failures: int = 0
    failing_since: float | None = None
    error: str = ""


class Supervisor:
    """Runs every worker until told to stop."""

    def __init__(
        self, workers: Sequence[Worker], *, clock: Clock, backoff: Backoff | None = None
    ) -> None:
        self._workers = tuple(workers)
        self._clock = clock
        self._backoff = backoff or Backoff()
        self._stop = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._conditions = {worker.name: _Condition() for worker in self._workers}

    @property
    def workers(self) -> Sequence[Worker]:
        """Return what is kept going."""
        return self._workers

    def start(self) -> None:
        """Start every worker."""
        self._tasks = [
            spawn(self._run(worker), name=f"worker:{worker.name}") for worker in self._workers
        ]

    async def stop(self) -> None:
        """Ask the workers to stop, wait a bounded time, then cut them off."""
        self._stop.set()
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=_PATIENCE)
            for task in late:
                log.warning("worker.cut_off", worker=task.get_name())
                task.cancel()
            if late:
                await asyncio.wait(late, timeout=2)
        for worker in self._workers:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(5):
                    await worker.close()

    def troubles(self) -> dict[str, str]:
        """Return the workers that have been failing for a minute, and with what."""
        now = self._clock.monotonic()
        return {
            name: condition.error
            for name, condition in self._conditions.items()
            if condition.failing_since is not None
            and now - condition.failing_since >= _UNREADY_AFTER
        }

    async def _run(self, worker: Worker) -> None:
        condition = self._conditions[worker.name]
        while not self._stop.is_set():
            try:
                if not await worker.step():
                    await self._unless_stopped(worker.wait())
            except Exception as error:
                condition.failures += 1
                condition.error = type(error).__name__
                if condition.failing_since is None:
                    condition.failing_since = self._clock.monotonic()
                pause = self._backoff.wait(condition.failures, random.random())  # noqa: S311 - jitter
                log.warning(
                    "worker.failed",
                    worker=worker.name,
                    error=condition.error,
                    failures=condition.failures,
                    again_in_ms=int(pause.total_seconds() * 1000),
                )
                log.debug("worker.failed.trace", worker=worker.name, exc_info=True)
                await self._unless_stopped(asyncio.sleep(pause.total_seconds()))
            else:
                if condition.failures:
                    log.info("worker.recovered", worker=worker.name)
                condition.failures = 0
                condition.failing_since = None

    async def _unless_stopped(self, waiting: Coroutine[Any, Any, None]) -> None:
        """Wait, but no longer than until the stop."""
        waiter = spawn(waiting, name="worker-waiter")
        stopper = spawn(self._stop.wait(), name="stop-waiter")
        try:
            await asyncio.wait({waiter, stopper}, return_when=asyncio.FIRST_COMPLETED)
            if waiter.done():
                waiter.result()
        finally:
            for task in (waiter, stopper):
                task.cancel()


async def settle(workers: Sequence[Worker], *, most_rounds: int = 100_000) -> int:
    """Drive workers in turn until none has anything to do; return the number of steps.

    For imports and tests, which must know when everything has been handled.
    """
    steps = 0
    for _ in range(most_rounds):
        busy = False
        for worker in workers:
            while await worker.step():
                steps += 1
                busy = True
        if not busy:
            return steps
    message = f"the workers were still busy after {most_rounds} rounds"
    raise RuntimeError(message)
