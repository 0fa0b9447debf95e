"""What every page of loop renders with, and how it says what has just been done."""

from __future__ import annotations

from shared.web.templating import Pages, done_of

__all__ = ["done_of", "pages"]

pages = Pages("services.loop.pages")
