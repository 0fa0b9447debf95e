"""Closure that is proved: the customer's answer page, and how promises were kept."""

from __future__ import annotations

from typing import Final

from services.loop.pages.closure import levels, rates, settled
from services.loop.pages.closure.levels import LevelsPage
from services.loop.pages.closure.rates import ClosurePage
from services.loop.pages.closure.settled import SettledPage

__all__ = ["ROUTERS", "ClosurePage", "LevelsPage", "SettledPage"]

ROUTERS: Final = (rates.router, levels.router, settled.router)
