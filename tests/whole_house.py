"""All three services behind one application on a test's database, with keys to knock with.

Nothing runs beside the requests: ``settle`` drives the workers until all is handled.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import httpx
from fastapi import FastAPI
from fastapi.routing import APIRoute, iter_route_contexts
from sqlalchemy import func, select

from services.composition import ROLES
from shared.bus.embedded import EmbeddedBus
from shared.db.base import metadata
from shared.db.engine import Engines
from shared.db.transaction import Database
from shared.events import topics
from shared.identity import keys
from shared.identity.defaults import ensure_defaults
from shared.identity.person_keys import PersonKeys
from shared.identity.principal import Scope
from shared.letters import LetterDesk
from shared.sealing import Keyring
from shared.service import Kit, Service
from shared.settings import Settings
from shared.supervisor import settle
from shared.web.access import Web
from shared.web.app import create_app
from shared.web.dead_letters import letter_pages
from tests.fakes import ManualClock
from tests.plumbing import load_tables

BASE = "http://127.0.0.1:8000"


@dataclass(frozen=True, kw_only=True)
class ApiRoute:
    """One method of one path under ``/v1``."""

    method: str
    path: str
    dependant: Any = field(repr=False)

    @property
    def name(self) -> str:
        return f"{self.method} {self.path}"

    def depends_on(self, dependency: object) -> bool:
        """Tell whether a dependency is asked for, however deep it lies."""
        waiting = list(self.dependant.dependencies)
        while waiting:
            one = waiting.pop()
            if one.call is dependency:
                return True
            waiting += one.dependencies
        return False


def api_routes(app: FastAPI) -> list[ApiRoute]:
    """Return every route of the interface, from the application itself."""
    return [
        ApiRoute(
            method=method,
            path=re.sub(r":path}", "}", str(route.path)),
            dependant=getattr(route, "dependant", None),
        )
        for route in iter_route_contexts(app.routes)
        if isinstance(route.original_route, APIRoute) and str(route.path).startswith("/v1/")
        for method in sorted((route.methods or set()) - {"HEAD"})
    ]


@dataclass
class WholeHouse:
    """The application and what a test needs around it."""

    app: FastAPI
    clock: ManualClock
    database: Database
    services: Sequence[Service]
    settings: Settings
    keyring: Keyring
    rights: dict[str, str] = field(default_factory=dict)

    def client(self, *, address: str = "127.0.0.1", **more: Any) -> httpx.AsyncClient:
        """Return a caller with a key of every scope."""
        return httpx.AsyncClient(
            transport=httpx.ASGITransport(
                self.app, client=(address, 5000), raise_app_exceptions=False
            ),
            base_url=BASE,
            **{"headers": self.rights, **more},
        )

    async def key(self, *scopes: Scope, source: str = "crm", **more: Any) -> dict[str, str]:
        """Return the headers of a new key."""
        async with self.database.transaction() as tx:
            _, plain = await keys.create_key(
                tx, source=source, name="tests", scopes=scopes, now=self.clock.now(), **more
            )
        return {"authorization": f"Bearer {plain}"}

    async def settle(self, *, sending: bool = True) -> None:
        """Have everything handled that waits to be; without ``sending`` nothing goes out."""
        workers = [worker for service in self.services for worker in service.workers]
        await settle([w for w in workers if sending or w.name != "notify-dispatcher"])

    async def rows(self) -> Mapping[str, int]:
        """Return how many rows each table has, but for what counts the wrong callers."""
        async with self.database.reading() as view:
            return {
                table.name: int(await view.scalar(select(func.count()).select_from(table)))
                for table in metadata.sorted_tables
                if table.name.startswith(("ingest_", "loop_", "notify_", "shared_"))
            }


@asynccontextmanager
async def open_house(
    engines: Engines, clock: ManualClock, keyring: Keyring, **settings_: Any
) -> AsyncIterator[WholeHouse]:
    """Build everything on an open database with tables."""
    load_tables()
    settings = Settings.model_validate({"public_url": BASE, **settings_})
    common, person_keys = Database(engines), PersonKeys(keyring)
    bus = EmbeddedBus(common, clock)
    await bus.create_topics(topics.ALL)
    async with common.transaction() as tx:
        await ensure_defaults(tx, settings, clock.now())
    built: list[Service] = []
    for role in ROLES:
        plumbing = importlib.import_module(f"services.{role}.tables").PLUMBING
        build = importlib.import_module(f"services.{role}.service").build
        kit = Kit(
            settings=settings,
            clock=clock,
            database=Database(engines, plumbing),
            bus=bus,
            keyring=keyring,
            person_keys=person_keys,
        )
        service = build(kit)
        desk = LetterDesk(
            role,
            database=kit.database,
            workers=service.workers,
            clock=clock,
            keyring=keyring,
        )
        built.append(replace(service, routers=[*service.routers, letter_pages(desk)]))
    for service in built:
        if service.prepare is not None:
            await service.prepare()
    web = Web(
        settings=settings,
        clock=clock,
        database=common,
        keyring=keyring,
        person_keys=person_keys,
    )
    app = create_app(web=web, services=built)
    house = WholeHouse(
        app=app,
        clock=clock,
        database=common,
        services=built,
        settings=settings,
        keyring=keyring,
    )
    house.rights = await house.key(*Scope)
    yield house
    await app.state.gate.keys.settle()
    for service in built:
        for worker in service.workers:
            await worker.close()
