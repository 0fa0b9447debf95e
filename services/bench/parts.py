"""What the rows are made of: child processes to measure, databases of their own, a renamed bus.

The addresses of real servers come from ``CLOSED_LOOP_TEST_POSTGRES`` (an administrator's URL)
and ``CLOSED_LOOP_TEST_KAFKA``; whatever is made on them has a name of its own and is dropped.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import signal
import sys
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import asyncpg

from shared.db import schema
from shared.db.engine import Engines
from shared.errors import TryLater
from shared.ids import new_id, new_token

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Mapping, Sequence

    from services.bench.load import Job
    from shared.bus.ports import Bus, Publisher, Record, Subscription

POSTGRES: Final = "CLOSED_LOOP_TEST_POSTGRES"
KAFKA: Final = "CLOSED_LOOP_TEST_KAFKA"
_PACKAGES: Final = str(Path(__file__).parents[2])


class NotMeasured(Exception):
    """A row needs a server that was not named; the text says what to set."""


def postgres() -> str:
    """Return the administrator's URL, or raise ``NotMeasured``."""
    if not (found := os.environ.get(POSTGRES)):
        raise NotMeasured(f"set {POSTGRES}=postgresql://user:password@host:port")
    return re.sub(r"^postgres(ql)?(\+\w+)?:", "postgresql:", found)


def kafka() -> str:
    """Return the brokers' addresses, or raise ``NotMeasured``."""
    if not (found := os.environ.get(KAFKA)):
        raise NotMeasured(f"set {KAFKA}=host:port")
    return found.removeprefix("kafka://")


@contextlib.asynccontextmanager
async def own_database() -> AsyncIterator[str]:
    """Make an empty database on the named server, lend its URL, drop it."""
    address = postgres()
    name = new_id("bench")
    admin = await asyncpg.connect(address)
    try:
        await admin.execute(f'CREATE DATABASE "{name}"')
        try:
            yield urlsplit(address)._replace(path=f"/{name}").geturl()
        finally:
            await admin.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
    finally:
        await admin.close()


@contextlib.contextmanager
def own_folder() -> Iterator[Path]:
    """Lend an empty folder."""
    with TemporaryDirectory(prefix="closed-loop-bench-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


def settings_for(database_url: str, key: str) -> dict[str, str]:
    """Return the environment of an installation to be measured, and nothing of this one's."""
    ours = {name: "" for name in os.environ if name.startswith("CLOSED_LOOP_")}
    return ours | {
        "CLOSED_LOOP_DATABASE_URL": database_url,
        "CLOSED_LOOP_SECRET": new_token(),
        "CLOSED_LOOP_BOOTSTRAP_API_KEY": key,
        "CLOSED_LOOP_LOG_FORMAT": "json",
    }


@contextlib.asynccontextmanager
async def served(
    *arguments: str | Path, log: Path, env: Mapping[str, str] | None = None
) -> AsyncIterator[int]:
    """Run ``services.bench.server`` as a child; lend the port that it listens on."""
    with log.open("ab") as out:
        child = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "services.bench.server",
            *map(str, arguments),
            stdout=asyncio.subprocess.PIPE,
            stderr=out,
            env={**os.environ, "PYTHONPATH": _PACKAGES, **(env or {})},
            cwd=log.parent,  # away from any .env
        )
    assert child.stdout is not None  # noqa: S101 - it is a pipe
    try:
        async with asyncio.timeout(60):
            line = await child.stdout.readline()
        if not line:
            raise TryLater(f"the server to be measured did not start: {_end_of(log)}")
        yield int(line)
    finally:
        with contextlib.suppress(ProcessLookupError):
            child.send_signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(15):
                await child.wait()
        except TimeoutError:
            child.kill()


def _end_of(log: Path) -> str:
    return log.read_text(errors="replace")[-1_000:]


async def load(job: Job) -> float:
    """Do a job in a process of its own; return the seconds that it took."""
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "services.bench.load",
        *(f"--{name}={getattr(job, name)}" for name in job.__slots__),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": _PACKAGES},
    )
    out, complaint = await child.communicate()
    if child.returncode:
        said = complaint.decode(errors="replace").strip().rpartition("\n")[2]
        raise TryLater(f"the load was not taken: {said[:400]}")
    seconds: float = json.loads(out)["seconds"]
    return seconds


async def migrated(env: Mapping[str, str]) -> None:
    """Make the tables of an installation."""
    engines = Engines.open(env["CLOSED_LOOP_DATABASE_URL"])
    try:
        await schema.upgrade(engines)
    finally:
        await engines.close()


class Renamed:
    """A bus whose topics and groups carry a prefix, so that it meets nobody else's records."""

    def __init__(self, bus: Bus, prefix: str) -> None:
        self._bus = bus
        self._prefix = prefix

    async def publisher(self) -> Publisher:
        """Return a publisher to the renamed topics."""
        return _RenamedPublisher(await self._bus.publisher(), self._prefix)

    async def subscribe(self, *, group: str, topics: Sequence[str]) -> Subscription:
        """Join the renamed group on the renamed topics."""
        return await self._bus.subscribe(
            group=self._prefix + group, topics=[self._prefix + topic for topic in topics]
        )

    async def create_topics(self, topics: Sequence[str]) -> None:
        """Create the renamed topics."""
        await self._bus.create_topics([self._prefix + topic for topic in topics])

    async def ping(self) -> None:
        """Ask the bus behind it."""
        await self._bus.ping()

    async def close(self) -> None:
        """Close the bus behind it."""
        await self._bus.close()


class _RenamedPublisher:
    def __init__(self, publisher: Publisher, prefix: str) -> None:
        self._publisher = publisher
        self._prefix = prefix

    async def publish(self, records: Sequence[Record]) -> Sequence[Exception | None]:
        """Append records to the renamed topics."""
        return await self._publisher.publish(
            [replace(record, topic=self._prefix + record.topic) for record in records]
        )

    async def close(self) -> None:
        """Let go of the connection."""
        await self._publisher.close()
