"""Ingest behind its routes, and keys to knock with."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
from sqlalchemy import func, select

from services.ingest.handlers import Ingest
from services.ingest.service import build
from services.ingest.tables import PLUMBING, responses, revisions
from shared.bus.embedded import EmbeddedBus
from shared.db.engine import Engines
from shared.db.transaction import Database
from shared.events import topics
from shared.identity.keys import create_key
from shared.identity.person_keys import PersonKeys
from shared.identity.principal import Scope
from shared.sealing import Keyring
from shared.service import Kit, Service
from shared.settings import Settings
from shared.web.access import Web
from shared.web.app import create_app
from tests.fakes import ManualClock

URL = "/v1/responses"
BATCH = "/v1/responses/batch"
JSON = {"content-type": "application/json"}


class Door:
    """What a test of the routes holds."""

    def __init__(
        self,
        client: httpx.AsyncClient,
        service: Service,
        database: Database,
        clock: ManualClock,
    ) -> None:
        self.client = client
        self.service = service
        self.database = database
        self.clock = clock
        self.rights: dict[str, str] = {}

    @property
    def ingest(self) -> Ingest:
        assert isinstance(self.service.resources, Ingest)
        return self.service.resources

    async def key(self, source: str = "crm", *scopes: Scope) -> dict[str, str]:
        """Return the headers of a caller: a posting key unless other scopes are named."""
        async with self.database.transaction() as tx:
            _, plain = await create_key(
                tx,
                source=source,
                name="tests",
                scopes=scopes or (Scope.RESPONSES_WRITE,),
                now=self.clock.now(),
            )
        return {"Authorization": f"Bearer {plain}"}

    async def post(self, document: Any, **headers: str) -> httpx.Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.client.post(URL, json=document, headers={**self.rights, **named})

    async def send(self, body: bytes | str, url: str = URL, **headers: str) -> httpx.Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.client.post(
            url, content=body, headers={**JSON, **self.rights, **named}
        )

    async def get(self, path: str, **query: Any) -> httpx.Response:
        return await self.client.get(path, params=query, headers=self.rights)

    async def rows(self) -> int:
        """Return how many rows there are in all of ingest's tables."""
        number = 0
        async with self.database.reading() as view:
            for table in (responses, revisions, PLUMBING.requests, PLUMBING.outbox):
                number += await view.scalar(select(func.count()).select_from(table))
        return number


@asynccontextmanager
async def open_door(
    engines: Engines,
    clock: ManualClock,
    keyring: Keyring,
    person_keys: PersonKeys,
    *,
    database: Database | None = None,
) -> AsyncIterator[Door]:
    settings = Settings()
    database = database or Database(engines, PLUMBING)
    bus = EmbeddedBus(Database(engines), clock)
    await bus.create_topics(topics.ALL)
    service = build(
        Kit(
            settings=settings,
            clock=clock,
            database=database,
            bus=bus,
            keyring=keyring,
            person_keys=person_keys,
        )
    )
    app = create_app(
        web=Web(
            settings=settings,
            clock=clock,
            database=Database(engines),
            keyring=keyring,
            person_keys=person_keys,
        ),
        services=[service],
    )
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app=app, raise_app_exceptions=False),
        base_url="http://127.0.0.1:8000",
    ) as client:
        door = Door(client, service, database, clock)
        door.rights = await door.key()
        yield door
    await app.state.gate.keys.settle()
    for worker in service.workers:
        await worker.close()
