"""What a receiver's answer means: the table of HTTP answers, and how words are cleaned.

Pure: codes and texts in, an ``Outcome`` out. Texts of the other side are hostile input and are
cleaned before anybody sees them.
"""

from __future__ import annotations

import unicodedata
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from services.notify.domain.deliveries import Outcome, Verdict

REPLY_LIMIT = 2_000
_THROTTLED = frozenset({429, 502, 503, 504})
_TOO_LARGE = frozenset({413, 414})


def cleaned(text: str) -> str:
    """Return the other side's words harmless and short: no control characters, one limit."""
    kept = "".join(
        char if unicodedata.category(char)[0] not in {"C", "Z"} or char == " " else " "
        for char in text[: 4 * REPLY_LIMIT]
    )
    return " ".join(kept.split())[:REPLY_LIMIT]


def http_outcome(status: int, *, retry_after: str | None, reply: str, now: datetime) -> Outcome:
    """Classify a receiver's answer: only 2xx is success, and redirects are refused."""
    verdict, reason, tries = Verdict.TRANSIENT, f"http_{status}", None
    if 200 <= status <= 299:
        verdict, reason = Verdict.ACCEPTED, "accepted"
    elif status == 410:
        verdict, reason = Verdict.GONE, "receiver_gone"
    elif 300 <= status <= 399:
        reason = "redirect_refused"
    elif status in _TOO_LARGE:
        tries = 3  # a body that is too large now will be too large tomorrow
    return Outcome(
        verdict=verdict,
        reason=reason,
        code=status,
        reply=cleaned(reply),
        asked_wait=asked_wait(retry_after, now) if status in _THROTTLED else None,
        tries=tries,
    )


def asked_wait(retry_after: str | None, now: datetime) -> timedelta | None:
    """Read ``Retry-After`` (seconds or HTTP date); None when absent, past or not readable."""
    value = (retry_after or "").strip()
    if value.isascii() and value.isdigit():
        return timedelta(seconds=int(value)) if len(value) <= 6 else None
    try:
        moment = parsedate_to_datetime(value)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    wait = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - now
    return wait if wait > timedelta(0) else None
