"""The responses, and what they add up to per day."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Date,
    Index,
    Integer,
    String,
    Table,
    Text,
    text,
)

from shared.db.base import UtcDateTime, metadata
from shared.identity.erasure import PersonalColumn

responses = Table(
    "loop_responses",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("revision", Integer, nullable=False),
    Column("source", String(100), nullable=False),
    Column("measurement", String(20), nullable=False),
    Column("metric", String(8), nullable=False),
    Column("score", Integer),
    Column("category", String(16)),
    Column("sentiment", String(10)),
    Column("language", String(200)),
    Column("touchpoint", String(200), index=True),
    # Of rows of before, until it is sealed with the rest.
    Column("transaction_id", String(200)),
    Column("segment", String(200)),
    Column("product", String(200)),
    Column("channel", String(200)),
    Column("reason", String(200)),
    Column("emotion", String(200)),
    Column("question_version", String(200)),
    Column("answered_at", UtcDateTime, nullable=False, index=True),
    Column("received_at", UtcDateTime, nullable=False),
    Column("as_new", Boolean, nullable=False),
    Column("person_ref", String(40), nullable=False, index=True),
    Column("has_comment", Boolean, nullable=False),
    # Customer block, comment, attributes and the sender's own ids under the person's key, as
    # the event carried them.
    Column("sealed_person", Text),
    # The import that it came with, if it came with one.
    Column("import_id", String(40)),
    Index(
        "ix_loop_responses_in_the_clear",
        "id",
        sqlite_where=text("transaction_id IS NOT NULL"),
        postgresql_where=text("transaction_id IS NOT NULL"),
    ),
)

score_rollups = Table(
    "loop_score_rollups",
    metadata,
    # A digest of the members that tell roll-ups apart: together they would be too long
    # for an index.
    Column("key", String(32), primary_key=True),
    Column("day", Date, nullable=False),
    Column("metric", String(8), nullable=False),
    Column("measurement", String(20), nullable=False),
    Column("touchpoint", String(200), nullable=False),
    Column("segment", String(200), nullable=False),
    Column("product", String(200), nullable=False),
    Column("channel", String(200), nullable=False),
    Column("reason", String(200), nullable=False, server_default="unknown"),
    Column("n", Integer, nullable=False),
    Column("high", Integer, nullable=False),
    Column("middle", Integer, nullable=False),
    Column("low", Integer, nullable=False),
    Column("total", BigInteger, nullable=False),
    Column("squares", BigInteger, nullable=False),
    Index("ix_loop_score_rollups_of_metric", "metric", "measurement", "day"),
)
"""Scores per UTC day; ``high`` counts promoters or satisfied, ``low`` the other end."""

PERSONAL = [
    PersonalColumn(table="loop_responses", column="sealed_person", how="sealed"),
    PersonalColumn(table="loop_responses", column="transaction_id", how="scrub"),
]
