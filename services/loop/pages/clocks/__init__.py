"""The pages of promises: business calendars, and the schemes that count by them."""

from __future__ import annotations

from typing import Final

from services.loop.pages.clocks import calendars, schemes

ROUTERS: Final = (calendars.router, schemes.router)
