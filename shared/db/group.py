"""Group commit: requests that arrive together share one commit and its one sync to disk.

Nobody waits for company: while one group commits, the next one gathers.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Generic, TypeVar

from shared.errors import ClosedLoopError, TryLater
from shared.tasks import spawn

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from shared.db.transaction import Database, Transaction

C = TypeVar("C")
R = TypeVar("R")


class GroupCommit(Generic[C, R]):
    """Runs commands of concurrent callers in common transactions.

    ``work`` handles a sequence of commands and returns one result each, in order. If a group
    fails for good, each command is tried alone, so that one bad command costs nobody else.
    """

    def __init__(
        self,
        database: Database,
        work: Callable[[Transaction, Sequence[C]], Awaitable[Sequence[R]]],
        *,
        most: int = 500,
    ) -> None:
        self._database = database
        self._work = work
        self._most = most
        self._waiting: deque[tuple[C, asyncio.Future[R]]] = deque()
        self._runner: asyncio.Task[None] | None = None

    async def submit(self, command: C) -> R:
        """Return the command's result once it is durable."""
        future: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        self._waiting.append((command, future))
        if self._runner is None or self._runner.done():
            self._runner = spawn(self._run(), name="group-commit")
        return await future

    async def _run(self) -> None:
        while self._waiting:
            group = [
                self._waiting.popleft() for _ in range(min(len(self._waiting), self._most))
            ]
            # Whoever has gone was told that nothing happened, so nothing must.
            group = [(command, future) for command, future in group if not future.done()]
            if group:
                await self._commit(group)

    async def _commit(self, group: Sequence[tuple[C, asyncio.Future[R]]]) -> None:
        try:
            async with self._database.transaction() as tx:
                results = await self._work(tx, [command for command, _ in group])
        except TryLater as error:
            _fail(group, error)
        except Exception as error:  # noqa: BLE001 - handed to the caller that asked, or halved
            if len(group) == 1:
                _fail(group, error)
            else:
                for single in group:
                    await self._commit([single])
        else:
            for (_, future), result in zip(group, results, strict=True):
                if not future.done():
                    future.set_result(result)


def _fail(
    group: Sequence[tuple[C, asyncio.Future[R]]], error: Exception | ClosedLoopError
) -> None:
    for _, future in group:
        if not future.done():
            future.set_exception(error)
