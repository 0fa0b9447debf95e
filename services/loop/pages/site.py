"""What every page of loop renders with, how it says what was done, and cells of files."""

from __future__ import annotations

from shared.web.sheets import cell, sheet
from shared.web.templating import Pages, done_of

__all__ = ["cell", "done_of", "pages", "sheet"]

pages = Pages("services.loop.pages")
