"""The pages of themes: the list, and one theme with where it stands out and its voices.

What the address asks for is read in ``asked``, figures in ``reading``, words in ``voices``.
"""

from __future__ import annotations

from services.loop.pages.themes.page import ThemePage, ThemesPage
from services.loop.pages.themes.routes import router

__all__ = ["ThemePage", "ThemesPage", "router"]
