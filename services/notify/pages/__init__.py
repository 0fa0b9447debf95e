"""The pages of notify: captured mail, and the webhooks that tell other systems."""

from __future__ import annotations

from typing import Final

from services.notify.pages import mail, webhooks

ROUTERS: Final = (mail.router, webhooks.router, webhooks.deliveries_router)
