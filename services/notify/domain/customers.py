"""What customers are written to: whether it is settled, after staff resolved their matter.

A customer's address is opened at the moment of sending and kept nowhere in the clear; the link
is signed at that moment too, so that it stands in the mail alone.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from services.notify.domain.alerts import compact, rfc3339
from shared.consent import why_not_write

if TYPE_CHECKING:
    from collections.abc import Mapping

    from shared.consent import Refusal

ASK_IF_SETTLED: Final = "customer_settled"
"""The mail that asks a customer whether it is settled."""

CUSTOMER_MAIL_KINDS: Final = (ASK_IF_SETTLED,)
"""The mails that go to customers; all others go to staff."""

LINK_PURPOSE: Final = "settled"

TASK_WENT_ON: Final = "task_went_on"
"""Why a question is held: the task was opened again, confirmed or resolved anew meanwhile."""

CUSTOMER_ERASED: Final = "customer_erased"
"""Why a question is held: there is nobody left to ask."""


@dataclass(frozen=True, kw_only=True)
class QuestionFacts:
    """A resolution that the customer is asked about, without the customer."""

    event_id: str
    type: str
    task_id: str
    version: int
    resolution: int
    expires_at: datetime
    owner_id: str
    owner_kind: str
    resolved_by: str | None
    language: str | None
    touchpoint: str | None

    @property
    def link_subject(self) -> str:
        """Return what the link is about: this resolution of this task."""
        return f"{self.task_id}.{self.resolution}"


def question_document(facts: QuestionFacts) -> bytes:
    """Return what the mail is made of later."""
    return compact({**asdict(facts), "expires_at": rfc3339(facts.expires_at)})


def question_from(document: bytes) -> QuestionFacts:
    """Read what ``question_document`` wrote."""
    members = json.loads(document)
    return QuestionFacts(
        **{**members, "expires_at": datetime.fromisoformat(members["expires_at"])}
    )


def why_not_asked(person: Mapping[str, Any] | None, refused: Refusal | None) -> str | None:
    """Say why a customer must not be asked, as a reason to hold the mail, or None.

    It is looked at once more before sending: between a resolution and the mail lie days in
    which the customer may have asked us to leave them alone.
    """
    if person is None:
        return CUSTOMER_ERASED
    why = why_not_write(
        person.get("customer") or {},
        unusable=person.get("unusable") or (),
        purpose="follow_up",
        refused=refused,
    )
    return None if why is None else f"customer_{why}"


def address_of(person: Mapping[str, Any] | None) -> str | None:
    """Return a customer's address; whether it may be written to is ``why_not_asked``'s."""
    customer = (person or {}).get("customer") or {}
    email = customer.get("email")
    return email.strip() or None if isinstance(email, str) else None
