"""The desk at which webhooks are looked after: notify behind its pages, people at browsers.

Everybody here is made up. Ada administers, Dev connects systems, Uwe audits and may only look,
Lea leads and has no business with webhooks.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Final

import httpx
from fastapi import FastAPI

from services.notify.api import router
from services.notify.listeners import TASK_EVENTS, hear_events
from services.notify.pages import ROUTERS
from services.notify.tables import PLUMBING
from shared.bus.consumer import Consumer
from shared.bus.embedded import EmbeddedBus
from shared.db.engine import Engines
from shared.db.transaction import Database
from shared.events import topics
from shared.identity import sessions
from shared.identity.people import create_staff
from shared.identity.person_keys import PersonKeys
from shared.identity.principal import Role
from shared.letters import LetterDesk
from shared.sealing import Keyring
from shared.service import Service
from shared.settings import Settings
from shared.web.access import Web
from shared.web.app import create_app
from shared.web.auth import session_cookie
from shared.web.dead_letters import letter_pages
from tests.fakes import ManualClock
from tests.infra.processes import free_port
from tests.notices import House
from tests.plumbing import create_tables
from tests.serving import served

PEOPLE: Final[Mapping[str, Role]] = {
    "ada": Role.ADMIN,
    "dev": Role.DEVELOPER,
    "uwe": Role.AUDITOR,
    "lea": Role.LEAD,
}


@dataclass
class WebhookDesk:
    """Notify with people at it."""

    house: House
    shared: Database
    settings: Settings = field(default_factory=Settings)
    staff: dict[str, str] = field(default_factory=dict)
    _app: FastAPI | None = None

    async def open(self) -> None:
        """Hire everybody."""
        await self.house.prepare()
        async with self.house.database.transaction() as tx:
            for nick, role in PEOPLE.items():
                made = await create_staff(
                    tx,
                    email=f"{nick}@example.org",
                    name=nick.capitalize(),
                    role=role,
                    now=self.house.clock.now(),
                )
                self.staff[nick] = made.id

    @property
    def letters(self) -> LetterDesk:
        """What could not be handled, and whoever handles it now."""
        house = self.house
        consumer = Consumer(
            name="notify",
            topics=[topics.TASKS],
            kinds=TASK_EVENTS,
            handler=hear_events(public_url=self.settings.public_url, wake=lambda: None),
            database=house.database,
            bus=EmbeddedBus(self.shared, house.clock),
            clock=house.clock,
            keyring=house.keyring,
        )
        return LetterDesk(
            "notify",
            database=house.database,
            workers=[consumer],
            clock=house.clock,
            keyring=house.keyring,
        )

    @property
    def app(self) -> FastAPI:
        """The application, made under the address that is set by then."""
        if self._app is None:
            self._app = create_app(
                web=Web(
                    settings=self.settings,
                    clock=self.house.clock,
                    database=self.shared,
                    keyring=self.house.keyring,
                    person_keys=self.house.person_keys,
                ),
                services=[
                    Service(
                        name="notify",
                        routers=[router, *ROUTERS, letter_pages(self.letters)],
                        workers=[],
                        resources=self.house.notify,
                    )
                ],
            )
        return self._app

    async def cookie(self, nick: str) -> tuple[str, str]:
        """Sign somebody in; return the cookie of the session."""
        async with self.house.database.transaction() as tx:
            token = await sessions.start(tx, self.staff[nick], now=self.house.clock.now())
        return session_cookie(self.settings), token

    @contextlib.asynccontextmanager
    async def browsing(self, nick: str) -> AsyncIterator[httpx.AsyncClient]:
        """Give somebody a browser that knows no script."""
        name, token = await self.cookie(nick)
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(self.app),
            base_url=self.settings.public_url,
            cookies={name: token},
            headers={"Accept": "text/html", "Origin": self.settings.public_url},
        ) as client:
            yield client

    @contextlib.asynccontextmanager
    async def serving(self) -> AsyncIterator[str]:
        """Serve on a free port; return the address."""
        port = free_port()
        self.settings = self.settings.model_copy(
            update={"public_url": f"http://127.0.0.1:{port}"}
        )
        async with served(self.app, port):
            yield self.settings.public_url

    async def close(self) -> None:
        """Let go of what the application opened."""
        if self._app is not None:
            await self._app.state.gate.keys.settle()


@contextlib.asynccontextmanager
async def webhook_desk_on(path: str) -> AsyncIterator[WebhookDesk]:
    """Open a desk on a fresh SQLite file."""
    url = f"sqlite+aiosqlite:///{path}"
    await create_tables(url)
    engines = Engines.open(url)
    keyring = Keyring("a secret for tests, long enough to be taken")
    desk = WebhookDesk(
        house=House(
            database=Database(engines, PLUMBING),
            clock=ManualClock(),
            keyring=keyring,
            person_keys=PersonKeys(keyring),
        ),
        shared=Database(engines),
    )
    await desk.open()
    try:
        yield desk
    finally:
        await desk.close()
        await engines.close()
