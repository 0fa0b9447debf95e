"""The first minutes: from an empty installation to the first task that comes back."""

from __future__ import annotations

from typing import Final

from services.loop.pages.welcome import organisation, routes

ROUTERS: Final = (routes.router, organisation.router)
