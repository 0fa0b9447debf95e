"""How fast the queue opens with 20,000 open tasks, beside the same page with 200.

Run as ``python -m tests.benchmarks.queue_speed``. Both desks stand side by side on SQLite and
are asked in turn; the medians and their ratio are printed. Every task belongs to the person's
team, so nothing is spared by being somebody else's.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import sys
import tempfile
import time
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path

import httpx

from shared.identity.person_keys import PersonKeys
from shared.logs import set_up
from shared.sealing import Keyring
from tests.desk import Desk, desk_on
from tests.fakes import ManualClock

SMALL, LARGE = 200, 20_000
ROUNDS = 15
PROMISED = 1.5
"""Beyond this ratio the run fails: a long queue may not be a slow one."""
_POLL = 500
PATHS = ("/", "/?tab=open", "/?tab=overdue", "/v1/tasks?view=todo")


async def fill(desk: Desk, tasks: int) -> None:
    """Have unhappy customers answer; nobody follows up."""
    start = desk.clock.now()
    for first in range(0, tasks, _POLL):
        answers = [
            {
                "comment": f"Waited forty minutes, nobody called, and this was number {n}.",
                "customer": f"c-{n}",
                "answered_at": start - timedelta(minutes=n % 600),
            }
            for n in range(first, min(first + _POLL, tasks))
        ]
        await desk.take_in(*await desk.responses(answers))
    # By now every promise is broken, with few tasks and with many.
    desk.clock.advance(timedelta(hours=30))


async def seconds_of(browser: httpx.AsyncClient, path: str) -> float:
    """Return how long one page takes."""
    began = time.perf_counter()
    answer = await browser.get(path)
    took = time.perf_counter() - began
    assert answer.status_code == 200, answer.text
    return took


async def measure(small: int, large: int, rounds: int) -> dict[str, dict[str, float]]:
    """Return the medians of both desks in milliseconds, and their ratio, by path."""
    async with AsyncExitStack() as stack:
        browsers = []
        for n, tasks in enumerate((small, large)):
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            keyring = Keyring("a secret for tests, long enough to be taken")
            desk = await stack.enter_async_context(
                desk_on(
                    str(folder / f"desk-{n}.db"),
                    clock=ManualClock(),
                    keyring=keyring,
                    person_keys=PersonKeys(keyring),
                )
            )
            await fill(desk, tasks)
            browsers.append(await stack.enter_async_context(desk.browsing("ana")))
        found = {}
        for path in PATHS:
            runs: list[list[float]] = [[], []]
            for each in range(rounds + 1):
                for side, browser in enumerate(browsers):
                    took = await seconds_of(browser, path)
                    if each:  # the first one fills caches
                        runs[side].append(took)
            few, many = (statistics.median(side) * 1000 for side in runs)
            found[path] = {
                "few_ms": round(few, 1),
                "many_ms": round(many, 1),
                "ratio": round(many / few, 2),
            }
    return found


def main() -> int:
    set_up(form="text", level="error")
    found = asyncio.run(measure(SMALL, LARGE, ROUNDS))
    json.dump(found, sys.stdout, indent=2)
    print()
    return 1 if any(one["ratio"] > PROMISED for one in found.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
