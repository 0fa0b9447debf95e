"""Webhooks: made, looked after, tried out and mended."""

from __future__ import annotations

from services.notify.pages.webhooks.deliveries import router as deliveries_router
from services.notify.pages.webhooks.page import (
    DeliveryPage,
    WebhookPage,
    WebhookShownPage,
    WebhooksPage,
)
from services.notify.pages.webhooks.routes import router

__all__ = [
    "DeliveryPage",
    "WebhookPage",
    "WebhookShownPage",
    "WebhooksPage",
    "deliveries_router",
    "router",
]
