"""The pure part of themes: the taxonomy and its format, and how a text is classified."""

from __future__ import annotations

from services.loop.themes.domain.classifier import Classifier, Mention
from services.loop.themes.domain.discovered_lines import discover_lines
from services.loop.themes.domain.lines import BadLine, classify_lines
from services.loop.themes.domain.starter import starter_taxonomy
from services.loop.themes.domain.taxonomy import Taxonomy, Theme, parse_taxonomy

__all__ = [
    "BadLine",
    "Classifier",
    "Mention",
    "Taxonomy",
    "Theme",
    "classify_lines",
    "discover_lines",
    "parse_taxonomy",
    "starter_taxonomy",
]
