"""The pictures in the documentation, taken of the demo: ``python -m tests.browser.pictures``.

Nothing in them is posed: what ``make demo`` shows is what stands in the pictures.
"""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from playwright.async_api import Page

from tests.browser.looks import DESK, PHONE
from tests.infra.chromium import launched
from tests.infra.processes import LOOPBACK, data_folder, free_port
from tests.journeys.test_readme import Demo, start_demo

FOLDER: Final = Path(__file__).parents[2] / "docs" / "images"
Way = Callable[[Page], Awaitable[object]]


async def _queue(page: Page) -> None:
    await page.goto("/")


async def _task(page: Page) -> None:
    await page.goto("/")
    await page.locator(".queue h2 a").first.click()
    await page.get_by_role("heading", name="What the customer wrote").wait_for()


async def _closure(page: Page) -> None:
    await page.goto("/closure")


PICTURES: Final[dict[str, Way]] = {
    "queue": _queue,
    "task": _task,
    "task-on-a-phone": _task,
    "closure": _closure,
}


@contextmanager
def _playing() -> Iterator[Demo]:
    with data_folder("pictures") as folder:
        running = start_demo(folder, free_port())
        try:
            yield running
        finally:
            running.child.stop()


async def take(demo: Demo, folder: Path) -> None:
    """Take every picture as whoever the demo tells to sign in."""
    found = re.search(r"^sign in as (\S+) with (\S+)$", demo.said, flags=re.MULTILINE)
    assert found is not None
    async with launched() as browser:
        for name, way in PICTURES.items():
            on_a_phone = name.endswith("phone")
            context = await browser.new_context(
                base_url=f"http://{LOOPBACK}:{demo.port}",
                viewport=PHONE if on_a_phone else DESK,
                has_touch=on_a_phone,
                reduced_motion="reduce",
            )
            page = await context.new_page()
            await page.goto("/sign-in")
            await page.get_by_label("E-mail address").fill(found[1])
            await page.get_by_label("Password").fill(found[2])
            await page.get_by_role("button", name="Sign in").click()
            await page.get_by_role("button", name="Sign out").wait_for()
            await way(page)
            await page.screenshot(path=folder / f"{name}.png")
            await context.close()


def main() -> None:
    """Play the demo and take the pictures."""
    FOLDER.mkdir(exist_ok=True)
    with _playing() as demo:
        asyncio.run(take(demo, FOLDER))
    sys.stderr.write(f"wrote {', '.join(sorted(PICTURES))} below {FOLDER}\n")


if __name__ == "__main__":
    main()
