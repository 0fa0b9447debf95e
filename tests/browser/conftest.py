"""A desk that is served, and people with browsers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, Page

from services.loop.journey.domain import OwnerRef, Ownership
from services.loop.journey.handlers import plan_ownership
from services.loop.tasks.domain.task import FollowUpTask
from shared.identity.audit import SYSTEM
from shared.identity.person_keys import PersonKeys
from shared.identity.teams import create_department
from shared.sealing import Keyring
from tests.desk import Desk, desk_on, furnish
from tests.fakes import ManualClock


@dataclass
class Office:
    """A furnished desk at an address, and the browser to look at it."""

    desk: Desk
    url: str
    tasks: list[FollowUpTask]
    browser: Browser

    async def window(self, nick: str | None = None, **how: object) -> BrowserContext:
        """Open a fresh profile, signed in as somebody."""
        context = await self.browser.new_context(base_url=self.url, **how)  # type: ignore[arg-type] # a mapping of options
        context.set_default_timeout(15_000)
        if nick is not None:
            name, token = await self.desk.cookie(nick)
            await context.add_cookies([{"name": name, "value": token, "url": self.url}])
        return context

    async def page(self, nick: str | None = None, **how: object) -> Page:
        """Open a fresh page."""
        return await (await self.window(nick, **how)).new_page()

    @property
    def paths(self) -> dict[str, str]:
        """Return every kind of page by name."""
        of_maya = next(task for task in self.tasks if task.score == 4)
        return {
            "queue": "/",
            "empty": "/?tab=closed",
            "task": f"/tasks/{of_maya.id}",
            "themes": "/themes",
            "theme": "/themes/waiting",
            "missing": "/tasks/tsk_none",
            "scores": "/scores",
            "settings": "/settings",
            "touchpoints": "/settings/touchpoints",
            "touchpoint": "/settings/touchpoints/one?code=door",
            "lists": "/settings/lists?kind=segment",
            "code": "/settings/lists/one?kind=segment&code=Gold",
            "departments": "/settings/departments",
        }


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def office(
    browser: Browser, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Office]:
    """The office that the looking tests share: they change nothing in it."""
    async with furnished_office(browser, tmp_path_factory.mktemp("office")) as opened:
        yield opened


@pytest_asyncio.fixture(loop_scope="session")
async def own_office(browser: Browser, tmp_path: Path) -> AsyncIterator[Office]:
    """An office of a test's own, to work in."""
    async with furnished_office(browser, tmp_path) as opened:
        yield opened


async def _settle(desk: Desk) -> None:
    """Have somebody answer for the door, and head a department."""
    now = desk.clock.now()
    async with desk.database.transaction() as tx:
        part = await create_department(tx, name="Logistics", head_id=desk.staff["ada"], now=now)
        await plan_ownership(
            tx,
            "door",
            Ownership(
                id="",
                owner=OwnerRef(id=desk.staff["ole"], kind="person"),
                department_id=part.id,
                valid_from=now,
            ),
            expected=None,
            by=SYSTEM,
            now=now,
        )


@asynccontextmanager
async def furnished_office(browser: Browser, folder: Path) -> AsyncIterator[Office]:
    keyring = Keyring("a secret for tests, long enough to be taken")
    async with desk_on(
        str(folder / "desk.db"),
        clock=ManualClock(),
        keyring=keyring,
        person_keys=PersonKeys(keyring),
    ) as desk:
        tasks = await furnish(desk)
        await _settle(desk)
        async with desk.serving() as url:
            yield Office(desk=desk, url=url, tasks=tasks, browser=browser)


LONG = "Wilhelmina-Anastasia von Oberschlesien-Przykładowska und Wielonazwiskowska"


@asynccontextmanager
async def crowded_office(browser: Browser, folder: Path) -> AsyncIterator[Office]:
    """Open an office with two hundred more unhappy customers, who have long names."""
    async with furnished_office(browser, folder) as office:
        desk = office.desk
        events = await desk.responses(
            [
                {
                    "comment": "Waited for an hour, and nobody called. " * 3,
                    "customer": f"c-crowd-{n}",
                    "block": {"name": f"{LONG} {n}"},
                    "score": n % 7,
                    "touchpoint": "support-call",
                }
                for n in range(200)
            ]
        )
        await desk.take_in(*events)
        yield office
