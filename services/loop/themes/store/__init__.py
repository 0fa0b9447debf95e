"""Taxonomies, mentions and their roll-ups in and out of the database, set by set."""

from __future__ import annotations

from services.loop.themes.store.mentions import (
    MentionRow,
    add_mentions,
    latest_mentions,
    remove_mentions,
    responses_touching,
    themes_of,
)
from services.loop.themes.store.rollups import (
    Dimension,
    counts_by_theme,
    mentions_by_day,
    move_rollups,
)
from services.loop.themes.store.taxonomies import (
    TaxonomyRow,
    add_taxonomy,
    current_taxonomy,
    current_version,
)

__all__ = [
    "Dimension",
    "MentionRow",
    "TaxonomyRow",
    "add_mentions",
    "add_taxonomy",
    "counts_by_theme",
    "current_taxonomy",
    "current_version",
    "latest_mentions",
    "mentions_by_day",
    "move_rollups",
    "remove_mentions",
    "responses_touching",
    "themes_of",
]
