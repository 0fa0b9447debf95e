"""Customers' data: found, handed out, forgotten."""

from __future__ import annotations

from services.ingest.pages.privacy.page import PrivacyPage, RequestPage
from services.ingest.pages.privacy.retention import RetentionPage
from services.ingest.pages.privacy.retention import router as retention_router
from services.ingest.pages.privacy.routes import router

__all__ = ["PrivacyPage", "RequestPage", "RetentionPage", "retention_router", "router"]
