"""The first minutes in a browser, without a script: from nothing to a task that came back."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page

from shared.db.engine import Engines
from shared.identity import people, sessions
from shared.identity.audit import SYSTEM
from shared.identity.installation import name_organisation
from shared.identity.keys import list_keys, revoke_key
from shared.identity.principal import Role
from shared.sealing import Keyring
from shared.web.auth import session_cookie
from tests.browser.looks import DESK, complaints_of, expect_no_broken_rule, runs_out_by
from tests.fakes import ManualClock
from tests.infra.processes import free_port
from tests.plumbing import create_tables
from tests.serving import served
from tests.whole_house import WholeHouse, open_house

pytestmark = [pytest.mark.chromium, pytest.mark.asyncio(loop_scope="session")]

PASSWORD = "correct horse battery staple"
PAGES = (
    "/welcome",
    "/settings/organisation",
    "/settings/people",
    "/settings/people/one",
    "/settings/test-response",
    "shown",
)


@dataclass
class Beginning:
    """An installation at an address, and the browser to look at it."""

    house: WholeHouse
    url: str
    browser: Browser
    ada: str = ""

    async def page(self, *, as_ada: bool = False, **how: object) -> Page:
        """Open a fresh profile."""
        context = await self.browser.new_context(base_url=self.url, **how)  # type: ignore[arg-type] # a mapping of options
        context.set_default_timeout(15_000)
        if as_ada:
            async with self.house.database.transaction() as tx:
                token = await sessions.start(tx, self.ada, now=self.house.clock.now())
            name = session_cookie(self.house.settings)
            await context.add_cookies([{"name": name, "value": token, "url": self.url}])
        return await context.new_page()

    async def employ(self) -> None:
        """Make the administrator, whose name is long, as is the company's."""
        async with self.house.database.transaction() as tx:
            made = await people.create_staff(
                tx,
                email="ada.with-a-very-long-address@customer-care.department.example.org",
                name="Ada " + "Przykładowa-Wielonazwiskowska " * 3,
                role=Role.ADMIN,
                now=self.house.clock.now(),
            )
            company = "Donaudampfschifffahrtsgesellschaft und Söhne " * 3
            now = self.house.clock.now()
            await name_organisation(tx, company, "Europe/Vienna", by=SYSTEM, now=now)
        self.ada = made.id

    async def show(self, page: Page, name: str) -> None:
        """Go to a page; to the one that shows a password by way of its form."""
        await page.goto("/settings/people" if name == "shown" else self._path(name))
        if name == "shown":
            await page.get_by_label("Name", exact=True).fill("Ana Ruiz")
            await page.get_by_label("E-mail address").fill(f"ana{id(page)}@example.org")
            await page.locator("form#new button").click()

    def _path(self, name: str) -> str:
        return name.replace("/one", f"/{self.ada}")


@pytest_asyncio.fixture(loop_scope="session")
async def beginning(browser: Browser, tmp_path: Path) -> AsyncIterator[Beginning]:
    """An installation with nobody in it."""
    async with _beginning(browser, tmp_path) as opened:
        yield opened


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def begun(
    browser: Browser, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Beginning]:
    """An installation with its administrator, for the looking tests."""
    async with _beginning(browser, tmp_path_factory.mktemp("begun")) as opened:
        await opened.employ()
        yield opened


@asynccontextmanager
async def _beginning(browser: Browser, folder: Path) -> AsyncIterator[Beginning]:
    url = f"sqlite+aiosqlite:///{folder / 'new.db'}"
    await create_tables(url)
    engines = Engines.open(url)
    port = free_port()
    keyring = Keyring("a secret for tests, long enough to be taken")
    address = f"http://127.0.0.1:{port}"
    try:
        async with (
            open_house(engines, ManualClock(), keyring, public_url=address) as house,
            served(house.app, port),
        ):
            async with house.database.transaction() as tx:
                for key in await list_keys(tx):  # the house's own
                    await revoke_key(tx, key.id, now=house.clock.now())
            yield Beginning(house=house, url=address, browser=browser)
    finally:
        await engines.close()


async def test_from_nothing_to_a_task_that_came_back_without_a_script(
    beginning: Beginning,
) -> None:
    page = await beginning.page(java_script_enabled=False)
    await page.goto("/")
    await page.get_by_label("Name").fill("Ada")
    await page.get_by_label("E-mail address").fill("ada@example.org")
    await page.get_by_label("Password").fill(PASSWORD)
    await page.get_by_role("button", name="Create and sign in").click()
    assert await page.get_by_role("heading", level=1).inner_text() == "First steps"

    await page.get_by_role("link", name="Name it").click()
    await page.get_by_label("Name", exact=True).fill("Northwind Parcels")
    await page.get_by_label("Time zone").fill("Europe/Berlin")
    await page.get_by_role("button", name="Save").click()
    assert await page.get_by_text("Northwind Parcels").first.is_visible()
    await page.get_by_role("link", name="First steps").last.click()

    await page.get_by_role("link", name="Add people").click()
    await page.get_by_label("Name", exact=True).fill("Ana Ruiz")
    await page.get_by_label("E-mail address").fill("ana@example.org")
    assert await page.get_by_label("Time zone").input_value() == "Europe/Berlin"
    await page.get_by_role("button", name="Add, and show the password").click()
    first = await page.get_by_label("Password").input_value()
    await page.get_by_role("link", name="I have copied it").click()
    await page.goto("/welcome")

    await page.get_by_role("button", name=re.compile("^Later.*at work")).click()
    await page.get_by_role("link", name="Send a test response").click()
    await page.get_by_role("button", name="Send a test response").click()
    assert "on its way" in await page.locator("main").inner_text()
    await beginning.house.settle()
    await page.get_by_role("link", name="Look again").click()
    await page.get_by_role("link", name="Open the task").click()
    assert "Test customer" in await page.get_by_role("heading", level=1).inner_text()
    await page.goto("/welcome")
    assert await page.locator(".tag.done").count() == 3

    colleague = await beginning.page(java_script_enabled=False)
    await colleague.goto("/sign-in")
    await colleague.get_by_label("E-mail address").fill("ana@example.org")
    await colleague.get_by_label("Password").fill(first)
    await colleague.get_by_role("button", name="Sign in").click()
    assert "My queue" in await colleague.get_by_role("heading", level=1).inner_text()


@pytest.mark.parametrize("name", PAGES)
async def test_nothing_runs_out_of_a_phone(begun: Beginning, name: str) -> None:
    page = await begun.page(as_ada=True, viewport={"width": 320, "height": 640})

    await begun.show(page, name)
    for width in (390, 320):
        await page.set_viewport_size({"width": width, "height": 844})
        assert await runs_out_by(page) <= 0, width
    await page.context.close()


@pytest.mark.parametrize("name", ["/welcome", "shown"])
async def test_the_pages_break_no_rule_of_accessibility(begun: Beginning, name: str) -> None:
    page = await begun.page(as_ada=True, viewport=DESK)
    complaints = complaints_of(page)

    await begun.show(page, name)
    await expect_no_broken_rule(page)
    assert complaints == []
    await page.context.close()
