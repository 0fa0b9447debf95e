"""Who did or saw what: as documents, as a page, and as files."""

from __future__ import annotations

from shared.web.audit.api import router as _api
from shared.web.audit.page import AuditPage
from shared.web.audit.page import router as _page

__all__ = ["ROUTERS", "AuditPage"]

ROUTERS = (_api, _page)
"""Every role serves them: the trail is one for all."""
