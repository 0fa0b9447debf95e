"""A worker that is stopped beyond its lease and goes on.

On PostgreSQL another one has taken over meanwhile: what the first brings back counts no more.
An SQLite file has one process: nobody took over, and nothing is sent a second time.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from services.notify import store
from services.notify.domain.deliveries import Channel, State
from services.notify.tables import PLUMBING, webhooks
from shared.clock import SystemClock
from shared.db.engine import Engines
from shared.db.transaction import Database
from shared.identity.person_keys import PersonKeys
from shared.sealing import Keyring
from tests.adapters.paused_worker import LEASE, worker
from tests.adapters.test_webhook import peer
from tests.fakes import ManualClock
from tests.notices import House
from tests.plumbing import create_tables

ROOT = Path(__file__).parents[2]
SECRET = "a secret for tests, long enough to be taken"


@asynccontextmanager
async def other_process(url: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """Start a worker elsewhere; end it by its own id."""
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.adapters.paused_worker", url, SECRET),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        await told_by(child, "ready")
        yield child
    finally:
        if child.returncode is None:
            os.kill(child.pid, signal.SIGCONT)
            child.kill()
        await child.wait()


@pytest.mark.postgres
@pytest.mark.parametrize("database_url", ["postgres"], indirect=True)
async def test_a_process_that_was_stopped_beyond_its_lease_marks_nothing(
    database_url: str, database_of: Callable[[str], Database]
) -> None:
    keyring = Keyring(SECRET)
    house = House(
        database=database_of("notify"),
        clock=ManualClock(SystemClock().now()),
        keyring=keyring,
        person_keys=PersonKeys(keyring),
    )
    await house.prepare()
    first_came, released = asyncio.Event(), asyncio.Event()

    async def hang_once(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not first_came.is_set():
            first_came.set()
            async with asyncio.timeout(60):
                await released.wait()
            writer.write(b"HTTP/1.1 500 Too late\r\nContent-Length: 0\r\n\r\n")
        else:
            writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
        await writer.drain()

    async with peer(hang_once) as receiver:
        webhook, _ = await house.webhook()
        async with house.database.transaction() as tx:
            await tx.execute(webhooks.update().values(url=receiver.url))
        await house.hear(await house.event())
        async with other_process(database_url) as child:
            await asyncio.wait_for(first_came.wait(), 30)
            await asyncio.sleep(0.3)  # until the mail is settled that it sent too
            os.kill(child.pid, signal.SIGSTOP)
            await asyncio.sleep(LEASE.total_seconds() + 0.5)

            ours = worker(house.database, keyring, lease=timedelta(minutes=5))
            async with asyncio.timeout(30):
                while (await delivery_to(house, webhook.id)).state is not State.DELIVERED:
                    if not await ours.step():
                        await ours.wait()
            await ours.close()
            taken_over = await delivery_to(house, webhook.id)
            released.set()
            os.kill(child.pid, signal.SIGCONT)
            said = await told_by(child, "{")

    after = await delivery_to(house, webhook.id)
    tries = [(each.n, each.result) for each in await house.attempts(after.id)]
    assert json.loads(said) == {"marked": [False]}
    assert after == taken_over
    assert after.in_doubt
    assert tries == [(1, "interrupted"), (2, "accepted")]
    assert len(receiver.heads) == 2


async def test_the_only_process_goes_on_beyond_its_lease_and_sends_nothing_twice(
    tmp_path: Path,
) -> None:
    url = f"sqlite+aiosqlite:///{tmp_path / 'closed-loop.db'}"
    await create_tables(url)
    first_came, released = asyncio.Event(), asyncio.Event()

    async def answer_late(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        first_came.set()
        async with asyncio.timeout(60):
            await released.wait()
        writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
        await writer.drain()

    async with peer(answer_late) as receiver:
        async with house_on(url) as house:
            await house.prepare()
            webhook, _ = await house.webhook()
            async with house.database.transaction() as tx:
                await tx.execute(webhooks.update().values(url=receiver.url))
            await house.hear(await house.event())
        async with other_process(url) as child:
            await asyncio.wait_for(first_came.wait(), 30)
            os.kill(child.pid, signal.SIGSTOP)
            await asyncio.sleep(LEASE.total_seconds() + 0.5)
            os.kill(child.pid, signal.SIGCONT)
            await asyncio.sleep(1)  # it looks for work, and finds its own claim over
            released.set()
            said = await told_by(child, "{")
            await asyncio.wait_for(child.wait(), 30)

    async with house_on(url) as house:
        after = await delivery_to(house, webhook.id)
        tries = [(each.n, each.result) for each in await house.attempts(after.id)]
    assert json.loads(said) == {"marked": [True]}
    assert (after.state, after.in_doubt) == (State.DELIVERED, False)
    assert tries == [(1, "accepted")]
    assert len(receiver.heads) == 1


@asynccontextmanager
async def house_on(url: str) -> AsyncIterator[House]:
    """Open notify over a database for a while."""
    engines, keyring = Engines.open(url), Keyring(SECRET)
    try:
        yield House(
            database=Database(engines, PLUMBING),
            clock=ManualClock(SystemClock().now()),
            keyring=keyring,
            person_keys=PersonKeys(keyring),
        )
    finally:
        await engines.close()


async def told_by(child: asyncio.subprocess.Process, start: str) -> str:
    """Return the next line that begins so; what it logs is passed over."""
    assert child.stdout is not None
    async with asyncio.timeout(60):
        while True:
            line = (await child.stdout.readline()).decode()
            assert line, "the worker has ended"
            if line.startswith(start):
                return line


async def delivery_to(house: House, webhook_id: str) -> store.Delivery:
    """Return the one delivery to this endpoint."""
    (one,) = [
        each for each in await house.deliveries(Channel.WEBHOOK) if each.target == webhook_id
    ]
    return one
