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
    # A digest of the five members that tell roll-ups apart, as in the score roll-ups.
    Column("key", String(32), primary_key=True),
    Column("day", Date, nullable=False),
    # Empty for the row that counts every comment, with and without a theme.
    Column("theme_id", String(100), nullable=False),
    Column("touchpoint", String(200), nullable=False),
    Column("segment", String(200), nullable=False),
    Column("product", String(200), nullable=False),
    Column("mentions", Integer, nullable=False),
    Column("rated", Integer, nullable=False),
    Column("low", Integer, nullable=False),
    Column("high", Integer, nullable=False),
    Index("ix_loop_theme_rollups_of_theme", "theme_id", "day"),
    Index("ix_loop_theme_rollups_of_day", "day"),
)
"""Mentions per UTC day; ``low`` counts unhappy customers, ``high`` happy ones."""
