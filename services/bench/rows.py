"""The rows of the speed table: what is done on our side, and what on the other.

A row opens its servers once and lends two measures; each call of one is a run over documents
that were never posted before, and returns how many a second it was. Child processes serve,
another one sends, so that neither side pays for the measuring.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pydantic import SecretStr
from sqlalchemy import text

from services.bench import baselines
from services.bench.load import Job
from services.bench.parts import (
    Renamed,
    kafka,
    load,
    migrated,
    own_database,
    own_folder,
    served,
    settings_for,
)
from services.composition import System, compose
from shared.bus.kafka import KafkaBus
from shared.clock import SystemClock
from shared.errors import TryLater
from shared.events import topics
from shared.ids import new_id, new_token
from shared.settings import Settings

if TYPE_CHECKING:
    from pathlib import Path

    from shared.service import Worker

PER_TRANSACTION: Final = 500
"""Rows a transaction on the raw side of ``loop``: as many as our consumer polls at once."""
ON_THEIR_WAY: Final = 1_000
"""Records on their way on the raw side of ``relay``: as many as our relay claims at once."""
_PATIENCE: Final = 60.0

Measure = Callable[[], Awaitable[float]]


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """How much one run does."""

    posts: int = 3_000
    batch: int = 5_000
    lines: int = 1_000
    events: int = 3_000
    connections: int = 64


@dataclass(frozen=True, kw_only=True)
class Sides:
    """The two measures of one row."""

    ours: Measure
    baseline: Measure


@dataclass(frozen=True, kw_only=True)
class Row:
    """One row: what is compared with what, and how to open it."""

    name: str
    title: str
    unit: str
    open: Callable[[Sizes], AbstractAsyncContextManager[Sides]]


class _Client:
    """Posts to one port, always under new external ids."""

    def __init__(self, port: int, key: str, sizes: Sizes) -> None:
        self._port = port
        self._key = key
        self._sizes = sizes

    async def singles(self) -> float:
        """Post one document a request over many connections."""
        return await self._post(self._sizes.posts, 1, self._sizes.connections)

    async def batches(self) -> float:
        """Post many documents a request, one request after the other."""
        return await self._post(self._sizes.batch, self._sizes.lines, 1)

    async def events(self) -> None:
        """Post what another row will use up."""
        await self._post(self._sizes.events, self._sizes.lines, 1)

    async def _post(self, documents: int, lines: int, connections: int) -> float:
        job = Job(
            port=self._port,
            key=self._key,
            tag=new_id("bench"),
            documents=documents,
            lines=lines,
            connections=connections,
        )
        return documents / await load(job)


@contextlib.asynccontextmanager
async def _on_sqlite(sizes: Sizes, *, working: bool = False) -> AsyncIterator[_Two]:
    key = new_token()
    async with AsyncExitStack() as stack:
        folder = stack.enter_context(own_folder())
        env = settings_for(f"sqlite+aiosqlite:///{folder}/closed-loop.db", key)
        yield await _both(stack, folder, env, key, sizes, working=working)


@contextlib.asynccontextmanager
async def _on_postgres(sizes: Sizes) -> AsyncIterator[_Two]:
    key = new_token()
    async with AsyncExitStack() as stack:
        folder = stack.enter_context(own_folder())
        url = await stack.enter_async_context(own_database())
        env = settings_for(url.replace("postgresql:", "postgresql+asyncpg:", 1), key)
        await migrated(env)
        yield await _both(stack, folder, env, key, sizes)


@dataclass(frozen=True, kw_only=True)
class _Two:
    ours: _Client
    baseline: _Client


async def _both(
    stack: AsyncExitStack,
    folder: Path,
    env: dict[str, str],
    key: str,
    sizes: Sizes,
    *,
    working: bool = False,
) -> _Two:
    """Start our server and the baseline's."""
    ours = await stack.enter_async_context(
        served("ours", *(["--working"] if working else []), log=folder / "ours.log", env=env)
    )
    baseline = await stack.enter_async_context(
        served("baseline", f"--database={folder}/raw.db", log=folder / "baseline.log", env=env)
    )
    return _Two(ours=_Client(ours, key, sizes), baseline=_Client(baseline, key, sizes))


@contextlib.asynccontextmanager
async def _post_sqlite(sizes: Sizes) -> AsyncIterator[Sides]:
    async with _on_sqlite(sizes) as two:
        yield Sides(ours=two.ours.singles, baseline=two.baseline.singles)


@contextlib.asynccontextmanager
async def _post_working(sizes: Sizes) -> AsyncIterator[Sides]:
    async with _on_sqlite(sizes, working=True) as two:
        yield Sides(ours=two.ours.singles, baseline=two.baseline.singles)


@contextlib.asynccontextmanager
async def _post_postgres(sizes: Sizes) -> AsyncIterator[Sides]:
    async with _on_postgres(sizes) as two:
        yield Sides(ours=two.ours.singles, baseline=two.baseline.singles)


@contextlib.asynccontextmanager
async def _batch(sizes: Sizes) -> AsyncIterator[Sides]:
    async with _on_sqlite(sizes) as two:
        yield Sides(ours=two.ours.batches, baseline=two.baseline.batches)


@dataclass(frozen=True, kw_only=True)
class _Scaled:
    """The program in this process on PostgreSQL and Kafka, workers in our own hands."""

    system: System
    client: _Client
    address: str
    prefix: str

    def worker(self, name: str) -> Worker:
        """Return one worker by its name."""
        return next(worker for worker in self.system.workers if worker.name == name)

    async def count(self, query: str) -> int:
        """Return one number from the database."""
        async with self.system.database.reading() as view:
            return int(await view.scalar(text(query)))

    async def drive(self, worker: Worker, until: Callable[[], Awaitable[bool]]) -> None:
        """Step a worker, as the supervisor does, until a condition holds."""
        deadline = time.perf_counter() + _PATIENCE
        while not await until():
            if time.perf_counter() > deadline:
                raise TryLater(f"{worker.name} did not get through in {_PATIENCE:g} seconds")
            while await worker.step():
                pass

    async def published(self) -> bool:
        """Tell whether the outbox of ingest is empty."""
        return not await self.count(
            "SELECT count(*) FROM ingest_outbox WHERE published_at IS NULL"
        )


@contextlib.asynccontextmanager
async def _scaled(sizes: Sizes) -> AsyncIterator[_Scaled]:
    servers = kafka()
    key, prefix = new_token(), f"{new_id('bench')}."
    async with AsyncExitStack() as stack:
        folder = stack.enter_context(own_folder())
        address = await stack.enter_async_context(own_database())
        url = address.replace("postgresql:", "postgresql+asyncpg:", 1)
        env = settings_for(url, key)
        await migrated(env)
        port = await stack.enter_async_context(served("ours", log=folder / "ours.log", env=env))
        stack.push_async_callback(
            baselines.forget_topics, servers, [prefix + topic for topic in topics.ALL]
        )
        settings = Settings(database_url=url, secret=SecretStr(env["CLOSED_LOOP_SECRET"]))
        bus = Renamed(KafkaBus(servers, SystemClock()), prefix)
        system = await stack.enter_async_context(compose(settings, bus=bus))
        yield _Scaled(
            system=system,
            client=_Client(port, key, sizes),
            address=address,
            prefix=prefix,
        )


@contextlib.asynccontextmanager
async def _loop(sizes: Sizes) -> AsyncIterator[Sides]:
    async with _scaled(sizes) as scaled, AsyncExitStack() as stack:
        inserter = baselines.Inserter(scaled.address)
        await inserter.start()
        stack.push_async_callback(inserter.stop)
        relay, consumer = scaled.worker("relay.ingest"), scaled.worker("loop")
        await consumer.step()  # joins its group, so that no run pays for that

        async def ours() -> float:
            await scaled.client.events()
            await scaled.drive(relay, scaled.published)
            before = await scaled.count(_HANDLED)

            async def handled() -> bool:
                return await scaled.count(_HANDLED) - before >= sizes.events

            began = time.perf_counter()
            await scaled.drive(consumer, handled)
            return sizes.events / (time.perf_counter() - began)

        async def baseline() -> float:
            records = [value for _, value in await _newest(scaled, sizes.events)]
            await inserter.empty()
            began = time.perf_counter()
            await inserter.insert(records, together=PER_TRANSACTION)
            return sizes.events / (time.perf_counter() - began)

        yield Sides(ours=ours, baseline=baseline)


@contextlib.asynccontextmanager
async def _relay(sizes: Sizes) -> AsyncIterator[Sides]:
    async with _scaled(sizes) as scaled, AsyncExitStack() as stack:
        relay = scaled.worker("relay.ingest")
        producer = baselines.Producer(kafka())
        await producer.start()
        stack.push_async_callback(producer.stop)
        topic = scaled.prefix + topics.RESPONSES

        async def ours() -> float:
            await scaled.client.events()
            began = time.perf_counter()
            await scaled.drive(relay, scaled.published)
            return sizes.events / (time.perf_counter() - began)

        async def baseline() -> float:
            records = await _newest(scaled, sizes.events)
            began = time.perf_counter()
            await producer.send(topic, records, together=ON_THEIR_WAY)
            return sizes.events / (time.perf_counter() - began)

        yield Sides(ours=ours, baseline=baseline)


async def _newest(scaled: _Scaled, many: int) -> list[tuple[bytes, bytes]]:
    """Return key and value of the latest announcements, as they lie on the bus."""
    async with scaled.system.database.reading() as view:
        rows = await view.all(
            text(
                "SELECT key, body FROM ingest_outbox ORDER BY seq DESC LIMIT :many"
            ).bindparams(many=many)
        )
    return [(row.key.encode(), row.body) for row in rows]


_HANDLED: Final = "SELECT count(*) FROM loop_inbox"

ROWS: Final = (
    Row(
        name="post-sqlite",
        title="one durable POST, SQLite / a route that does nothing",
        unit="requests/s",
        open=_post_sqlite,
    ),
    Row(
        name="post-sqlite-working",
        title="the same while the workers take all of it through the loop",
        unit="requests/s",
        open=_post_working,
    ),
    Row(
        name="post-postgresql",
        title="one durable POST, PostgreSQL / a route that does nothing",
        unit="requests/s",
        open=_post_postgres,
    ),
    Row(
        name="batch",
        title="NDJSON batch, SQLite / the same lines by executemany",
        unit="lines/s",
        open=_batch,
    ),
    Row(
        name="loop",
        title="Kafka to committed effect / single asyncpg inserts",
        unit="events/s",
        open=_loop,
    ),
    Row(
        name="relay",
        title="outbox to Kafka / aiokafka's producer",
        unit="records/s",
        open=_relay,
    ),
)
