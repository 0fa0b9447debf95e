"""Taxonomies, mentions and their roll-ups in and out of the database, set by set."""

from __future__ import annotations

from services.loop.themes.store.corrections import (
    corrections_of,
    forget_corrections,
    replace_corrections,
)
from services.loop.themes.store.mentions import (
    MentionRow,
    add_mention_rows,
    add_mentions,
    latest_mentions,
    remove_mentions,
    responses_touching,
    themes_joined,
    themes_of,
)
from services.loop.themes.store.replays import (
    UNDER_WAY,
    Replay,
    ReplayState,
    add_replay,
    find_replay,
    list_replays,
    replay_under_way,
    save_replay,
)
from services.loop.themes.store.rollups import (
    DIMENSIONS,
    Dimension,
    Measurement,
    clear_day,
    counts_by,
    counts_by_theme,
    day_of_before,
    mentions_by_day,
    move_rollups,
)
from services.loop.themes.store.taxonomies import (
    TaxonomyRow,
    add_taxonomy,
    current_taxonomy,
    current_version,
    hold_version,
)

__all__ = [
    "DIMENSIONS",
    "UNDER_WAY",
    "Dimension",
    "Measurement",
    "MentionRow",
    "Replay",
    "ReplayState",
    "TaxonomyRow",
    "add_mention_rows",
    "add_mentions",
    "add_replay",
    "add_taxonomy",
    "clear_day",
    "corrections_of",
    "counts_by",
    "counts_by_theme",
    "current_taxonomy",
    "current_version",
    "day_of_before",
    "find_replay",
    "forget_corrections",
    "hold_version",
    "latest_mentions",
    "list_replays",
    "mentions_by_day",
    "move_rollups",
    "remove_mentions",
    "replace_corrections",
    "replay_under_way",
    "responses_touching",
    "save_replay",
    "themes_joined",
    "themes_of",
]
