"""Keys: made, replaced and revoked."""

from __future__ import annotations

from services.ingest.pages.keys.page import KeyPage, KeyShownPage, KeysPage
from services.ingest.pages.keys.routes import router

__all__ = ["KeyPage", "KeyShownPage", "KeysPage", "router"]
