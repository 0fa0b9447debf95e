"""The pages of the routing rules: their order, one rule, the draft, the trial, the versions."""

from __future__ import annotations

from typing import Final

from services.loop.pages.rules import changing, reading
from services.loop.pages.rules.page import RulePage, RulesPage, TrialPage

__all__ = ["ROUTERS", "RulePage", "RulesPage", "TrialPage"]

ROUTERS: Final = (reading.router, changing.router)
