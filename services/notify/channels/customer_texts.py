"""The words of a mail to a customer: a person first, one question, and a way to reach somebody.

What went wrong inside the company has no place in it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from services.notify.channels.texts import LONGEST_NAME, Rendered, rendered
from services.notify.domain.customers import ASK_IF_SETTLED, QuestionFacts
from services.notify.domain.mail import Sender, header_safe
from shared.i18n import SOURCE, Reader, supported
from shared.identity.owners import Owner


@dataclass(frozen=True, kw_only=True)
class _Values:
    """Everything that the templates may name."""

    language: str
    name: str = field(repr=False)
    touchpoint: str
    person: str
    address: str
    until: str
    link: str = field(repr=False)


def render_question(
    facts: QuestionFacts,
    *,
    person: Mapping[str, Any],
    contact: Owner | None,
    sender: Sender,
    link: str,
) -> Rendered:
    """Return the mail that asks a customer whether it is settled, in their language."""
    customer = person.get("customer") or {}
    reader = Reader(language=supported(facts.language) or SOURCE)
    values = _Values(
        language=reader.catalogue,
        name=_one_line(customer.get("name")),
        touchpoint=_one_line(facts.touchpoint),
        person=_one_line(contact.name if contact else None)
        or reader.gettext("our customer service"),
        address=(contact.email if contact else None) or sender.address,
        until=reader.date(facts.expires_at),
        link=link,
    )
    return rendered(ASK_IF_SETTLED, asdict(values), language=reader.catalogue)


def _one_line(value: object) -> str:
    return header_safe(value, longest=LONGEST_NAME) if isinstance(value, str) else ""
