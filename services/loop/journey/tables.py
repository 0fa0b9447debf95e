"""The touchpoints, known and merely seen."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, Integer, String, Table

from shared.db.base import UtcDateTime, metadata

touchpoints = Table(
    "loop_touchpoints",
    metadata,
    Column("code", String(200), primary_key=True),
    Column("name", String(200)),
    Column("macro", String(200)),
    Column("owner_id", String(40)),
    Column("owner_kind", String(10)),
    Column("department_id", String(40)),
    Column("mapped", Boolean, nullable=False),
    Column("first_seen_at", UtcDateTime, nullable=False),
    Column("version", Integer, nullable=False),
)
