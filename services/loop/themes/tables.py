"""The versions of the taxonomy, who mentioned what, and what that adds up to per day."""

from __future__ import annotations

from sqlalchemy import (
    Boolean,
    Column,
    Date,
    Double,
    Index,
    Integer,
    String,
    Table,
    UniqueConstraint,
)

from shared.db.base import Json, UtcDateTime, metadata

taxonomies = Table(
    "loop_taxonomies",
    metadata,
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("document", Json, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("created_by", String(40)),
    Column("current", Boolean, nullable=False),
)

taxonomy_drafts = Table(
    "loop_taxonomy_drafts",
    metadata,
    # There is one draft at most; its row is always the same one.
    Column("name", String(20), primary_key=True),
    Column("version", Integer, nullable=False),
    Column("based_on", Integer, nullable=False),
    Column("document", Json, nullable=False),
    Column("changed_at", UtcDateTime, nullable=False),
    Column("changed_by", String(40), nullable=False),
)
"""The taxonomy that somebody is working on; nothing is found by it until it is published."""

mentions = Table(
    "loop_mentions",
    metadata,
    Column("response_id", String(40), primary_key=True),
    Column("theme_id", String(100), primary_key=True),
    Column("score", Double, nullable=False),
    Column("evidence_start", Integer),
    Column("evidence_end", Integer),
    # The keyword as the taxonomy listed it, or "example"; unknown for what was found before.
    Column("by", String(200)),
    Column("taxonomy_version", Integer, nullable=False),
    Column("answered_at", UtcDateTime, nullable=False),
    Index("ix_loop_mentions_latest", "theme_id", "answered_at", "response_id"),
)
"""The evidence is a span of code points of the comment, which itself stays sealed."""

theme_rollups = Table(
    "loop_theme_rollups",
    metadata,
    # A digest of the members that tell roll-ups apart, as in the score roll-ups.
    Column("key", String(32), primary_key=True),
    Column("day", Date, nullable=False),
    # Empty for the row that counts every comment, with and without a theme.
    Column("theme_id", String(100), nullable=False),
    Column("touchpoint", String(200), nullable=False),
    Column("segment", String(200), nullable=False),
    Column("product", String(200), nullable=False),
    # Rows of before do not say it until they are counted again.
    Column("source", String(100), nullable=False, server_default="unknown"),
    Column("measurement", String(20), nullable=False, server_default="unknown"),
    Column("mentions", Integer, nullable=False),
    Column("rated", Integer, nullable=False),
    Column("low", Integer, nullable=False),
    Column("high", Integer, nullable=False),
    Column("promoters", Integer, nullable=False, server_default="0"),
    Column("passives", Integer, nullable=False, server_default="0"),
    Column("detractors", Integer, nullable=False, server_default="0"),
    Index("ix_loop_theme_rollups_of_theme", "theme_id", "day"),
    Index("ix_loop_theme_rollups_of_day", "day"),
)
"""Mentions per UTC day; ``low`` counts unhappy customers, ``high`` happy ones.

``promoters``, ``passives`` and ``detractors`` count Net Promoter answers alone.
"""

discovery_nights = Table(
    "loop_discovery_nights",
    metadata,
    # The quiet hour it was due at: nobody writes what the same night found twice.
    Column("night", UtcDateTime, primary_key=True),
    Column("ended_at", UtcDateTime, nullable=False),
    Column("taxonomy_version", Integer, nullable=False),
    Column("read", Integer, nullable=False),
    Column("found", Integer, nullable=False),
)
"""The nights in which what no theme covers was looked through, and how much there was."""

discoveries = Table(
    "loop_discoveries",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("version", Integer, nullable=False),
    Column("state", String(12), nullable=False, index=True),
    # Single words and short phrases that at least three customers used; no sentence of anybody.
    Column("label", String(200), nullable=False),
    Column("keywords", Json, nullable=False),
    Column("size", Integer, nullable=False),
    Column("persons", Integer, nullable=False),
    Column("rated", Integer, nullable=False),
    Column("low", Integer, nullable=False),
    Column("weekly", Json, nullable=False),
    Column("nights", Integer, nullable=False),
    Column("missed", Integer, nullable=False),
    Column("first_seen_at", UtcDateTime, nullable=False),
    Column("last_seen_at", UtcDateTime, nullable=False),
    Column("decided_at", UtcDateTime),
    Column("decided_by", String(40)),
    Column("theme_id", String(100)),
    Column("taxonomy_version", Integer),
)
"""Groups of comments without a theme, each the same from night to night."""

discovery_members = Table(
    "loop_discovery_members",
    metadata,
    Column("discovery_id", String(40), primary_key=True),
    Column("response_id", String(40), primary_key=True),
    Column("person_ref", String(40), nullable=False, index=True),
    # 1 to 3 for the ones that show best what it is about.
    Column("typical", Integer),
    Index("ix_loop_discovery_members_of_response", "response_id"),
)
"""The responses of a group; whose person is forgotten leaves it."""

replays = Table(
    "loop_replays",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("state", String(10), nullable=False),
    # 1 until it has ended, so that there is never a second one; then null.
    Column("slot", Integer, unique=True),
    Column("taxonomy_version", Integer, nullable=False),
    # The response up to which it is done, and the last one that there was when it began.
    Column("after_id", String(40), nullable=False),
    Column("last_id", String(40), nullable=False),
    Column("total", Integer, nullable=False),
    Column("done", Integer, nullable=False),
    Column("changed", Integer, nullable=False),
    Column("unread", Integer, nullable=False),
    Column("restarts", Integer, nullable=False),
    # How many responses each theme gained and lost.
    Column("themes", Json, nullable=False),
    Column("fingerprint", String(32), nullable=False),
    Column("started_at", UtcDateTime, nullable=False),
    Column("started_by", String(40), nullable=False),
    Column("moved_at", UtcDateTime, nullable=False),
    Column("ended_at", UtcDateTime),
    Index("ix_loop_replays_latest", "started_at", "id"),
)
"""The times that every stored comment was read again by the taxonomy in use."""

theme_corrections = Table(
    "loop_theme_corrections",
    metadata,
    Column("response_id", String(40), primary_key=True),
    Column("theme_id", String(100), primary_key=True),
    Column("verdict", String(8), nullable=False),
    Column("language", String(20), nullable=False),
    # Whether it was given in a check of responses that were drawn, not chosen.
    Column("drawn", Boolean, nullable=False),
    Column("judged_at", UtcDateTime, nullable=False),
    Column("judged_by", String(40), nullable=False),
    # What the words of the taxonomy find there by themselves: the score is null for nothing.
    Column("score", Double),
    Column("evidence_start", Integer),
    Column("evidence_end", Integer),
    Column("by", String(200)),
    Column("taxonomy_version", Integer, nullable=False),
    Index("ix_loop_theme_corrections_of_theme", "theme_id", "language"),
    Index("ix_loop_theme_corrections_latest", "judged_at"),
)
"""What members of staff said of themes in responses; it outlives every other reading."""

theme_checks = Table(
    "loop_theme_checks",
    metadata,
    Column("response_id", String(40), primary_key=True),
    Column("checked_at", UtcDateTime, nullable=False),
    Column("checked_by", String(40), nullable=False),
)
"""The drawn responses of which somebody has judged every theme."""

keyword_proposals = Table(
    "loop_keyword_proposals",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("kind", String(8), nullable=False),
    Column("theme_id", String(100), nullable=False),
    Column("language", String(20), nullable=False),
    # A single word or a short phrase that at least three customers used, or a keyword in use.
    Column("words", String(200), nullable=False),
    Column("support", Integer, nullable=False),
    Column("against", Integer, nullable=False),
    Column("state", String(10), nullable=False),
    Column("proposed_at", UtcDateTime, nullable=False),
    Column("decided_at", UtcDateTime),
    Column("decided_by", String(40)),
    Column("taxonomy_version", Integer),
    UniqueConstraint(
        "theme_id", "language", "words", "kind", name="uq_loop_keyword_proposals_words"
    ),
)
"""Words to be looked for, or no longer, as corrections suggest; a person decides."""

riser_weeks = Table(
    "loop_riser_weeks",
    metadata,
    Column("week", Date, primary_key=True),
    # Its id, or whatever else the taxonomy says; empty for the themes that are nobody's.
    Column("department", String(200), primary_key=True),
    Column("judged_at", UtcDateTime, nullable=False),
)
"""Which weeks of which departments have been judged, each once; a week is its Monday."""

risers = Table(
    "loop_risers",
    metadata,
    Column("week", Date, primary_key=True),
    Column("department", String(200), primary_key=True),
    Column("theme_id", String(100), primary_key=True),
    Column("word", String(10), nullable=False),
    Column("rises", Boolean, nullable=False),
    Column("is_sharp", Boolean, nullable=False),
    Column("weeks", Integer, nullable=False),
    Column("mentions", Integer, nullable=False),
    Column("comments", Integer, nullable=False),
    Column("former_mentions", Integer, nullable=False),
    Column("former_comments", Integer, nullable=False),
    Column("former_weeks", Integer, nullable=False),
    Column("expected", Double),
    Column("range_low", Integer),
    Column("range_high", Integer),
    Column("ratio", Double),
    Column("ratio_low", Double),
    Column("ratio_high", Double),
    Index("ix_loop_risers_of_theme", "theme_id", "week"),
)
"""What was said of each theme when its week was over; it is never said anew."""

outer_items = Table(
    "loop_outer_items",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("theme_id", String(100), nullable=False),
    # The same while it is open, so that there is one open item of a theme; then null.
    Column("open_theme", String(100), unique=True),
    Column("department", String(200), nullable=False),
    Column("state", String(10), nullable=False),
    Column("reason", String(20)),
    Column("merged_into", String(40)),
    Column("owner_id", String(40)),
    Column("owner_kind", String(10)),
    # Counts, ratio and the ids of typical responses, as they were in the latest week.
    Column("evidence", Json, nullable=False),
    Column("first_week", Date, nullable=False),
    Column("last_week", Date, nullable=False),
    Column("version", Integer, nullable=False),
    Column("proposed_at", UtcDateTime, nullable=False),
    Column("decided_at", UtcDateTime),
    Column("decided_by", String(40)),
    Index("ix_loop_outer_items_latest", "proposed_at", "id"),
)
"""What a department should look into, proposed by the program and decided on by people."""
