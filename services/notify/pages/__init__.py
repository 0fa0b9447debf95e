"""The pages of notify: mail, how it gets through, and the webhooks that tell other systems."""

from __future__ import annotations

from typing import Final

from services.notify.pages import mail, mail_settings, webhooks

ROUTERS: Final = (
    mail.router,
    mail_settings.router,
    webhooks.router,
    webhooks.deliveries_router,
)
