"""The page that lays all themes beside one another by where they are mentioned."""

from __future__ import annotations

from services.loop.pages.matrix.routes import MatrixPage, router

__all__ = ["MatrixPage", "router"]
