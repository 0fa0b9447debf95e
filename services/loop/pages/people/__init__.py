"""The pages about colleagues: who can sign in, who is away, who has enough, who takes over."""

from __future__ import annotations

from typing import Final

from services.loop.pages.people import absences, factors, handover, staff

ROUTERS: Final = (absences.router, handover.router, factors.router, staff.router)
