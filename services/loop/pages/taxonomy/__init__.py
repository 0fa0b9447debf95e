"""The pages of the taxonomy: the tree, one theme, the draft, the preview, the versions."""

from __future__ import annotations

from typing import Final

from services.loop.pages.taxonomy import changing, previewing, reading
from services.loop.pages.taxonomy.page import PreviewPage, TaxonomyPage, ThemePage

__all__ = ["ROUTERS", "PreviewPage", "TaxonomyPage", "ThemePage"]

ROUTERS: Final = (reading.router, changing.router, previewing.router)
"""The pages of the taxonomy."""
