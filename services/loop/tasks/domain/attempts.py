"""When a customer counts as unreachable, and when it is too early or too late to call."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

from services.loop.responses.domain import Personal
from services.loop.tasks.domain.schemes import AttemptPolicy, QuietHours, RecoveryScheme
from services.loop.tasks.domain.task import ContactAttempt, FollowUpTask

_DISTURBING = frozenset({"phone", "message", "in_person"})
"""The modes that reach somebody at once; a mail waits until it is read."""


def attempts_left(task: FollowUpTask, policy: AttemptPolicy, zone: ZoneInfo) -> dict[str, int]:
    """Return how many tries, days and channels are still missing; empty when none are.

    Only tries without success count, each on its day by the customer's own calendar.
    """
    tried: Sequence[ContactAttempt] = [
        each for each in task.record.attempts if each.result != "reached"
    ]
    left = {
        "attempts": max(policy.number, task.scheme.attempts) - len(tried),
        # Of a first day and a first way nothing is said: the tries themselves bring them.
        "days": policy.days - (len({each.at.astimezone(zone).date() for each in tried}) or 1),
        "channels": policy.channels - (len({each.mode for each in tried}) or 1),
    }
    return {name: missing for name, missing in left.items() if missing > 0}


def own_zone_of(personal: Personal | None) -> ZoneInfo | None:
    """Return the customer's time zone as it was sent, as the attribute ``time_zone``.

    Nothing else tells it: a telephone number or a language belongs to several.
    """
    named = personal.attributes.get("time_zone") if personal else None
    return _zone(named) if isinstance(named, str) else None


def zone_of(personal: Personal | None, scheme: RecoveryScheme) -> ZoneInfo:
    """Return the customer's time zone, else that of the scheme's calendar, else UTC."""
    here = _zone(scheme.hours.time_zone) if scheme.hours else None
    return own_zone_of(personal) or here or ZoneInfo("UTC")


def _zone(name: str) -> ZoneInfo | None:
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return None


def is_quiet(at: datetime, hours: QuietHours | None, zone: ZoneInfo, *, mode: str) -> bool:
    """Tell whether a contact of this mode would disturb the customer at this moment."""
    if hours is None or mode not in _DISTURBING or hours.start == hours.end:
        return False
    clock = at.astimezone(zone).time().replace(tzinfo=None)
    if hours.start < hours.end:
        return hours.start <= clock < hours.end
    return clock >= hours.start or clock < hours.end
