"""Whether the customer is asked if a matter is settled, and what a yes or a no is worth.

Staff's word is not proof: only the customer's own yes counts as confirmed.
"""

from __future__ import annotations

from datetime import datetime

from services.loop.responses.domain import Personal
from services.loop.tasks.domain.schemes import AskCustomer
from services.loop.tasks.domain.task import Asked, NotAsked


def asking_of(
    personal: Personal | None, ask: AskCustomer, *, language: str | None, now: datetime
) -> Asked | NotAsked:
    """Return when the customer is asked after a resolution, or why not.

    ``personal`` is None where nothing of the customer can be read any more, ``language`` is the
    answer's. Silence is no answer: when the time for one is over the link ends, and no more.
    """
    if personal is None:
        return NotAsked(why="erased")
    customer = personal.customer
    consent = customer.get("consent")
    if customer.get("do_not_contact") is True:
        return NotAsked(why="do_not_contact")
    if not isinstance(consent, dict) or consent.get("follow_up") is not True:
        return NotAsked(why="no_consent")
    email = customer.get("email")
    if not isinstance(email, str) or not email.strip() or "email" in personal.unusable:
        return NotAsked(why="no_address")
    spoken = customer.get("language")
    at = now + ask.after
    return Asked(
        at=at,
        until=at + ask.silent_for,
        language=spoken if isinstance(spoken, str) else language,
    )
