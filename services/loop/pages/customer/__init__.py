"""One customer: every answer, contact, task and mail on one page, the latest first."""

from __future__ import annotations

from services.loop.pages.customer.page import CustomerPage
from services.loop.pages.customer.routes import router

__all__ = ["CustomerPage", "router"]
