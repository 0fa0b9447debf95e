"""Closure that is proved: the customer's answer page, and the rates that count it."""

from __future__ import annotations

from typing import Final

from services.loop.pages.closure import rates, settled
from services.loop.pages.closure.rates import ClosurePage
from services.loop.pages.closure.settled import SettledPage

__all__ = ["ROUTERS", "ClosurePage", "SettledPage"]

ROUTERS: Final = (rates.router, settled.router)
