"""The pages of loop: above all rooms; a page may read from any of them and posts to one."""

from __future__ import annotations

from typing import Final

from services.loop.pages import closure, queue, scores, settings, task, themes
from services.loop.pages.journey import ROUTERS as JOURNEY

ROUTERS: Final = (
    queue.router,
    task.router,
    themes.router,
    scores.router,
    settings.router,
    *closure.ROUTERS,
    *JOURNEY,
)
