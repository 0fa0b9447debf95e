"""The tables of notify; every name begins with ``notify_``."""

from __future__ import annotations

from shared.db.plumbing import plumbing

PLUMBING = plumbing("notify")
