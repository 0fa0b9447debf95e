"""The pages of loop: above all rooms; a page may read from any of them and posts to one."""

from __future__ import annotations

from typing import Final

from services.loop.pages import (
    closure,
    corrections,
    customer,
    discoveries,
    examples,
    keyboard,
    matrix,
    next_task,
    quality,
    queue,
    replays,
    risers,
    scores,
    settings,
    task,
    team,
    themes,
)
from services.loop.pages.clocks import ROUTERS as CLOCKS
from services.loop.pages.journey import ROUTERS as JOURNEY
from services.loop.pages.people import ROUTERS as PEOPLE
from services.loop.pages.rules import ROUTERS as RULES
from services.loop.pages.taxonomy import ROUTERS as TAXONOMY
from services.loop.pages.welcome import ROUTERS as WELCOME

ROUTERS: Final = (
    *queue.ROUTERS,
    next_task.router,
    keyboard.router,
    task.router,
    customer.router,
    team.router,
    corrections.router,
    quality.router,
    replays.router,
    # Before the themes: neither “new” nor “rising” nor “where” is one.
    discoveries.router,
    risers.router,
    matrix.router,
    themes.router,
    scores.router,
    settings.router,
    *closure.ROUTERS,
    examples.router,
    *RULES,
    *CLOCKS,
    *TAXONOMY,
    *PEOPLE,
    *WELCOME,
    *JOURNEY,
)
