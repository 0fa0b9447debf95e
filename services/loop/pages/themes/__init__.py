"""The pages of themes: the list, and one theme with its voices."""

from __future__ import annotations

from services.loop.pages.themes.routes import router

__all__ = ["router"]
