"""What every page is held to, on a desk and on a phone."""

from __future__ import annotations

from typing import Final

from axe_playwright_python.async_playwright import Axe
from playwright.async_api import ConsoleMessage, Page, ViewportSize

PHONE: Final[ViewportSize] = {"width": 390, "height": 844}
DESK: Final[ViewportSize] = {"width": 1280, "height": 900}
RULES: Final = {
    "runOnly": {
        "type": "tag",
        "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
    }
}


async def expect_no_broken_rule(page: Page) -> None:
    """Hold an open page to the rules of accessibility as it is, and as wide as a phone."""
    found = await Axe().run(page, options=RULES)
    await page.set_viewport_size(PHONE)
    on_a_phone = await Axe().run(page, options=RULES)

    assert found.violations_count == 0, found.generate_report()
    assert on_a_phone.violations_count == 0, on_a_phone.generate_report()


async def runs_out_by(page: Page) -> int:
    """Return by how many pixels an open page is wider than its window."""
    beyond: int = await page.evaluate(
        "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    )
    return beyond


def complaints_of(page: Page) -> list[str]:
    """Return a list that fills with what the browser refuses by our content policy."""
    found: list[str] = []

    def hear(line: ConsoleMessage) -> None:
        if "Content Security Policy" in line.text:
            found.append(line.text)

    page.on("console", hear)
    return found


async def open_details(page: Page) -> None:
    """Unfold everything that is folded."""
    await page.locator("details").evaluate_all("all => all.forEach(one => one.open = true)")
