"""The use cases of themes: finding mentions in a poll, listing them, changing the taxonomy."""

from __future__ import annotations

from services.loop.themes.handlers.editing import (
    CurrentTaxonomy,
    add_theme,
    change_taxonomy,
    current_taxonomy,
    install_starter,
)
from services.loop.themes.handlers.finding import (
    Classifiers,
    find_mentions,
    forget_in_discoveries,
    forget_mentions,
)
from services.loop.themes.handlers.listing import (
    Order,
    ThemeList,
    ThemeSummary,
    find_theme,
    latest_mentions,
    list_themes,
    place_of,
    themes_of,
)

__all__ = [
    "Classifiers",
    "CurrentTaxonomy",
    "Order",
    "ThemeList",
    "ThemeSummary",
    "add_theme",
    "change_taxonomy",
    "current_taxonomy",
    "find_mentions",
    "find_theme",
    "forget_in_discoveries",
    "forget_mentions",
    "install_starter",
    "latest_mentions",
    "list_themes",
    "place_of",
    "themes_of",
]
