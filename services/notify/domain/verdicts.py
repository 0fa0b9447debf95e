"""What the other side's reply means: one table for SMTP replies, one for HTTP answers.

Pure: codes and texts in, an ``Outcome`` out. Texts of the other side are hostile input and are
cleaned before anybody sees them.
"""

from __future__ import annotations

import re
import unicodedata
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from services.notify.domain.deliveries import Outcome, Verdict

REPLY_LIMIT = 2_000
_ENHANCED = re.compile(r"^([245])\.(\d{1,3})\.(\d{1,3})\b")

_CHANNEL_CODES = frozenset({421, 454})
_CONFIGURATION_CODES = frozenset({530, 534, 535, 538})
_POLICY_SUBJECTS = frozenset({6, 7})
_THROTTLED = frozenset({429, 502, 503, 504})
_TOO_LARGE = frozenset({413, 414})


def cleaned(text: str) -> str:
    """Return the other side's words harmless and short: no control characters, one limit."""
    kept = "".join(
        char if unicodedata.category(char)[0] not in {"C", "Z"} or char == " " else " "
        for char in text[: 4 * REPLY_LIMIT]
    )
    return " ".join(kept.split())[:REPLY_LIMIT]


def smtp_outcome(code: int, text: str) -> Outcome:  # noqa: PLR0911 - a table, read row by row
    """Classify a reply to a command or to the mail itself (RFC 5321, RFC 3463)."""
    reply = cleaned(text)
    found = _ENHANCED.match(text.strip())
    subject, detail = (int(found[2]), int(found[3])) if found else (None, None)

    def outcome(verdict: Verdict, reason: str) -> Outcome:
        return Outcome(verdict=verdict, reason=reason, code=code, reply=reply)

    if 200 <= code <= 299:
        return outcome(Verdict.ACCEPTED, "accepted")
    if code in _CONFIGURATION_CODES:
        return outcome(Verdict.CONFIGURATION, "mail_server_refuses_us")
    if code in _CHANNEL_CODES:
        return outcome(Verdict.CHANNEL, "mail_server_unavailable")
    if code == 452 or (subject, detail) == (2, 2):
        # 552 5.2.2 says "permanent" and means "mailbox full", which heals.
        return outcome(Verdict.TRANSIENT, "mailbox_full")
    if 400 <= code <= 499:
        return outcome(Verdict.TRANSIENT, "mail_server_said_later")
    if code in {550, 551, 553} and subject == 1:
        return outcome(Verdict.PERMANENT, "address_dead")
    if code in {550, 554} and subject in _POLICY_SUBJECTS:
        return outcome(Verdict.PERMANENT, "refused_by_policy")
    if 500 <= code <= 599:
        return outcome(Verdict.PERMANENT, "refused")
    return outcome(Verdict.TRANSIENT, "reply_not_understood")


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
