"""Signed links for people without a sign-in: who holds one may do one thing, until it expires.

A token names its subject and its end in the clear and proves both with a keyed digest, so that
nothing has to be stored. It is a right in itself: it belongs in a mail and nowhere else, in no
event, log or metric.
"""

from __future__ import annotations

import hmac
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from shared.errors import Gone, NotFound

if TYPE_CHECKING:
    from shared.sealing import Keyring

_TOKEN: Final = re.compile(r"([A-Za-z0-9_.]{1,120})~([0-9]{1,11})~([0-9a-f]{32})")
_DIGEST: Final = 32
"""Digits of the digest that a token keeps: 128 bits, which nobody guesses over a network."""


def sign(keyring: Keyring, purpose: str, subject: str, expires_at: datetime) -> str:
    """Return a token for ``subject``, good for this ``purpose`` only, until ``expires_at``."""
    end = str(int(expires_at.timestamp()))
    token = f"{subject}~{end}~{keyring.mac(_key(purpose), subject, end)[:_DIGEST]}"
    if not _TOKEN.fullmatch(token):
        message = "a link's subject may hold letters, digits, dots and underscores"
        raise ValueError(message)
    return token


def read(keyring: Keyring, purpose: str, token: str, now: datetime) -> str:
    """Return the subject of a token of ours, also while the secret is being replaced.

    Raises ``NotFound`` for what we never signed, and ``Gone`` for what has expired.
    """
    match = _TOKEN.fullmatch(token)
    if match is None:
        raise NotFound("This link is not complete. Open it from the mail once more.")
    subject, end, digest = match.groups()
    known = [
        hmac.compare_digest(mac[:_DIGEST], digest)
        for mac in keyring.macs(_key(purpose), subject, end)
    ]
    if not any(known):
        raise NotFound("This link is not complete. Open it from the mail once more.")
    if now >= datetime.fromtimestamp(int(end), tz=UTC):
        raise Gone("This link has expired. Please call or write to us instead.")
    return subject


def _key(purpose: str) -> str:
    return f"link/{purpose}"
