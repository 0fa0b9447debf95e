"""The pages of notify: captured mail."""

from __future__ import annotations

from typing import Final

from services.notify.pages import mail

ROUTERS: Final = (mail.router,)
