"""The tables of ingest; every name begins with ``ingest_``."""

from __future__ import annotations

from shared.db.plumbing import plumbing

PLUMBING = plumbing("ingest")
