"""Whether the customer is asked if a matter is settled, and what a yes or a no is worth.

Staff's word is not proof: only the customer's own yes counts as confirmed.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Final

from services.loop.responses.domain import Personal
from services.loop.tasks.domain.schemes import AskCustomer
from services.loop.tasks.domain.task import Asked, NotAsked
from shared.consent import Refusal, why_not_write

_SPOKEN: Final = re.compile(r"\s*([A-Za-z]{2,3})(?![A-Za-z])")
"""The language in a tag such as de-AT: no more of what was posted leaves the sealed block."""


def asking_of(
    personal: Personal | None,
    ask: AskCustomer,
    *,
    refused: Refusal | None = None,
    language: str | None,
    now: datetime,
) -> Asked | NotAsked:
    """Return when the customer is asked after a resolution, or why not.

    ``personal`` is None where nothing of the customer can be read any more, ``refused`` is what
    they asked for with any answer, ``language`` is this answer's. Silence is no answer: when
    the time for one is over the link ends, and no more.
    """
    why = why_not_write(
        None if personal is None else personal.customer,
        unusable=() if personal is None else personal.unusable,
        purpose="follow_up",
        refused=refused,
    )
    if why is not None:
        return NotAsked(why=why)
    spoken = _SPOKEN.match(str((personal or Personal()).customer.get("language") or ""))
    at = now + ask.after
    return Asked(
        at=at,
        until=at + ask.silent_for,
        language=spoken[1].lower() if spoken else language,
    )
