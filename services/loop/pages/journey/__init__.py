"""Settings of the journey: touchpoints with their owners, lists of codes, departments."""

from __future__ import annotations

from typing import Final

from services.loop.pages.journey import codes, departments, touchpoint, touchpoints

ROUTERS: Final = (touchpoint.router, touchpoints.router, codes.router, departments.router)
