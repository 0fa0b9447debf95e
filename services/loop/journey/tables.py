"""The touchpoints and lists of codes, known and merely seen, and how often each was named."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, Date, ForeignKey, Index, Integer, String, Table, false

from shared.db.base import Json, UtcDateTime, metadata

touchpoints = Table(
    "loop_touchpoints",
    metadata,
    Column("code", String(200), primary_key=True),
    Column("name", String(200)),
    Column("macro", String(200)),
    Column("key", Boolean, nullable=False, server_default=false()),
    # What it stands for; resolved when it is read, so that it can be taken back.
    Column("alias_of", ForeignKey("loop_touchpoints.code"), index=True),
    Column("mapped", Boolean, nullable=False),
    Column("first_seen_at", UtcDateTime, nullable=False),
    Column("version", Integer, nullable=False),
)

touchpoint_owners = Table(
    "loop_touchpoint_owners",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("code", ForeignKey("loop_touchpoints.code"), nullable=False),
    Column("owner_id", String(40), index=True),
    Column("owner_kind", String(10)),
    Column("department_id", String(40)),
    Column("valid_from", UtcDateTime, nullable=False),
    Column("valid_until", UtcDateTime),
    Index("ix_loop_touchpoint_owners_of_touchpoint", "code", "valid_from", unique=True),
)
"""Periods; those of one touchpoint never overlap, which its version guards."""

absences = Table(
    "loop_absences",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("staff_id", String(40), nullable=False, index=True),
    # A person or a team; without one the rule's deputy gets the tasks, else Customer care.
    Column("deputy_id", String(40)),
    Column("begins_at", UtcDateTime, nullable=False),
    Column("ends_at", UtcDateTime),
)
"""When somebody can be given no new tasks, and who gets them instead."""

workloads = Table(
    "loop_workloads",
    metadata,
    Column("staff_id", String(40), primary_key=True),
    Column("most_open", Integer),
    Column("deputy_id", String(40)),
    Column("version", Integer, nullable=False),
)
"""How many open tasks somebody is given at most, and who gets what is beyond."""

codes = Table(
    "loop_codes",
    metadata,
    Column("kind", String(20), primary_key=True),
    Column("code", String(200), primary_key=True),
    Column("labels", Json, nullable=False),
    Column("alias_of", String(200)),
    Column("described", Boolean, nullable=False),
    Column("retired_at", UtcDateTime),
    Column("first_seen_at", UtcDateTime, nullable=False),
    Column("version", Integer, nullable=False),
)
"""Segments, products and contact reasons."""

answer_rollups = Table(
    "loop_answer_rollups",
    metadata,
    # A digest of the members that tell roll-ups apart, which may be too long for an index.
    Column("key", String(32), primary_key=True),
    Column("day", Date, nullable=False),
    Column("kind", String(20), nullable=False),
    Column("code", String(200), nullable=False),
    Column("emotion", String(200), nullable=False),
    Column("n", Integer, nullable=False),
    Index("ix_loop_answer_rollups_of_kind", "kind", "day"),
)
"""Responses per UTC day and code, scored or not; emotions are told apart under reasons."""

calendars = Table(
    "loop_calendars",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("document", Json, nullable=False),
    Column("published_at", UtcDateTime, nullable=False),
    Column("published_by", String(40), nullable=False),
)
"""The business calendars, by version; of each the highest one applies."""
