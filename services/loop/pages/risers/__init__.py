"""The page of rising themes, and of what was proposed because of them."""

from __future__ import annotations

from services.loop.pages.risers.page import RisersPage
from services.loop.pages.risers.routes import router

__all__ = ["RisersPage", "router"]
