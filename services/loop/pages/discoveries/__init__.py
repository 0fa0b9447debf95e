"""The page of new words: what customers talk about that no theme covers yet."""

from __future__ import annotations

from services.loop.pages.discoveries.page import DiscoveriesPage
from services.loop.pages.discoveries.routes import router

__all__ = ["DiscoveriesPage", "router"]
