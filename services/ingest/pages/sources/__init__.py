"""Sources: how each is connected and read, and what became of what it sent.

What the pages hold is in ``page``, how it is filled in ``reading`` and ``trying``; the
addresses are in ``routes`` and, of single payloads, in ``payloads``.
"""

from __future__ import annotations

from services.ingest.pages.sources.page import (
    PayloadPage,
    SecretShownPage,
    SourcePage,
    SourcesPage,
)
from services.ingest.pages.sources.payloads import router as payloads_router
from services.ingest.pages.sources.routes import router

__all__ = [
    "PayloadPage",
    "SecretShownPage",
    "SourcePage",
    "SourcesPage",
    "payloads_router",
    "router",
]
