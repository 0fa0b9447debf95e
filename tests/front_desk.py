"""The desk at which sources are connected: ingest behind its routes, with people at browsers.

Everybody here is made up. Ada administers, Dev connects systems and may look at everything but
change nothing, Lea leads, and Sam has no business with settings.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Final

import httpx
from fastapi import FastAPI

from services.ingest.handlers import Ingest
from services.ingest.service import build
from services.ingest.tables import PLUMBING
from shared.bus.embedded import EmbeddedBus
from shared.db.engine import Engines
from shared.db.transaction import Database
from shared.events import topics
from shared.identity import sessions
from shared.identity.keys import create_key
from shared.identity.passwords import hash_password
from shared.identity.people import create_staff
from shared.identity.person_keys import PersonKeys
from shared.identity.principal import Role, Scope
from shared.sealing import Keyring
from shared.service import Kit, Service
from shared.settings import Settings
from shared.web.access import Web
from shared.web.app import create_app
from shared.web.auth import session_cookie
from tests.fakes import ManualClock
from tests.infra.processes import free_port
from tests.plumbing import create_tables
from tests.serving import served

PASSWORD: Final = "correct horse battery staple"
PEOPLE: Final[Mapping[str, Role]] = {
    "ada": Role.ADMIN,
    "dev": Role.DEVELOPER,
    "lea": Role.LEAD,
    "sam": Role.AGENT,
}


@dataclass
class FrontDesk:
    """Ingest with people at it."""

    engines: Engines
    clock: ManualClock
    keyring: Keyring
    settings: Settings = field(default_factory=Settings)
    staff: dict[str, str] = field(default_factory=dict)
    _service: Service | None = None
    _app: FastAPI | None = None

    @property
    def database(self) -> Database:
        """Return ingest's own handle."""
        return Database(self.engines, PLUMBING)

    async def open(self, *, password: bool = False) -> None:
        """Hire everybody; with a password where somebody is to sign in."""
        hashed = await hash_password(PASSWORD) if password else None
        async with self.database.transaction() as tx:
            for nick, role in PEOPLE.items():
                made = await create_staff(
                    tx,
                    email=f"{nick}@example.org",
                    name=nick.capitalize(),
                    role=role,
                    now=self.clock.now(),
                    password_hash=hashed,
                    time_zone="Europe/Berlin",
                    language="de" if nick == "lea" else "en",
                )
                self.staff[nick] = made.id

    async def build(self) -> FastAPI:
        """Return the application, made under the address that is set by then."""
        if self._app is None:
            bus = EmbeddedBus(Database(self.engines), self.clock)
            await bus.create_topics(topics.ALL)
            person_keys = PersonKeys(self.keyring)
            self._service = build(
                Kit(
                    settings=self.settings,
                    clock=self.clock,
                    database=self.database,
                    bus=bus,
                    keyring=self.keyring,
                    person_keys=person_keys,
                )
            )
            self._app = create_app(
                web=Web(
                    settings=self.settings,
                    clock=self.clock,
                    database=Database(self.engines),
                    keyring=self.keyring,
                    person_keys=person_keys,
                ),
                services=[self._service],
            )
        return self._app

    @property
    def ingest(self) -> Ingest:
        """Return what the doors hold."""
        assert self._service is not None
        assert isinstance(self._service.resources, Ingest)
        return self._service.resources

    async def key(
        self, source: str = "crm", *scopes: Scope, test: bool = False, name: str = "tests"
    ) -> str:
        """Return a key: one that posts, unless other scopes are named."""
        async with self.database.transaction() as tx:
            _, plain = await create_key(
                tx,
                source=source,
                name=name,
                scopes=scopes or (Scope.RESPONSES_WRITE,),
                now=self.clock.now(),
                test=test,
            )
        return plain

    async def cookie(self, nick: str) -> tuple[str, str]:
        """Sign somebody in; return the cookie of the session."""
        async with self.database.transaction() as tx:
            token = await sessions.start(tx, self.staff[nick], now=self.clock.now())
        return session_cookie(self.settings), token

    @contextlib.asynccontextmanager
    async def browsing(self, nick: str | None = None) -> AsyncIterator[httpx.AsyncClient]:
        """Give somebody a browser that knows no script, or a machine its client."""
        name, token = await self.cookie(nick) if nick else ("none", "")
        headers = {"Accept": "text/html", "Origin": self.settings.public_url} if nick else {}
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(await self.build()),
            base_url=self.settings.public_url,
            cookies={name: token},
            headers=headers,
        ) as client:
            yield client

    @contextlib.asynccontextmanager
    async def serving(self) -> AsyncIterator[str]:
        """Serve on a free port; return the address."""
        port = free_port()
        self.settings = self.settings.model_copy(
            update={"public_url": f"http://127.0.0.1:{port}"}
        )
        async with served(await self.build(), port):
            yield self.settings.public_url

    async def close(self) -> None:
        """Let go of what the application opened."""
        if self._app is not None:
            await self._app.state.gate.keys.settle()
        for worker in self._service.workers if self._service else ():
            await worker.close()


@contextlib.asynccontextmanager
async def front_desk_on(path: str, *, password: bool = False) -> AsyncIterator[FrontDesk]:
    """Open a desk on a fresh SQLite file."""
    url = f"sqlite+aiosqlite:///{path}"
    await create_tables(url)
    engines = Engines.open(url)
    keyring = Keyring("a secret for tests, long enough to be taken")
    desk = FrontDesk(engines=engines, clock=ManualClock(), keyring=keyring)
    await desk.open(password=password)
    try:
        yield desk
    finally:
        await desk.close()
        await engines.close()
