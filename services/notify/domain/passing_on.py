"""When an alert goes to somebody else as well, because its mail does not get through."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from services.notify.domain.deliveries import GiveUp, NextStep, Outcome, RetryAt

if TYPE_CHECKING:
    from datetime import datetime

FULL_FOR: Final = timedelta(hours=24)
"""So long a mailbox may be full before a colleague is told."""

PASSED_OVER: Final = "address_suppressed"
"""Why a mail is given up that would have gone to a mailbox known to be dead."""


def is_passed_on(
    step: NextStep,
    outcome: Outcome,
    *,
    failures: int,
    first_tried_at: datetime | None,
    deadline: datetime | None,
    now: datetime,
) -> bool:
    """Tell whether somebody else is told: it is given up, or time is running out.

    ``failures`` counts the failed tries before this one. Trouble of the whole channel is
    nobody's in particular: a colleague's mail would get through no better.
    """
    if isinstance(step, GiveUp):
        return True
    if not isinstance(step, RetryAt) or not step.counted:
        return False
    if outcome.reason == "mailbox_full" and first_tried_at is not None:
        return now - first_tried_at >= FULL_FOR
    return deadline is not None and now > deadline and failures > 0
