"""Somebody at a keyboard who has no mouse: keys, and looking where the focus is."""

from __future__ import annotations

from dataclasses import dataclass

from playwright.async_api import Locator, Page

FARTHEST = 900
"""As many presses of Tab as a page may need at most; beyond them a thing is out of reach."""


@dataclass
class Hands:
    """Ten fingers on a page."""

    page: Page

    async def reach(self, target: Locator, *, back: bool = False) -> None:
        """Go on with Tab until the focus is there."""
        wanted = await target.element_handle()
        for _ in range(FARTHEST):
            await self.page.keyboard.press("Shift+Tab" if back else "Tab")
            if await wanted.evaluate("one => one === document.activeElement"):
                return
        raise AssertionError(f"Tab never reaches {target}")

    async def press(self, target: Locator) -> None:
        """Go to a link, a button or what is folded, and press Enter."""
        await self.reach(target)
        await self.page.keyboard.press("Enter")

    async def tick(self, box: Locator) -> None:
        """Go to a box and press Space."""
        await self.reach(box)
        await self.page.keyboard.press("Space")

    async def type(self, field: Locator, words: str) -> None:
        """Go to a field and type; a list takes the first entry that begins so."""
        await self.reach(field)
        await self.page.keyboard.type(words)

    async def choose(self, option: Locator) -> None:
        """Go to a group of choices and move on within it by the arrow."""
        name = await option.get_attribute("name")
        group = option.locator("xpath=ancestor::form").locator(f"input[name={name}]")
        for _ in range(FARTHEST):
            await self.page.keyboard.press("Tab")
            if await group.evaluate_all("all => all.includes(document.activeElement)"):
                break
        await self.page.keyboard.press("Space")
        for _ in range(await group.count()):
            if await option.is_checked():
                return
            await self.page.keyboard.press("ArrowDown")
        raise AssertionError(f"the arrow never reaches {option}")

    async def skip_to_content(self) -> None:
        """Take the first link of every page."""
        await self.press(self.page.get_by_role("link", name="Skip to the content"))
