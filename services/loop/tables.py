"""The tables of loop; every name begins with ``loop_``."""

from __future__ import annotations

from shared.db.plumbing import plumbing

PLUMBING = plumbing("loop")
