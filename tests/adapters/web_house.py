"""A small service in the whole frame, for tests of the frame itself."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import httpx
import pytest
from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request

from shared.db.engine import Engines
from shared.db.transaction import Database
from shared.errors import (
    Conflict,
    Finding,
    Forbidden,
    Invalid,
    Malformed,
    NotFound,
    Stale,
    TooMany,
    TryLater,
    Unreadable,
)
from shared.identity import keys, passwords, people, sessions
from shared.identity.defaults import ensure_defaults
from shared.identity.person_keys import PersonKeys
from shared.identity.principal import Principal, Role, Scope
from shared.sealing import Keyring
from shared.service import Service
from shared.settings import Settings
from shared.web.access import Web, resources
from shared.web.app import create_app
from shared.web.auth import own_source, requires, requires_any, requires_page
from shared.web.paging import Paged, listed
from tests.fakes import ManualClock
from tests.plumbing import create_tables

CANARY = "Ca9aryQ7"
PASSWORD = "correct horse battery"
HTML = {"accept": "text/html,application/xhtml+xml;q=0.9"}


toys = APIRouter()


@dataclass(frozen=True)
class Toys:
    names: tuple[str, ...] = ("ball", "kite", "top")


class Toy(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")

    size: int = Field(ge=0, le=10)
    note: str = ""


Reader = Annotated[Principal, Depends(requires(Scope.TASKS_READ))]
Poster = Annotated[Principal, Depends(requires(Scope.RESPONSES_WRITE))]
Either = Annotated[
    Principal, Depends(requires_any(Scope.RESPONSES_READ, Scope.RESPONSES_WRITE))
]
Visitor = Annotated[Principal, Depends(requires_page(Scope.TASKS_READ))]

ERRORS = {
    "unreadable": Unreadable("Cannot be read."),
    "forbidden": Forbidden("Not you."),
    "not-found": NotFound("Nothing."),
    "conflict": Conflict("Not now.", extra={"state": "closed"}),
    "stale": Stale("Too late.", extra={"version": 4}),
    "invalid": Invalid("Wrong.", [Finding(pointer="/size", code="odd", detail="odd")] * 30),
    "too-many": TooMany("Slow down.", retry_after=7),
    "try-later": TryLater("the database cannot answer right now", retry_after=3),
    "internal": RuntimeError(f"{CANARY} was here"),
    "malformed": Malformed(f"{CANARY} was here"),
}


@toys.get("/v1/toys")
async def list_toys(request: Request, caller: Reader, page: Paged) -> dict[str, object]:
    here = request.app.state.web
    names = resources(request, Toys).names
    after = page.after(here.keyring, of="toys")
    rest = [name for name in names if after is None or name > after[0]]
    return listed(
        rest[: page.limit + 1],
        page,
        show=lambda name: {"name": name},
        key=lambda name: [name],
        keyring=here.keyring,
        of="toys",
    )


@toys.post("/v1/toys")
async def post_toy(caller: Poster, toy: Toy) -> dict[str, object]:
    return {"size": toy.size, "by": caller.id}


@toys.post("/v1/raw")
@toys.post("/v1/responses/batch")
async def post_raw(request: Request, caller: Poster) -> dict[str, object]:
    return {"bytes": len(await request.body())}


@toys.post("/v1/acts")
async def act(caller: Reader) -> dict[str, object]:
    return {"by": caller.id}


@toys.put("/v1/acts")
async def put_act(caller: Reader) -> dict[str, object]:
    return {}


@toys.get("/v1/sources")
async def sources(caller: Either) -> dict[str, object]:
    return {"source": own_source(caller)}


@toys.post("/v1/endless")
async def endless() -> None:
    await asyncio.Event().wait()


@toys.get("/v1/errors/{name}")
@toys.get("/broken/{name}")
async def fail(name: str) -> None:
    raise ERRORS[name]


@toys.get("/")
async def start(caller: Visitor) -> dict[str, object]:
    return {"name": caller.name}


@toys.get("/queue")
async def queue(caller: Visitor) -> dict[str, object]:
    return {"name": caller.name}


@toys.post("/queue")
async def change_queue(caller: Visitor) -> dict[str, object]:
    return {"name": caller.name}


@dataclass
class House:
    web: Web
    clock: ManualClock
    database: Database
    app: Any

    def client(self, *, base: str | None = None, address: str = "127.0.0.1", **more: Any):
        return httpx.AsyncClient(
            transport=httpx.ASGITransport(self.app, client=(address, 5000)),
            base_url=base or self.web.settings.public_url,
            **more,
        )

    async def key(self, *scopes: Scope, source: str = "crm") -> dict[str, str]:
        async with self.database.transaction() as tx:
            _, plain = await keys.create_key(
                tx, source=source, name=source, scopes=scopes, now=self.clock.now()
            )
        return {"authorization": f"Bearer {plain}"}

    async def person(self, role: Role = Role.AGENT, email: str = "ann@example.test") -> str:
        hashed = await passwords.hash_password(PASSWORD)
        async with self.database.transaction() as tx:
            made = await people.create_staff(
                tx,
                email=email,
                name="Ann",
                role=role,
                now=self.clock.now(),
                password_hash=hashed,
            )
        return made.id

    async def session(self, role: Role = Role.AGENT) -> dict[str, str]:
        person = await self.person(role)
        async with self.database.transaction() as tx:
            token = await sessions.start(tx, person, now=self.clock.now())
        name = "__Host-session" if "https" in self.web.settings.public_url else "session"
        return {"cookie": f"{name}={token}"}


async def build(tmp_path: Path, **more: Any) -> tuple[House, Engines]:
    url = f"sqlite+aiosqlite:///{tmp_path}/closed-loop.db"
    await create_tables(url)
    engines = Engines.open(url)
    checks = more.pop("checks", {})
    settings = Settings.model_validate(
        {"database_url": url, "public_url": "http://127.0.0.1:8000", **more}
    )
    clock, database, keyring = ManualClock(), Database(engines), Keyring("s" * 40)
    web = Web(
        settings=settings,
        clock=clock,
        database=database,
        keyring=keyring,
        person_keys=PersonKeys(keyring),
    )
    async with database.transaction() as tx:
        await ensure_defaults(tx, settings, clock.now())
    service = Service(name="toys", routers=[toys], workers=[], resources=Toys())
    app = create_app(web=web, services=[service], checks=checks)
    return House(web=web, clock=clock, database=database, app=app), engines


def with_settings(**more: Any):
    return pytest.mark.parametrize("house", [more], indirect=True)


def is_problem(answer: httpx.Response, status: int, slug: str) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = answer.json()
    assert body["type"].endswith(f"/errors/{slug}")
    assert body["status"] == status
    assert body["title"]
    assert body["detail"]
    parts = body["instance"].split("/")
    assert set(parts) <= {*answer.request.url.path.split("/"), "…"}
    assert parts[0] == ""
    assert body["request_id"] == answer.headers["x-request-id"]
    assert ("errors" in body) == (status == 422)
    assert CANARY not in answer.text
    return body
