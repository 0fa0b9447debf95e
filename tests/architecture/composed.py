"""The composed program of all roles on a fresh SQLite file, and a plain view of its routes."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from fastapi import FastAPI
from fastapi.routing import iter_route_contexts
from pydantic import SecretStr
from starlette.routing import Mount

from services.composition import System, compose
from shared.settings import Settings
from shared.web.auth import PROVEN_ROUTES, PUBLIC_ROUTES, needed_by

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, kw_only=True)
class Door:
    """One route with one method, as the application has it."""

    method: str
    path: str
    guards: int
    summary: str | None
    in_schema: bool

    @property
    def name(self) -> str:
        """Return what the tables call it."""
        return f"{self.method} {self.path}"

    @property
    def is_public(self) -> bool:
        """Tell whether it is listed as open to everybody."""
        return self.path in PUBLIC_ROUTES

    @property
    def asks_for_proof(self) -> bool:
        """Tell whether it is listed as one that checks a proof of its own."""
        return self.path in PROVEN_ROUTES


@asynccontextmanager
async def composed() -> AsyncIterator[System]:
    """Compose every role on SQLite; no worker runs."""
    with TemporaryDirectory() as folder:
        settings = Settings(
            database_url=f"sqlite+aiosqlite:///{folder}/closed-loop.db",
            secret=SecretStr("-" * 32),
            public_url="http://127.0.0.1:8000",
        )
        async with compose(settings) as system:
            yield system


def doors(app: FastAPI) -> list[Door]:
    """Return every route and method of an application, mounted folders left out."""
    return list(_doors(app))


def _doors(app: FastAPI) -> Iterator[Door]:
    for route in iter_route_contexts(app.routes):
        if isinstance(route.original_route, Mount):
            continue
        dependant = getattr(route, "dependant", None)
        path = re.sub(r":path}", "}", str(route.path))
        for method in sorted((route.methods or set()) - {"HEAD"}):
            yield Door(
                method=method,
                path=path,
                guards=_guards(dependant),
                summary=getattr(route, "summary", None),
                in_schema=bool(getattr(route, "include_in_schema", False)),
            )


def _guards(dependant: Any) -> int:
    """Count the guards of a route, however deep its dependencies lie."""
    if dependant is None:
        return 0
    return sum(
        (needed_by(each.call) is not None) + _guards(each) for each in dependant.dependencies
    )
