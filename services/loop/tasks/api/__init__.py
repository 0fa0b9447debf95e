"""The routes of follow-up: tasks and what may be done with them, and how often that worked."""

from __future__ import annotations

from typing import Final

from services.loop.tasks.api import acts, closure, lists, rules, schemes
from services.loop.tasks.api.acts import router

__all__ = ["ROUTERS", "router"]

ROUTERS: Final = (
    lists.router,
    acts.router,
    closure.router,
    rules.router,
    schemes.router,
)
"""Every router of the room, for the service."""
