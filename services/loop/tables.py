"""The tables of loop; every name begins with ``loop_``."""

from __future__ import annotations

from shared.db.plumbing import plumbing
from shared.identity.erasure import PersonalColumn
from shared.identity.rewrapping import plumbing_columns

PLUMBING = plumbing("loop")

PERSONAL = (
    PersonalColumn(table="loop_dead_letters", column="sealed_body", how="scrub"),
    PersonalColumn(table="loop_requests", column="sealed_answer", how="sealed"),
)
"""What could not be handled, wiped once somebody has looked at it; and what was answered."""

SEALED = plumbing_columns(PLUMBING)
"""What is under a key of the installation."""
