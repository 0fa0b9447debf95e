"""The tables of loop; every name begins with ``loop_``."""

from __future__ import annotations

from shared.db.plumbing import plumbing
from shared.identity.erasure import PersonalColumn

PLUMBING = plumbing("loop")

PERSONAL = (
    PersonalColumn(table="loop_dead_letters", column="sealed_body", how="scrub"),
    PersonalColumn(table="loop_requests", column="sealed_answer", how="sealed"),
)
"""What could not be handled, wiped once somebody has looked at it; and what was answered."""
