"""The lead's page: load, ageing, and signs that numbers are made. It ranks nobody."""

from __future__ import annotations

from services.loop.pages.team.page import TeamPage
from services.loop.pages.team.routes import router

__all__ = ["TeamPage", "router"]
