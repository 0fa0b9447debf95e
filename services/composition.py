"""The composition root: the only place that knows all three services and builds things.

Embedded and scaled-out are the same program composed differently; what differs is decided here,
from the settings, once.
"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, get_args

import services.ingest.service
import services.ingest.tables
import services.loop.service
import services.loop.tables
import services.notify.service
import services.notify.tables
from services.ingest.api.persons import request_out as person_request_out
from services.ingest.api.sources import source_out
from services.ingest.domain.payloads import read_payload
from services.ingest.domain.persons import named
from services.ingest.files import (
    Guess,
    Guesses,
    Record,
    Sheet,
    guess_columns,
    harmless,
    open_sheet,
    parse_member_line,
)
from services.ingest.handlers import (
    Ingest,
    SourceChange,
    Standing,
    change_source,
    list_standing,
    mapping_of,
    source_named,
    standing_of,
)
from services.ingest.handlers.persons import ask as ask_about_person
from services.ingest.handlers.persons import fetch as fetch_archive
from services.ingest.handlers.persons import find_person, retention
from services.ingest.handlers.sample import remove_sample
from services.ingest.mapping import CannotMap, Mapper, Mapping, read_mapping
from services.ingest.reception import Call, Result, receive
from services.loop.resources import Loop
from services.loop.themes.api.replays import shown_replay as replay_out
from services.loop.themes.handlers import Classifiers, replaying
from services.loop.themes.handlers.rereading import replay_on
from services.loop.themes.store import Replay
from services.notify.store.queue import doubt_what_waits
from shared.bus.consumer import Health
from shared.bus.embedded import EmbeddedBus
from shared.bus.kafka import KafkaBus
from shared.bus.relay import Relay
from shared.clock import Clock, SystemClock
from shared.db import leases, schema
from shared.db.engine import Engines
from shared.db.soundness import CLOCKS_APART, clocks_apart
from shared.db.transaction import Database
from shared.errors import Misconfigured, TryLater
from shared.events import topics
from shared.housekeeping import Housekeeping
from shared.identity.defaults import ensure_defaults
from shared.identity.person_keys import PersonKeys
from shared.identity.secret import load_secret, verify_secret
from shared.letters import LetterDesk
from shared.service import Kit, Service, Worker
from shared.supervisor import Supervisor, settle
from shared.tasks import spawn
from shared.web.access import Web
from shared.web.app import create_app
from shared.web.dead_letters import letter_pages
from shared.web.health import OK, Check, Report, tolerated

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from collections.abc import Mapping as ByName

    from fastapi import FastAPI

    from shared.bus.ports import Bus
    from shared.sealing import Keyring
    from shared.settings import Settings

__all__ = [
    "MODULES",
    "ROLES",
    "Call",
    "CannotMap",
    "Classifiers",
    "Guess",
    "Guesses",
    "Ingest",
    "Loop",
    "Mapper",
    "Mapping",
    "Record",
    "Replay",
    "Result",
    "Role",
    "Sheet",
    "SourceChange",
    "Standing",
    "System",
    "ask_about_person",
    "change_source",
    "compose",
    "desk_of",
    "doubt_what_waits",
    "fetch_archive",
    "find_person",
    "guess_columns",
    "harmless",
    "hold_ingest",
    "housekeeping_of",
    "list_standing",
    "look_at_mail",
    "mapping_of",
    "named",
    "open_bus",
    "open_sheet",
    "parse_member_line",
    "person_request_out",
    "read_mapping",
    "read_payload",
    "receive",
    "remove_sample",
    "replay_on",
    "replay_out",
    "replaying",
    "retention",
    "source_named",
    "source_out",
    "standing_of",
]

# From here on what waits for the bus is worth a word although the bus answers.
_MANY = 10_000
_LONG = 60.0
_PATIENCE = 3.0

look_at_mail = services.notify.service.look_at_mail
hold_ingest = services.ingest.service.hold

Role = Literal["ingest", "loop", "notify"]
ROLES: tuple[Role, ...] = get_args(Role)

MODULES: dict[Role, tuple[Any, Any]] = {
    "ingest": (services.ingest.service, services.ingest.tables),
    "loop": (services.loop.service, services.loop.tables),
    "notify": (services.notify.service, services.notify.tables),
}


@dataclass(frozen=True, kw_only=True)
class System:
    """The composed program: what is served and what runs beside it."""

    settings: Settings
    clock: Clock
    engines: Engines
    database: Database
    bus: Bus
    keyring: Keyring
    services: ByName[Role, Service]
    app: FastAPI
    supervisor: Supervisor

    @property
    def workers(self) -> Sequence[Worker]:
        """Return every worker of every composed service."""
        return [worker for service in self.services.values() for worker in service.workers]

    async def settle(self) -> int:
        """Drive every worker until all is handled; not while the supervisor runs."""
        return await settle(self.workers)


def _workers_check(supervisor: Supervisor) -> Check:
    """Return the check that names workers which failed for a minute or have stopped."""

    async def look() -> Report:
        troubles = supervisor.troubles()
        stopped = False
        for worker in supervisor.workers:
            health = getattr(worker, "health", None)
            if isinstance(health, Health) and health.state != "ok":
                troubles[worker.name] = health.reason
                stopped = stopped or not health.ready
        if not troubles:
            return OK
        return Report(
            state="failed" if stopped else "degraded",
            text="; ".join(f"{name}: {reason}" for name, reason in sorted(troubles.items())),
        )

    return look


class _BusCheck:
    """Says whether the bus answers, and what waits for it meanwhile."""

    def __init__(self, bus: Bus, workers: Sequence[Worker], clock: Clock) -> None:
        self._bus = bus
        self._relays = [worker for worker in workers if isinstance(worker, Relay)]
        self._clock = clock
        self._ping: asyncio.Task[None] | None = None

    async def __call__(self) -> Report:
        said = [trouble] if (trouble := await self._trouble()) else []
        now = self._clock.now()
        for relay in self._relays:
            waits = await relay.backlog()
            if waits.oldest is None:
                continue
            age = max(0.0, (now - waits.oldest).total_seconds())
            if trouble or waits.count >= _MANY or age >= _LONG:
                owner = relay.database.plumbing.owner
                said.append(f"{owner}: backlog {waits.count}, oldest {age:.0f} s")
        return Report(state="degraded", text="; ".join(said)) if said else OK

    async def _trouble(self) -> str:
        # What hangs also takes its time to be given up; whoever asks now is not kept waiting.
        if self._ping is None or self._ping.done():
            self._ping = spawn(self._bus.ping(), name="check.bus.ping")
        done, _ = await asyncio.wait({self._ping}, timeout=_PATIENCE)
        if not done:
            return f"no answer within {_PATIENCE:.0f} seconds"
        try:
            self._ping.result()
        except TryLater as error:
            return error.detail
        return ""


def check_footing(settings: Settings, roles: Sequence[Role]) -> None:
    """Raise ``Misconfigured`` when the roles cannot be split on this footing."""
    if len(roles) == len(ROLES):
        return
    if settings.is_sqlite:
        message = (
            "A single role cannot be served on SQLite: one process holds the file. Serve"
            " --role all, or set CLOSED_LOOP_DATABASE_URL to postgresql+asyncpg://…"
        )
        raise Misconfigured(message)
    if settings.is_embedded_bus:
        message = (
            "A single role cannot be served on the embedded bus: the roles could not hear each"
            " other. Serve --role all, or set CLOSED_LOOP_BUS to kafka://host:port."
        )
        raise Misconfigured(message)


def desk_of(kit: Kit, service: Service) -> LetterDesk:
    """Return where a service's dead letters are looked at."""
    return LetterDesk(
        service.name,
        database=kit.database,
        workers=service.workers,
        clock=kit.clock,
        keyring=kit.keyring,
    )


def housekeeping_of(kit: Kit, service: Service) -> Housekeeping:
    """Return what forgets the things of a service whose time is over."""
    return Housekeeping(
        database=kit.database, bus=kit.bus, clock=kit.clock, expiring=service.expiring
    )


def _clock_check(engines: Engines, clock: Clock) -> ByName[str, Check]:
    """Return the check that says when the database lives in another time; SQLite has ours."""

    async def look() -> Report:
        apart = await clocks_apart(engines, clock)
        if apart <= CLOCKS_APART:
            return OK
        return Report(
            state="degraded",
            text=f"the database's clock is {apart:.0f} s away from ours; set both by NTP",
        )

    return {} if engines.dialect == "sqlite" else {"clock": tolerated(look)}


def _letters_check(desks: Sequence[LetterDesk]) -> Check:
    """Return the check that says when dead letters lie too long, or are too many."""

    async def look() -> Report:
        said = [alarm for desk in desks if (alarm := await desk.alarm())]
        text = f"{'; '.join(said)}. See /settings/dead-letters"
        return Report(state="degraded", text=text) if said else OK

    return look


def open_bus(settings: Settings, engines: Engines, clock: Clock, *, partitions: int = 6) -> Bus:
    """Return the bus that the settings name; ``partitions`` is for topics yet to be made."""
    if settings.is_embedded_bus:
        return EmbeddedBus(Database(engines), clock)
    scheme, _, servers = settings.bus.partition("://")
    if scheme != "kafka" or not servers:
        message = "CLOSED_LOOP_BUS must be embedded, or kafka://host:port[,host:port]."
        raise Misconfigured(message)
    return KafkaBus(servers, clock, partitions=partitions)


@asynccontextmanager
async def compose(
    settings: Settings,
    *,
    roles: Sequence[Role] = ROLES,
    clock: Clock | None = None,
    bus: Bus | None = None,
    demonstration: bool = False,
) -> AsyncIterator[System]:
    """Open everything, hand out the composed program, close everything.

    ``bus`` stands in for the one that the settings name. ``demonstration`` says that everybody
    in it is made up.

    On SQLite the tables are brought up to date first; elsewhere they must be
    (``closed-loop migrate``). Raises ``Misconfigured`` with a sentence that names the remedy.
    """
    check_footing(settings, roles)
    clock = clock or SystemClock()
    keyring = load_secret(settings)
    async with AsyncExitStack() as stack:
        engines = Engines.open(settings.database_url)
        stack.push_async_callback(engines.close)
        if settings.is_sqlite:
            await schema.upgrade(engines)
        await schema.require_current(engines)
        common = Database(engines)
        async with common.transaction() as tx:
            if settings.is_sqlite:
                await leases.forget_all(tx)
            await verify_secret(tx, keyring, clock.now())
            await ensure_defaults(tx, settings, clock.now())
        bus = bus or open_bus(settings, engines, clock)
        stack.push_async_callback(bus.close)
        if settings.is_embedded_bus:
            await bus.create_topics(topics.ALL)
        person_keys = PersonKeys(keyring)
        built: dict[Role, Service] = {}
        desks: dict[Role, LetterDesk] = {}
        for role in roles:
            module, tables = MODULES[role]
            database = Database(engines, tables.PLUMBING)
            kit = Kit(
                settings=settings,
                clock=clock,
                database=database,
                bus=bus,
                keyring=keyring,
                person_keys=person_keys,
            )
            service = module.build(kit)
            desks[role] = desk_of(kit, service)
            keeping = housekeeping_of(kit, service)
            built[role] = replace(
                service,
                routers=[*service.routers, letter_pages(desks[role])],
                workers=[*service.workers, keeping],
            )
        for service in built.values():
            if service.prepare is not None:
                await service.prepare()
        supervisor = Supervisor(
            [worker for service in built.values() for worker in service.workers], clock=clock
        )
        web = Web(
            settings=settings,
            clock=clock,
            database=common,
            keyring=keyring,
            person_keys=person_keys,
            is_demonstration=demonstration,
        )
        yield System(
            settings=settings,
            clock=clock,
            engines=engines,
            database=common,
            bus=bus,
            keyring=keyring,
            services=built,
            app=create_app(
                web=web,
                services=list(built.values()),
                checks={
                    "database": engines.ping,
                    "bus": tolerated(_BusCheck(bus, supervisor.workers, clock)),
                    "workers": _workers_check(supervisor),
                    **_clock_check(engines, clock),
                    "dead letters": tolerated(_letters_check(list(desks.values()))),
                },
            ),
            supervisor=supervisor,
        )
