"""What members of staff are written to about their own account: a link for a new password.

The link is signed at the moment of sending, so that it stands in the mail alone; what is kept
says which wish the mail answers. Such a mail is its recipient's own: nobody gets it instead.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from services.notify.domain.alerts import compact, rfc3339

PASSWORD_RESET: Final = "password_reset"  # noqa: S105 - the kind of a mail
"""The mail with the link for a new password."""

ACCOUNT_MAIL_KINDS: Final = (PASSWORD_RESET,)
"""The mails about somebody's own account."""

LINK_OVER: Final = "link_over"
"""Why such a mail is held: its link was used, or its hour is over."""


@dataclass(frozen=True, kw_only=True)
class ResetFacts:
    """Which wish for a new password a mail answers, and until when its link is good."""

    reset_id: str
    expires_at: datetime


def reset_document(facts: ResetFacts) -> bytes:
    """Return what the mail is made of later."""
    return compact({"reset_id": facts.reset_id, "expires_at": rfc3339(facts.expires_at)})


def reset_facts_from(document: bytes) -> ResetFacts:
    """Read what ``reset_document`` wrote."""
    members = json.loads(document)
    return ResetFacts(
        reset_id=members["reset_id"],
        expires_at=datetime.fromisoformat(members["expires_at"]),
    )
