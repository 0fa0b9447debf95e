"""How far it is from the mail about an unhappy customer to the first contact, in clicks."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, Locator

from tests.browser.looks import DESK, PHONE
from tests.full_house import FullHouse, full_house
from tests.infra.processes import LOOPBACK, free_port
from tests.serving import served

pytestmark = [pytest.mark.chromium, pytest.mark.asyncio(loop_scope="session")]

MOST = 3


@dataclass
class Mouse:
    """Somebody who clicks, and nothing else."""

    clicks: int = 0

    async def click(self, target: Locator) -> None:
        """Click once."""
        self.clicks += 1
        await target.click()


async def task_of(full: FullHouse, response: str) -> dict[str, Any]:
    """Return the task that an answer opened."""
    async with full.house.client() as system:
        listed = await system.get("/v1/tasks", params={"response_id": response})
        path = f"/v1/tasks/{listed.json()['data'][0]['id']}"
        task: dict[str, Any] = (await system.get(path)).json()
    return task


async def test_from_the_link_in_the_mail_to_the_first_contact(
    browser: Browser, tmp_path: Path
) -> None:
    """The link, what came of the call, and saving it; on a desk and on a phone."""
    port = free_port()
    url = f"http://{LOOPBACK}:{port}"
    async with (
        full_house(tmp_path, ["Maya Lindqvist"], url) as full,
        served(full.house.app, port),
    ):
        ((name, token),) = (await full.cookie("ana")).items()
        for number, size in ((901, DESK), (904, PHONE)):
            async with full.house.client() as system:
                heard = await system.post("/v1/responses", json=full.answer(number))
            await full.house.settle()
            task = await task_of(full, heard.json()["id"])
            context = await browser.new_context(viewport=size)
            await context.add_cookies([{"name": name, "value": token, "url": url}])
            mail, mouse = await context.new_page(), Mouse()
            await mail.set_content(await full.mail_about(task["id"]))

            async with context.expect_page() as opening:
                await mouse.click(mail.get_by_role("link", name="Open the task"))
            page = await opening.value
            contact = page.locator("form#contacts")
            await mouse.click(contact.get_by_label("Reached"))
            await mouse.click(contact.get_by_role("button", name="Save contact"))
            await page.get_by_text("The contact is in the history.").wait_for()

            assert mouse.clicks <= MOST
            task = await task_of(full, heard.json()["id"])
            assert task["attempts"][0]["result"] == "reached"
            assert page.url.startswith(f"{url}/tasks/{task['id']}")
            await context.close()
