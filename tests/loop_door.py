"""Loop behind its routes, and keys to knock with."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx

from services.loop.journey.api import ROUTERS as JOURNEY
from services.loop.journey.handlers import ensure_other
from services.loop.responses.api import router as scores
from services.loop.tasks.api import ROUTERS as TASKS
from services.loop.themes.api import ROUTERS as THEMES
from shared.db.transaction import Database
from shared.identity.keys import create_key
from shared.identity.principal import Role, Scope
from shared.service import Service
from shared.settings import Settings
from shared.web.access import Web
from shared.web.app import create_app
from tests.handlers.intake import Intake
from tests.staff import staff

EVERY_SCOPE = frozenset(Scope)


@dataclass
class Api:
    """Loop behind its routes, and keys to knock with."""

    intake: Intake
    client: httpx.AsyncClient

    async def key(self, *scopes: Scope) -> dict[str, str]:
        """Return the headers of a caller with these rights, or with all."""
        async with self.intake.database.transaction() as tx:
            _, plain = await create_key(
                tx,
                source="tests",
                name="tests",
                scopes=scopes or EVERY_SCOPE,
                now=self.intake.clock.now(),
            )
        return {"Authorization": f"Bearer {plain}"}

    async def person(self, nick: str) -> str:
        """Have somebody work here; return their id."""
        person = await staff(
            self.intake.database,
            self.intake.clock.now(),
            f"{nick}@example.test",
            name=nick.title(),
            role=Role.AGENT,
        )
        return person.id

    async def get(self, path: str, *scopes: Scope, **query: Any) -> httpx.Response:
        """Read something."""
        return await self.client.get(path, params=query, headers=await self.key(*scopes))

    async def send(
        self,
        method: str,
        path: str,
        *scopes: Scope,
        json: Any = None,
        **headers: str,
    ) -> httpx.Response:
        """Change something."""
        rights = await self.key(*scopes)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.client.request(method, path, json=json, headers={**rights, **named})


@asynccontextmanager
async def opened(intake: Intake, shared: Database) -> AsyncIterator[Api]:
    """Serve loop's routes without a network; ``shared`` is the frame's way to the database."""
    await intake.prepare()
    async with intake.database.transaction() as tx:
        await ensure_other(tx, now=intake.clock.now())
    app = create_app(
        web=Web(
            settings=Settings(),
            clock=intake.clock,
            database=shared,
            keyring=intake.keyring,
            person_keys=intake.person_keys,
        ),
        services=[
            Service(
                name="loop",
                routers=[*THEMES, scores, *TASKS, *JOURNEY],
                workers=[],
                resources=intake.loop,
            )
        ],
    )
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://127.0.0.1:8000"
    ) as client:
        yield Api(intake=intake, client=client)
    # The use of a key is written down beside the request.
    await app.state.gate.keys.settle()
