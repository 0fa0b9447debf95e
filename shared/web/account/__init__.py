"""One's own account: what one is called, password, second factor, where one is signed in."""

from __future__ import annotations

from shared.web.account import page, second_factor
from shared.web.account.page import AccountPage
from shared.web.account.second_factor import CodesShownPage, SecondFactorPage

__all__ = ["ROUTERS", "AccountPage", "CodesShownPage", "SecondFactorPage"]

ROUTERS = (page.router, second_factor.router)
"""Every role serves them: people are the same everywhere."""
