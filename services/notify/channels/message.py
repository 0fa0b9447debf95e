"""A mail as bytes: built by the standard library, then read back and checked.

The check does not trust the builder: a header that is not on the list, or a recipient that is
not the one meant, stops the mail before it leaves.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.message import EmailMessage
from email.utils import format_datetime

import idna

from services.notify.channels.texts import Rendered
from services.notify.domain.mail import HEADERS, Sender, address_problem, header_safe

_POLICY = policy.SMTP.clone(max_line_length=78)
_LONGEST = 998  # octets of a line (RFC 5322)
_ENDS_A_LINE = re.compile(rb"[\r\n\x00]").search


class UnsafeMail(Exception):
    """A mail that would not say what it was meant to say; it must not leave."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, kw_only=True)
class Mail:
    """One mail to one recipient, ready to leave.

    ``return_path`` is the envelope's sender; ``sender`` is the header's.
    """

    delivery_id: str
    sender: str
    return_path: str
    recipient: str = field(repr=False)
    subject: str
    raw: bytes = field(repr=False)
    person_ref: str | None = None
    person_key: bytes | None = field(default=None, repr=False)
    is_to_customer: bool = False
    """Whether the recipient is a customer, whose address is kept nowhere in the clear."""


def plain_address(address: str) -> str:
    """Return one ASCII address; raise ``UnsafeMail`` for anything else."""
    local, at, domain = address.strip().rpartition("@")
    if at and not domain.isascii():
        try:
            domain = idna.encode(domain, uts46=True).decode("ascii")
        except idna.IDNAError:
            raise UnsafeMail("address_unusable") from None
    plain = f"{local}{at}{domain}"
    if address_problem(plain):
        raise UnsafeMail("address_unusable")
    return plain


def build_mail(
    rendered: Rendered,
    *,
    delivery_id: str,
    sender: Sender,
    recipient: str,
    date: datetime,
    return_path: str | None = None,
    person_ref: str | None = None,
    person_key: bytes | None = None,
    is_to_customer: bool = False,
) -> Mail:
    """Return the mail as it will go over the wire; raise ``UnsafeMail`` if it must not.

    Id and date are the same on every try, so that a receiver can drop a second copy.
    """
    to = plain_address(recipient)
    message = EmailMessage(policy=_POLICY)
    message["From"] = f'"{sender.name}" <{sender.address}>' if sender.name else sender.address
    message["To"] = to
    message["Subject"] = header_safe(rendered.subject)
    message["Date"] = format_datetime(date)
    message["Message-ID"] = f"<{delivery_id}@{sender.domain}>"
    message["Auto-Submitted"] = "auto-generated"
    message["X-Entity-Ref-ID"] = delivery_id
    message.set_content(rendered.text, cte="quoted-printable")
    message.add_alternative(rendered.html, subtype="html", cte="quoted-printable")
    # The boundary is made of the id, so that the same mail has the same bytes.
    message.set_boundary(f"=-{delivery_id}-=")
    raw = message.as_bytes()
    _check(raw, delivery_id=delivery_id, sender=sender, recipient=to)
    return Mail(
        delivery_id=delivery_id,
        sender=sender.address,
        return_path=plain_address(return_path or sender.address),
        recipient=to,
        subject=header_safe(rendered.subject),
        raw=raw,
        person_ref=person_ref,
        person_key=person_key,
        is_to_customer=is_to_customer,
    )


def can_be_from(sender: Sender) -> bool:
    """Tell whether mails can be made that come from this sender and nobody else."""
    sample = Rendered(subject="?", text="?", html="?", language="en")
    try:
        build_mail(
            sample,
            delivery_id="dlv",
            sender=sender,
            recipient=sender.address,
            date=datetime(2026, 1, 1, tzinfo=UTC),
        )
    except UnsafeMail:
        return False
    return True


def _check(raw: bytes, *, delivery_id: str, sender: Sender, recipient: str) -> None:
    """Read the bytes as a stranger would and compare them with what was meant."""
    lines = raw.split(b"\r\n")
    if not raw.isascii() or any(map(_ENDS_A_LINE, lines)) or max(map(len, lines)) > _LONGEST:
        # Servers differ in what they take for the end of a line, and so of a mail.
        raise UnsafeMail("unexpected_line")
    seen = message_from_bytes(raw, policy=policy.default)
    names = [name.lower() for name in seen.keys()]  # noqa: SIM118 - a message, not a dict
    if not HEADERS.issuperset(names) or len(names) != len(set(names)):
        raise UnsafeMail("unexpected_header")
    if [one.addr_spec for one in seen["To"].addresses] != [recipient]:
        raise UnsafeMail("unexpected_recipient")
    if [one.addr_spec for one in seen["From"].addresses] != [sender.address]:
        raise UnsafeMail("unexpected_sender")
    if seen["Message-ID"].strip() != f"<{delivery_id}@{sender.domain}>":
        raise UnsafeMail("unexpected_id")
    parts = [part.get_content_type() for part in seen.walk()]
    if parts != ["multipart/alternative", "text/plain", "text/html"]:
        raise UnsafeMail("unexpected_structure")
