"""The HTTP doors of ingest: posting one response or many, and asking what became of them."""

from __future__ import annotations

from fastapi import APIRouter

from services.ingest.api import (
    batch,
    hooks,
    imports,
    keys,
    lookup,
    payloads,
    persons,
    retention,
    single,
    sources,
)

router = APIRouter()
DOORS = (batch, single, hooks, lookup, imports, keys, sources, payloads, persons, retention)
for door in DOORS:
    # Not include_router: its routes are matched twice for every request.
    router.routes.extend(door.router.routes)

__all__ = ["router"]
