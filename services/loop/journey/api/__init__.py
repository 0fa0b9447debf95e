"""The routes of the journey: touchpoints, lists of codes, and who answers for them."""

from __future__ import annotations

from typing import Final

from services.loop.journey.api import absences, calendars, lists, people, touchpoints

router = touchpoints.router
ROUTERS: Final = (
    touchpoints.router,
    *lists.ROUTERS,
    people.router,
    absences.router,
    calendars.router,
)
