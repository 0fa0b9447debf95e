"""``closed-loop migrate``, ``check`` and ``openapi``."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from sqlalchemy import text

from services.commands.output import data_json, rows, say
from services.commands.starting import (
    ENOUGH_FREE,
    require_time,
    require_whole_mail,
    warnings,
)
from services.composition import compose, look_at_mail, open_bus
from shared.clock import SystemClock
from shared.db import schema
from shared.db.engine import Engines, translated
from shared.db.soundness import CLOCKS_APART, clocks_apart, require_durable
from shared.errors import ClosedLoopError, Invalid, Misconfigured
from shared.events import topics
from shared.identity.secret import load_secret
from shared.settings import Settings
from shared.web.oidc import look_at_provider

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

_ROLES = ("ingest", "loop", "notify")


async def bring_up_to_date(*, grant: str | None, partitions: int) -> int:
    """Migrate the tables, create the topics, grant the roles' users their rights."""
    settings = Settings.load()
    users = _users(grant)
    engines = Engines.open(settings.database_url, patient=True)
    try:
        before, after = await schema.upgrade(engines)
        say(f"tables: {before or 'none'} -> {after}")
        if users:
            await schema.grant(engines, users)
            say("rights: " + ", ".join(f"{role} to {user}" for role, user in users.items()))
        bus = open_bus(settings, engines, SystemClock(), partitions=partitions)
        try:
            await bus.create_topics(topics.ALL)
            say(f"topics: {len(topics.ALL)} exist")
        finally:
            await bus.close()
    finally:
        await engines.close()
    say("Next: closed-loop serve")
    return 0


def _users(grant: str | None) -> dict[str, str]:
    users: dict[str, str] = {}
    for pair in (grant or "").split(","):
        if not pair.strip():
            continue
        role, _, user = pair.strip().partition("=")
        if role not in _ROLES or not user:
            message = (
                "--grant takes ROLE=USER pairs, for example ingest=cl_ingest,loop=cl_loop."
            )
            raise Invalid(message)
        users[role] = user
    return users


@dataclass(frozen=True, kw_only=True)
class _Finding:
    what: str
    state: str
    detail: str


async def check_installation(*, deep: bool, as_json: bool) -> int:
    """Look at every part; one line each; 1 when one of them failed."""
    findings: list[_Finding] = []

    async def look(what: str, at: Callable[[], Awaitable[str]]) -> None:
        try:
            findings.append(_Finding(what=what, state="ok", detail=await at()))
        except ClosedLoopError as error:
            findings.append(_Finding(what=what, state="failed", detail=str(error)))

    settings = Settings.load()

    for what, at in _beside_the_database(settings):
        await look(what, at)
    try:
        engines = Engines.open(settings.database_url, alone=False)
    except Misconfigured as error:
        findings.append(_Finding(what="database", state="failed", detail=str(error)))
    else:
        try:
            for what, at in _parts(settings, engines, deep=deep):
                await look(what, at)
        finally:
            await engines.close()
    if settings.bootstrap_api_key is not None:
        findings.append(
            _Finding(
                what="bootstrap key",
                state="note",
                detail="a key with every scope is set; revoke it when the real keys exist",
            )
        )
    findings += [
        _Finding(what="machine", state="note", detail=unwise) for unwise in warnings(settings)
    ]
    rows(
        ("what", "state", "detail"),
        [(found.what, found.state, found.detail) for found in findings],
        as_json=as_json,
    )
    return 1 if any(found.state == "failed" for found in findings) else 0


def _beside_the_database(
    settings: Settings,
) -> list[tuple[str, Callable[[], Awaitable[str]]]]:
    async def secret() -> str:
        load_secret(settings)
        return "present" + (", a former one too" if settings.secret_previous else "")

    async def mail() -> str:
        require_whole_mail(settings)
        return await look_at_mail(settings)

    async def provider() -> str:
        return await look_at_provider(settings, SystemClock())

    parts: list[tuple[str, Callable[[], Awaitable[str]]]] = [("secret", secret), ("mail", mail)]
    if settings.oidc_issuer:
        parts.append(("single sign-on", provider))
    return parts


def _parts(
    settings: Settings, engines: Engines, *, deep: bool
) -> list[tuple[str, Callable[[], Awaitable[str]]]]:
    async def database() -> str:
        await engines.ping()
        await schema.require_current(engines)
        await require_durable(engines)
        return f"{engines.dialect}, tables of version {schema.head()}"

    async def clock() -> str:
        require_time(SystemClock())
        return await _compare_clocks(engines)

    async def bus() -> str:
        if settings.is_embedded_bus:
            return "embedded, in the same database"
        opened = open_bus(settings, engines, SystemClock())
        try:
            await opened.ping()
        finally:
            await opened.close()
        return "Kafka answers, every topic exists"

    async def disk() -> str:
        path = settings.sqlite_path
        free = shutil.disk_usage(path.parent if path else ".").free
        if free < ENOUGH_FREE:
            message = f"only {free // 1_000_000} MB are free; make room before the disk is full"
            raise Misconfigured(message)
        return f"{free // 1_000_000_000} GB free"

    async def whole() -> str:
        return await _read_every_page(engines)

    parts: list[tuple[str, Callable[[], Awaitable[str]]]] = [
        ("database", database),
        ("clock", clock),
        ("bus", bus),
        ("disk", disk),
    ]
    if deep:
        parts.append(("whole database", whole))
    return parts


async def _compare_clocks(engines: Engines) -> str:
    apart = await clocks_apart(engines, SystemClock())
    if apart > CLOCKS_APART:
        message = f"the database's clock is {apart:.0f} s away from ours; set both by NTP"
        raise Misconfigured(message)
    return f"{apart:.2f} s apart from the database's"


async def _read_every_page(engines: Engines) -> str:
    if engines.dialect != "sqlite":
        return "PostgreSQL checks its own pages"
    async with translated(), engines.reader.connect() as connection:
        verdict = (await connection.execute(text("PRAGMA integrity_check"))).scalar_one()
    if verdict != "ok":
        message = f"the database file is damaged: {verdict}. Restore the last backup."
        raise Misconfigured(message)
    return "every page of the database file is sound"


async def print_openapi() -> int:
    """Print the OpenAPI document of all roles."""
    with TemporaryDirectory() as folder:
        settings = Settings.load(
            database_url=f"sqlite+aiosqlite:///{folder}/closed-loop.db",
            bus="embedded",
            secret="-" * 32,
        )
        async with compose(settings) as system:
            data_json(system.app.openapi())
    return 0
