"""What every page is held to, on a desk and on a phone."""

from __future__ import annotations

from typing import Final, Literal

from axe_playwright_python.base import AXE_SCRIPT
from playwright.async_api import ConsoleMessage, Page, ViewportSize

PHONE: Final[ViewportSize] = {"width": 390, "height": 844}
DESK: Final[ViewportSize] = {"width": 1280, "height": 900}
THEMES: Final[tuple[Literal["light", "dark"], ...]] = ("light", "dark")
RULES: Final = {
    "runOnly": {
        "type": "tag",
        "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
    },
    # Of what breaks no rule only the first place: that is most of the time.
    "resultTypes": ["violations"],
}


async def broken_rules(page: Page) -> list[str]:
    """Return what breaks a rule of accessibility on an open page, in both themes."""
    if not await page.evaluate("'axe' in window"):
        await page.evaluate(AXE_SCRIPT)
    found = []
    for theme in THEMES:
        await page.emulate_media(color_scheme=theme)
        for rule in await page.evaluate(
            "options => axe.run(document, options).then(found => found.violations)", RULES
        ):
            places = [
                f"{node['html'][:200]} {node['failureSummary']}" for node in rule["nodes"]
            ]
            found.append(f"{theme}: {rule['help']}: {places}")
    return found


async def expect_no_broken_rule(page: Page) -> None:
    """Hold an open page to the rules of accessibility as it is, and as wide as a phone."""
    found = await broken_rules(page)
    await page.set_viewport_size(PHONE)
    on_a_phone = await broken_rules(page)

    assert found == []
    assert on_a_phone == []


async def too_small(page: Page, least: float = 24) -> list[str]:
    """Return the targets on an open page that are hard to hit; a link in a sentence is none.

    A box to tick is as large as the label around it.
    """
    found: list[str] = await page.evaluate(
        """least => {
        const isShown = one => !one || (
          getComputedStyle(one).clipPath === 'none' && isShown(one.parentElement));
        return [...document.querySelectorAll('a, button, select, textarea, summary,'
          + ' label:has(input), input:not([type=hidden])')]
          .filter(one => one.getClientRects().length && isShown(one))
          .filter(one => !one.matches('label input, .skip'))
          .filter(one => !(one.matches('a') && [...one.parentElement.childNodes].some(
            beside => beside.nodeType === Node.TEXT_NODE && beside.textContent.trim())))
          .map(one => [one.outerHTML.slice(0, 120), one.getBoundingClientRect()])
          .filter(([_, box]) => box.height < least || box.width < least)
          .map(([what, {width, height}]) => `${width}x${height} ${what}`) }""",
        least,
    )
    return found


async def too_low(page: Page, least: float = 43.5) -> list[str]:
    """Return the buttons, fields and tabs on an open page that are too low for a finger."""
    found: list[str] = await page.evaluate(
        """least => [...document.querySelectorAll('button, select, textarea, summary, .button,'
          + ' .tabs a, .areas a, .choices label, .pick label, .queue h2 a,'
          + ' input:not([type=hidden])')]
          .filter(one => one.getClientRects().length)
          .filter(one => !one.matches('.choices input, .pick input'))
          .map(one => [one.outerHTML.slice(0, 120), one.getBoundingClientRect()])
          .filter(([_, box]) => box.height < least || box.width < 24)
          .map(([what, {width, height}]) => `${width}x${height} ${what}`)""",
        least,
    )
    return found


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
