"""The one place that makes identifiers.

An id is a prefix that names the kind and a UUIDv7 (RFC 9562) in Crockford's base 32, so that
ids sort by the time they were made and can be read over the telephone.
"""

from __future__ import annotations

import os
import secrets
import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_PAIRS = tuple(high + low for high in _ALPHABET for low in _ALPHABET)
_lock = threading.Lock()
_last = 0


def _uuid7() -> int:
    """Return a UUIDv7 as a number; strictly increasing within one process.

    The millisecond and the 12 bits after the version form one counter: several ids of one
    millisecond count upwards from a random start, and a clock stepping back never repeats.
    """
    global _last  # noqa: PLW0603 - one counter per process is what makes ids increase
    with _lock:
        stamp = (time.time_ns() // 1_000_000) << 12 | (os.urandom(1)[0] << 3)
        _last = stamp if stamp > _last else _last + 1
        stamp = _last
    tail = int.from_bytes(os.urandom(8), "big") & ((1 << 62) - 1)
    return (stamp >> 12) << 80 | 0x7 << 76 | (stamp & 0xFFF) << 64 | 0b10 << 62 | tail


def new_id(prefix: str) -> str:
    """Return a fresh id such as ``rsp_01jd…``: prefix, underscore, 26 characters."""
    number = _uuid7()
    text = "".join([_PAIRS[(number >> shift) & 1023] for shift in range(120, -1, -10)])
    return f"{prefix}_{text}"


def first_id(prefix: str, at: datetime) -> str:
    """Return what sorts before every id made at this moment or later, and after all others."""
    stamp = int(at.timestamp() * 1000)
    text = "".join([_PAIRS[((stamp << 80) >> shift) & 1023] for shift in range(120, -1, -10)])
    return f"{prefix}_{text}"


def new_token(size: int = 32) -> str:
    """Return an unguessable URL-safe text from ``size`` random bytes."""
    return secrets.token_urlsafe(size)
