"""How an API key looks: a mark, 27 characters of base 62 (160 random bits) and a checksum.

By the checksum typing errors and made-up keys are refused without asking the database.
"""

from __future__ import annotations

import zlib
from hashlib import sha256
from os import urandom

MARK = "cfl_"
TEST_MARK = "cft_"
"""What a key for trials begins with, so that nobody takes it for a real one."""

_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_LONGEST = 512


def new_text(mark: str = MARK) -> str:
    """Return a key that nobody has."""
    body = _base62(int.from_bytes(urandom(20), "big"), 27)
    return f"{mark}{body}_{_checksum(body)}"


def may_be_a_key(text: str) -> bool:
    """Tell, without the database, whether this could be a key at all."""
    if not 32 <= len(text) <= _LONGEST or not text.isascii():
        return False
    if not text.startswith((MARK, TEST_MARK)) or text.count("_") != 2:
        return True  # a bootstrap key has the form its operator gave it
    _, body, mark = text.split("_")
    return len(body) != 27 or len(mark) != 6 or mark == _checksum(body)


def digest_of(text: str) -> str:
    """Return what is stored of a key."""
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _checksum(body: str) -> str:
    return _base62(zlib.crc32(body.encode()), 6)


def _base62(number: int, width: int) -> str:
    digits = []
    for _ in range(width):
        number, digit = divmod(number, 62)
        digits.append(_ALPHABET[digit])
    return "".join(reversed(digits))
