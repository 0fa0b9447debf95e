"""The versions of the taxonomy, who mentioned what, and what that adds up to per day."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, Date, Double, Index, Integer, String, Table

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

mentions = Table(
    "loop_mentions",
    metadata,
    Column("response_id", String(40), primary_key=True),
    Column("theme_id", String(100), primary_key=True),
    Column("score", Double, nullable=False),
    Column("evidence_start", Integer),
    Column("evidence_end", Integer),
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
