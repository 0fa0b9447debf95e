"""What is refused before anything is served, with the setting and the remedy."""

from __future__ import annotations

import os
import shutil
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from pydantic import SecretStr

from services.commands.starting import (
    require_fit,
    require_room,
    require_sound,
    require_time,
    require_whole_mail,
    warnings,
)
from services.composition import _clock_check
from shared.bus.embedded import EmbeddedBus
from shared.clock import SystemClock
from shared.db.engine import Engines
from shared.db.soundness import clocks_apart, require_durable, require_one_time, sqlite_warning
from shared.db.transaction import Database
from shared.errors import Misconfigured, TryLater
from shared.events import topics
from shared.settings import Settings
from shared.web.health import OK
from tests.fakes import ManualClock
from tests.infra.postgres import PostgresServer

SMTP = "smtp://mail.example.org:25"


@pytest.mark.parametrize(
    ("given", "named"),
    [
        (
            {
                "smtp_url": SecretStr("smtps://me@mail.example.org"),
                "mail_from": "loop@example.org",
            },
            "CLOSED_LOOP_SMTP_URL",
        ),
    ],
)
def test_half_a_mail_setting_is_refused(given: dict[str, Any], named: str) -> None:
    with pytest.raises(Misconfigured, match=named):
        require_whole_mail(Settings(**given))


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"smtp_url": SecretStr(SMTP), "mail_from": "loop@example.org"},
        {
            "smtp_url": SecretStr("smtps://me:word@mail.example.org"),
            "mail_from": "loop@example.org",
        },
    ],
)
def test_a_whole_one_is_taken(given: dict[str, Any]) -> None:
    require_whole_mail(Settings(**given))


def test_mail_without_a_sender_of_ones_own_is_a_warning() -> None:
    settings = Settings(smtp_url=SecretStr(SMTP))

    require_whole_mail(settings)

    assert any("CLOSED_LOOP_MAIL_FROM" in sentence for sentence in warnings(settings))


def test_a_clock_from_before_the_program_is_refused(tmp_path: Path) -> None:
    """A machine without a battery begins in 1970: every deadline would be wrong."""
    with pytest.raises(Misconfigured, match="set-ntp"):
        require_time(ManualClock(datetime(1970, 1, 1, tzinfo=UTC)))
    require_fit(Settings(database_url=f"sqlite+aiosqlite:///{tmp_path}/x.db"), ManualClock())


def test_a_full_disk_is_refused_with_the_setting_that_points_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings(database_url=f"sqlite+aiosqlite:///{tmp_path}/new/closed-loop.db")
    assert require_room(settings)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=4096))

    with pytest.raises(Misconfigured, match="CLOSED_LOOP_DATABASE_URL"):
        require_room(settings)


def test_a_folder_that_cannot_be_written_to_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)

    with pytest.raises(Misconfigured, match="needs its folder too"):
        require_room(Settings(database_url=f"sqlite+aiosqlite:///{tmp_path}/closed-loop.db"))


@pytest.mark.parametrize(
    ("version", "unsafe"),
    [((3, 11, 7), True), ((3, 11, 10), False), ((3, 12, 4), True), ((3, 13, 0), False)],
)
def test_an_unsafe_mail_module_is_a_warning(version: tuple[int, ...], unsafe: bool) -> None:
    settings = Settings(database_url="postgresql+asyncpg://a@b/c")

    assert any("CVE-2024-6923" in said for said in warnings(settings, version)) is unsafe


def test_a_sqlite_that_two_processes_can_break_is_a_warning() -> None:
    assert "3.51.3" in (sqlite_warning((3, 51, 2)) or "")
    assert sqlite_warning((3, 51, 3)) is None


# ------------------------------------------------------------------ what PostgreSQL says


class Saying:
    """Engines over a PostgreSQL with these settings."""

    dialect = "postgresql"

    def __init__(self, **off: str) -> None:
        self._off = off
        self.reader = self

    @asynccontextmanager
    async def connect(self) -> Any:
        yield self

    async def execute(self, statement: Any) -> Any:
        self._value = self._off.get(str(statement).removeprefix("SHOW "), "on")
        return self

    def scalar_one(self) -> str:
        return self._value


@pytest.mark.parametrize("name", ["fsync", "synchronous_commit", "full_page_writes"])
async def test_a_postgres_that_forgets_is_refused(name: str) -> None:
    with pytest.raises(Misconfigured, match=f"Set {name} = on"):
        await require_durable(cast("Engines", Saying(**{name: "off"})))
    await require_durable(cast("Engines", Saying(synchronous_commit="remote_apply")))


@pytest.mark.postgres
async def test_a_real_postgres_is_asked_in_our_own_session(
    postgres_server: PostgresServer,
) -> None:
    """What is set for the database alone counts too."""
    name = postgres_server.create_database()
    engines = Engines.open(postgres_server.url(name))
    try:
        await require_durable(engines)
        await engines.close()
        postgres_server.run([f'ALTER DATABASE "{name}" SET synchronous_commit = off'])
        engines = Engines.open(postgres_server.url(name))
        with pytest.raises(Misconfigured, match="synchronous_commit = on"):
            await require_durable(engines)
    finally:
        await engines.close()
        postgres_server.drop_database(name)


# ------------------------------------------------------------------ whose time it is


def away_by(seconds: float) -> ManualClock:
    """Return a clock that stands so far from the database's."""
    return ManualClock(SystemClock().now() + timedelta(seconds=seconds))


@pytest.mark.parametrize("seconds", [-200, 200])
async def test_a_database_that_lives_in_another_time_is_refused(
    engines: Engines, seconds: float
) -> None:
    with pytest.raises(Misconfigured, match=r"(199|200) s away .* NTP"):
        await require_one_time(engines, away_by(seconds))
    bus = EmbeddedBus(Database(engines), ManualClock())
    await bus.create_topics(topics.ALL)
    with pytest.raises(Misconfigured, match="NTP"):
        await require_sound(engines, bus, away_by(seconds))


async def test_seconds_apart_are_no_reason_not_to_start(engines: Engines) -> None:
    assert 50 < await require_one_time(engines, away_by(60)) < 61
    assert await clocks_apart(engines, SystemClock()) < 1


async def test_while_it_serves_it_is_said_when_the_clocks_drift_apart(engines: Engines) -> None:
    """SQLite has our own clock: there is nothing to say of it."""
    checks = _clock_check(engines, away_by(30))
    if engines.dialect == "sqlite":
        assert checks == {}
        return
    said = await checks["clock"]()
    assert said is not None
    assert said.state == "degraded"
    assert "s away from ours; set both by NTP" in said.text
    assert await _clock_check(engines, SystemClock())["clock"]() == OK


# ------------------------------------------------------------------ what the bus says


async def test_a_topic_that_nobody_made_is_refused(engines: Engines) -> None:
    bus = EmbeddedBus(Database(engines), ManualClock())
    with pytest.raises(Misconfigured, match="closed-loop migrate"):
        await require_sound(engines, bus, SystemClock())

    await bus.create_topics(topics.ALL)

    await require_sound(engines, bus, SystemClock())


async def test_a_bus_that_is_away_is_no_reason_not_to_start(engines: Engines) -> None:
    class Away:
        async def ping(self) -> None:
            raise TryLater("the broker is away", slug="bus-unavailable")

    await require_sound(engines, cast("Any", Away()), SystemClock())
