"""The routes of follow-up: tasks and what may be done with them, and how often that worked."""

from __future__ import annotations

from typing import Final

from services.loop.tasks.api import (
    acts,
    closure,
    customers,
    examples,
    handing_out,
    handing_over,
    levels,
    lists,
    rules,
    schemes,
    trials,
)
from services.loop.tasks.api.acts import router

__all__ = ["ROUTERS", "router"]

ROUTERS: Final = (
    lists.router,
    customers.router,
    handing_out.router,
    handing_over.router,
    acts.router,
    closure.router,
    levels.router,
    examples.router,
    rules.router,
    trials.router,
    schemes.router,
)
"""Every router of the room, for the service."""
