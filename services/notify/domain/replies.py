"""What a mail server's reply means: one table, read from top to bottom (RFC 5321, RFC 3463).

Pure: a code, a text and how far the conversation had come go in, an ``Outcome`` comes out.
Texts of the other side are hostile input and are cleaned before anybody sees them.
"""

from __future__ import annotations

import re
from datetime import timedelta
from enum import StrEnum
from typing import Final

from services.notify.domain.deliveries import Outcome, Verdict
from services.notify.domain.verdicts import cleaned

GREYLISTED: Final = timedelta(minutes=5)
"""A server that asks for patience is not asked again before this."""

_ENHANCED = re.compile(r"([245])\.(\d{1,3})\.(\d{1,3})\b")
_CHANNEL_CODES = frozenset({421, 454})
_CONFIGURATION_CODES = frozenset({530, 534, 535, 538})
_DEAD_CODES = frozenset({550, 551, 553})
_SENDER_DETAILS = frozenset({7, 8})  # of 5.1: it is our address that is refused, not theirs
_POLICY_CODES = frozenset({550, 554})
_POLICY_SUBJECTS = frozenset({6, 7})
_PASSING_SUBJECTS = frozenset({3, 4})  # of our sender: their system or network, not us


class Phase(StrEnum):
    """How far a conversation with a mail server had come."""

    CONNECT = "connect"
    HELLO = "hello"
    TLS = "tls"
    LOGIN = "login"
    SENDER = "sender"
    RECIPIENT = "recipient"
    DATA = "data"
    MAIL = "mail"  # the final dot was sent


def smtp_outcome(code: int, text: str, phase: Phase = Phase.MAIL) -> Outcome:
    """Classify a reply to a command or to the mail itself."""
    found = _ENHANCED.match(text.strip())
    subject, detail = (int(found[2]), int(found[3])) if found else (None, None)
    verdict, reason = _everywhere(code) or (
        _about_this_mail(code, subject, detail, phase)
        if phase in {Phase.RECIPIENT, Phase.DATA, Phase.MAIL}
        else _about_us(code, subject, phase)
    )
    waits = code in {450, 451} or (400 <= code <= 499 and subject == 7)
    return Outcome(
        verdict=verdict,
        reason=reason,
        code=code,
        reply=cleaned(text),
        least_wait=GREYLISTED if waits and verdict is Verdict.TRANSIENT else None,
    )


def _everywhere(code: int) -> tuple[Verdict, str] | None:
    """Return what a code means at any point of a conversation, if it does."""
    if code in _CONFIGURATION_CODES:
        return Verdict.CONFIGURATION, "mail_server_refuses_us"
    if code in _CHANNEL_CODES:
        return Verdict.CHANNEL, "mail_server_unavailable"
    return None


def _about_us(code: int, subject: int | None, phase: Phase) -> tuple[Verdict, str]:
    """Classify what was said before a recipient was named: it holds for all of our mails."""
    if phase in {Phase.CONNECT, Phase.HELLO} or not 500 <= code <= 599:
        return Verdict.CHANNEL, f"{phase}_refused"
    if phase is Phase.SENDER and subject in _PASSING_SUBJECTS:
        return Verdict.CHANNEL, f"{phase}_refused"
    return Verdict.CONFIGURATION, f"{phase}_refused"


def _about_this_mail(  # noqa: PLR0911 - a table, read row by row
    code: int, subject: int | None, detail: int | None, phase: Phase
) -> tuple[Verdict, str]:
    if 200 <= code <= 299 and phase is Phase.MAIL:
        return Verdict.ACCEPTED, "accepted"
    if code == 452 or (subject, detail) == (2, 2) or (code == 552 and subject is None):
        # 552 5.2.2 says "permanent" and means "mailbox full", which heals.
        return Verdict.TRANSIENT, "mailbox_full"
    if 400 <= code <= 499:
        return Verdict.TRANSIENT, "mail_server_said_later"
    if code in _DEAD_CODES and subject == 1:
        if detail in _SENDER_DETAILS:
            return Verdict.CONFIGURATION, "sender_refused"
        return Verdict.PERMANENT, "address_dead"
    if code in _POLICY_CODES and subject in _POLICY_SUBJECTS:
        return Verdict.PERMANENT, "refused_by_policy"
    if 500 <= code <= 599:
        return Verdict.PERMANENT, "refused"
    if phase is Phase.MAIL:
        # An answer to the mail that nobody can read is as good as none.
        return Verdict.DOUBT, "reply_not_understood"
    return Verdict.TRANSIENT, "reply_not_understood"
