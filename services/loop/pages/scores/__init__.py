"""Scores: what the answers add up to, by whatever they can be grouped by.

What the address asks for is read in ``asked``, groups get their names in ``names``, and both
the page and the file are made of the same rows in ``routes``.
"""

from __future__ import annotations

from services.loop.pages.scores.page import ScoresPage
from services.loop.pages.scores.routes import router

__all__ = ["ScoresPage", "router"]
