"""The routes of themes: what customers talk about, and in which words."""

from __future__ import annotations

from typing import Final

from services.loop.themes.api import (
    corrections,
    discoveries,
    impact,
    outer_items,
    quality,
    replays,
    risers,
    taxonomy,
    themes,
)

__all__ = ["ROUTERS"]

ROUTERS: Final = (
    themes.router,
    impact.router,
    risers.router,
    outer_items.router,
    discoveries.router,
    corrections.router,
    quality.router,
    replays.router,
    taxonomy.router,
)
"""Every router of the room, for the service."""
