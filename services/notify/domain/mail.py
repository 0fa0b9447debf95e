"""What may stand in a mail: addresses, header values, and the words of others.

The interpreter's own e-mail module is not trusted here: several of its releases turn crafted
values into headers of their own, or read another address than the one that was written.
"""

from __future__ import annotations

import re
import textwrap
import unicodedata
from dataclasses import dataclass

_LOCAL = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*")
_LABEL = re.compile(r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?")
_NAMED = re.compile(r"([^<>]*)<([^<>]+)>")
_INVISIBLE = frozenset({"Cc", "Cf", "Zl", "Zp", "Cs"})
_MAC_LENGTH = 16
_LONGEST_NAME = 30
_REFUSED_CATEGORIES = _INVISIBLE | {"Co", "Cn"}

HEADERS = frozenset(
    {
        "from",
        "to",
        "subject",
        "date",
        "message-id",
        "auto-submitted",
        "x-entity-ref-id",
        "mime-version",
        "content-type",
        "content-transfer-encoding",
    }
)
"""Every header that a mail of ours may have; one more means that somebody's text became one."""


@dataclass(frozen=True, kw_only=True)
class Sender:
    """Who our mails come from, and the mailbox that takes their bounces if it is another."""

    name: str
    address: str
    bounces_to: str | None = None

    @property
    def domain(self) -> str:
        """Return the part after the @."""
        return self.address.rpartition("@")[2]


def address_problem(address: str) -> str | None:
    """Say what is wrong with an address, or None: one ASCII addr-spec and nothing beside it."""
    if len(address) > 254:
        return "too_long"
    if not address.isascii() or not address.isprintable() or " " in address:
        return "not_plain_ascii"
    local, at, domain = address.rpartition("@")
    if not at or not local or not domain:
        return "not_an_address"
    if len(local) > 64 or not _LOCAL.fullmatch(local):
        return "local_part"
    labels = domain.split(".")
    is_domain = len(labels) >= 2 and len(domain) <= 253 and all(map(_LABEL.fullmatch, labels))
    return None if is_domain and not labels[-1].isdigit() else "domain"


def sender_of(text: str) -> Sender | None:
    """Read ``Name <address>`` or a bare address; None when it is neither."""
    named = _NAMED.fullmatch(text.strip())
    name, address = (named[1].strip(), named[2].strip()) if named else ("", text.strip())
    name = name[1:-1] if len(name) > 1 and name[0] == name[-1] == '"' else name
    if address_problem(address) or header_safe(name) != name:
        return None
    return Sender(name=name, address=address)


def return_path(mailbox: str, name: str, mac: str) -> str:
    """Return an address of ``mailbox`` for one delivery: ``local+name.mac@domain``.

    The keyed digest keeps anybody from making up bounces of deliveries they were not sent.
    """
    local, _, domain = mailbox.rpartition("@")
    return f"{local}+{name}.{mac[:_MAC_LENGTH]}@{domain}"


def bounce_mailbox_problem(mailbox: str) -> str | None:
    """Say why bounces cannot be taken at this mailbox, or None."""
    sample = return_path(mailbox, "x" * _LONGEST_NAME, "x" * _MAC_LENGTH)
    return address_problem(mailbox) or address_problem(sample)


def header_safe(text: str, *, longest: int = 200) -> str:
    """Return ``text`` fit for a header: no control or direction marks, no encoded words.

    An encoded word inside a value may be decoded into line breaks by the reader's or by our own
    library, so its opening is broken up.
    """
    kept = "".join(
        " " if unicodedata.category(char) in _REFUSED_CATEGORIES else char for char in text
    )
    while "=?" in kept:
        kept = kept.replace("=?", "= ?")
    kept = " ".join(kept.split())
    return kept if len(kept) <= longest else kept[: longest - 1].rstrip() + "…"


def body_safe(text: str) -> str:
    """Return the customer's words fit for a body: every character but the invisible controls.

    Line breaks and tabs stay; marks that turn the direction of the text around do not, because
    they reach beyond the words into ours.
    """
    plain = text.replace("\r\n", "\n").replace("\r", "\n")
    return "".join(
        char
        for char in plain
        if char in "\n\t"
        or char == "\u200d"  # holds emoji together
        or not (_is_no_character(char) or unicodedata.category(char) in _INVISIBLE)
    )


def _is_no_character(char: str) -> bool:
    """Tell whether this code point will never be one; no markup may hold it."""
    return ord(char) & 0xFFFE == 0xFFFE or 0xFDD0 <= ord(char) <= 0xFDEF


def wrapped(text: str, *, prefix: str = "", columns: int = 72) -> str:
    """Return text in lines of at most ``columns``, each behind ``prefix``; URLs stay whole."""
    lines: list[str] = []
    for paragraph in text.split("\n"):
        lines += textwrap.wrap(
            paragraph,
            columns - len(prefix),
            break_long_words=False,
            break_on_hyphens=False,
        ) or [""]
    return "\n".join(f"{prefix}{line}".rstrip() for line in lines)
