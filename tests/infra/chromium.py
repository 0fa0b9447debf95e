"""The system's Chromium, driven by Playwright; nothing is downloaded.

The flags keep the browser from calling home: on a closed network every such call is refused,
many at a time, at every start.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.async_api import Browser

FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def program() -> str | None:
    """Return the path of the browser, or None."""
    named = os.environ.get("CLOSED_LOOP_TEST_CHROMIUM")
    names = (named,) if named else ("chromium", "chromium-browser", "google-chrome")
    return next((path for name in names if (path := shutil.which(name))), None)


def missing() -> str | None:
    """Say why no browser can be had on this machine, or None when one can."""
    if program():
        return None
    return "no browser: install chromium, or set CLOSED_LOOP_TEST_CHROMIUM to one"


@asynccontextmanager
async def launched() -> AsyncIterator[Browser]:
    """Start a headless browser with an empty profile and close it afterwards."""
    from playwright.async_api import async_playwright

    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=program(), headless=True, args=list(FLAGS)
        )
        try:
            yield browser
        finally:
            await browser.close()
