"""The HTTP doors of ingest: posting one response or many, and asking what became of them."""

from __future__ import annotations

from fastapi import APIRouter

from services.ingest.api import batch, lookup, single

router = APIRouter()
router.include_router(batch.router)
router.include_router(single.router)
router.include_router(lookup.router)

__all__ = ["router"]
