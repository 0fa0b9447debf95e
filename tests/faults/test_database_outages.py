"""PostgreSQL is away, hangs, swallows, dies: an honest 503, and all is well by itself after."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from shared.db.engine import Engines
from shared.db.transaction import Database
from shared.errors import TryLater
from shared.tasks import spawn
from tests.faults.checker import violations
from tests.faults.evidence import gather
from tests.faults.load import settled
from tests.faults.steady import NOTHING_CHANGED, OneProcess, Steady, ready
from tests.infra.postgres import PostgresServer, ThroughProxy
from tests.infra.processes import wait_until
from tests.infra.proxy import FaultProxy, Swallow

pytestmark = pytest.mark.postgres

Fault = tuple[Callable[[], None], Callable[[], None]]


def _outages(server: PostgresServer, proxy: FaultProxy) -> dict[str, Fault]:
    return {
        "unreachable": (proxy.cut, proxy.heal),
        "hung": (server.pause, server.resume),
        "killed": (server.kill, server.restart),
    }


class _FarPostgres(OneProcess):
    """One process whose database is behind the proxy; the checker looks past it."""

    def __init__(self, server: PostgresServer, proxy: FaultProxy, name: str) -> None:
        super().__init__(database_url=ThroughProxy(server, proxy).url(name))
        self._near = server.url(name)

    @property
    def whole_database(self) -> str:
        return self._near


@pytest.fixture
def far(own_postgres_server: PostgresServer, proxy: FaultProxy) -> Iterator[_FarPostgres]:
    name = own_postgres_server.create_database()
    with _FarPostgres(own_postgres_server, proxy, name) as installation:
        yield installation


def test_away_means_503_and_what_was_accepted_is_there_afterwards(
    far: _FarPostgres, own_postgres_server: PostgresServer, proxy: FaultProxy, unique: str
) -> None:
    steady = Steady(far, prefix=unique)
    steady.start()
    steady.more(20)
    for name, (go, come_back) in _outages(own_postgres_server, proxy).items():
        before = len(steady.answered)
        go()
        wait_until(
            lambda: ready(far)[0] == 503, what=f"not ready: {name}", seconds=30, every=0.2
        )
        wait_until(
            lambda start=before: any(one.status == 503 for one in steady.answered[start:]),  # type: ignore[misc] # the loop's own
            what=f"a refusal: {name}",
            seconds=40,
        )
        come_back()
        back = len(steady.history.accepted)
        wait_until(
            lambda start=back: len(steady.history.accepted) > start + 10,  # type: ignore[misc] # the loop's own
            what=f"responses to be taken again: {name}",
            seconds=90,
        )
        wait_until(lambda: ready(far)[0] == 200, what=f"ready: {name}", seconds=30, every=0.2)
        for one in steady.answered[before:]:
            if one.status == 503:
                assert one.retry_after is not None
            else:
                assert one.status in {0, 202}, (name, one)
    steady.stop()

    settled(far)
    evidence = gather(far)
    wrong = violations(steady.history, evidence)
    assert wrong == {}, {name: list(some)[:5] for name, some in wrong.items()}
    there = {row.external_id for row in evidence.responses}
    assert there & steady.promised_absent == set(), NOTHING_CHANGED


@pytest.fixture
def near(own_postgres_server: PostgresServer) -> tuple[PostgresServer, str]:
    name = own_postgres_server.create_database()
    own_postgres_server.run(["CREATE TABLE kept (n integer)"], database=name)
    return own_postgres_server, name


async def _connections(server: PostgresServer) -> list[dict[str, Any]]:
    query = "SELECT state FROM pg_stat_activity WHERE application_name = 'closed-loop'"
    return (await asyncio.to_thread(server.run, [query]))[0]


async def test_a_thousand_cancelled_units_of_work_leak_no_connection(
    near: tuple[PostgresServer, str],
) -> None:
    server, name = near
    engines = Engines.open(server.url(name), pool=10)
    database = Database(engines)
    lot = random.Random(16)

    async def work() -> None:
        async with database.transaction() as tx:
            await tx.execute(text("INSERT INTO kept VALUES (1)"))
            await tx.execute(text("SELECT pg_sleep(:s)"), {"s": lot.random() * 0.01})

    async def cut_off() -> None:
        with suppress(TimeoutError, TryLater):
            async with asyncio.timeout(lot.random() * 0.05):
                await work()

    for _ in range(20):
        await asyncio.gather(*(cut_off() for _ in range(50)))

    # Every connection is to be had, none is in the middle of something, and no more than ten.
    await asyncio.gather(*(work() for _ in range(10)))
    there = await _connections(server)
    assert 1 <= len(there) <= 10
    assert {row["state"] for row in there} == {"idle"}
    await engines.close()


async def test_what_a_server_never_answers_is_given_up(
    near: tuple[PostgresServer, str], proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the line swallows everything for ever: the pool gets its places back."""
    monkeypatch.setattr("shared.db.engine._ANSWER_WITHIN", 0.5)
    server, name = near
    engines = Engines.open(ThroughProxy(server, proxy).url(name), pool=2)
    database = Database(engines)

    async def count() -> int:
        async with database.transaction() as tx:
            return int(await tx.scalar(text("SELECT count(*) FROM kept")))

    assert list(await asyncio.gather(count(), count())) == [0, 0]
    proxy.use(Swallow())
    asking = [spawn(count(), name="count") for _ in range(2)]
    given_up, _ = await asyncio.wait(asking, timeout=15)
    proxy.reset()  # so that what was not given up ends as well
    found = await asyncio.gather(*asking, return_exceptions=True)
    assert len(given_up) == 2
    assert {type(one) for one in found} == {TryLater}
    proxy.heal()
    assert list(await asyncio.gather(count(), count())) == [0, 0]
    await engines.close()


async def test_a_statement_that_takes_too_long_is_ended_by_the_server(
    near: tuple[PostgresServer, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared.db.engine._STATEMENT_WITHIN", 1.0)
    server, name = near
    engines = Engines.open(server.url(name))
    database = Database(engines)
    with pytest.raises(TryLater) as raised:
        async with database.transaction() as tx:
            await tx.execute(text("INSERT INTO kept VALUES (1)"))
            await tx.execute(text("SELECT pg_sleep(30)"))
    cause = raised.value.__cause__
    assert isinstance(cause, DBAPIError)
    assert getattr(cause.orig, "sqlstate", None) == "57014", "not by the server"
    async with database.transaction() as tx:
        assert await tx.scalar(text("SELECT count(*) FROM kept")) == 0
    await engines.close()


async def test_a_lost_answer_to_a_commit_is_said_to_be_open(
    near: tuple[PostgresServer, str], proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared.db.engine._ANSWER_WITHIN", 0.5)
    server, name = near
    engines = Engines.open(ThroughProxy(server, proxy).url(name))
    database = Database(engines)
    with pytest.raises(TryLater) as raised:
        async with database.transaction() as tx:
            await tx.execute(text("INSERT INTO kept VALUES (1)"))
            proxy.down.use(Swallow())
    assert raised.value.slug == "unconfirmed"
    proxy.heal()
    # It was kept after all: what could not be promised is not denied either.
    async with database.transaction() as tx:
        assert await tx.scalar(text("SELECT count(*) FROM kept")) == 1
    await engines.close()
