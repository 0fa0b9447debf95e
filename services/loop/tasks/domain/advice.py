"""What staff should know about an act that was carried out all the same."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from zoneinfo import ZoneInfo

from services.loop.tasks.domain.acts import Act, Agree, Grant, LogContact, PromiseAction
from services.loop.tasks.domain.attempts import is_quiet
from services.loop.tasks.domain.phrases import policy_phrase
from services.loop.tasks.domain.schemes import RecoveryScheme


class Advice(StrEnum):
    """A kind of advice, by its stable name."""

    POLICY_PHRASE = "policy_phrase"
    """The words hide behind a rule: the customer wants to hear what happens now."""
    QUIET_HOURS = "quiet_hours"
    """The customer was disturbed at a time of rest, by the customer's own clock."""


def advice_on(
    act: Act, scheme: RecoveryScheme, zone: ZoneInfo, *, now: datetime
) -> tuple[Advice, ...]:
    """Return what should have been done otherwise."""
    found = []
    if policy_phrase(_spoken(act)):
        found.append(Advice.POLICY_PHRASE)
    quiet_hours = scheme.attempt_policy.quiet_hours
    if isinstance(act, LogContact) and is_quiet(now, quiet_hours, zone, mode=act.mode):
        found.append(Advice.QUIET_HOURS)
    return tuple(found)


def _spoken(act: Act) -> str | None:
    """Return the words of an act that stand for what was said to the customer."""
    match act:
        case LogContact() | Grant():
            return act.note
        case Agree():
            return act.agreed
        case PromiseAction():
            return act.what
        case _:
            return None
