"""One's own account in a browser, mostly by keyboard, and how its pages look to everybody."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pyotp
import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page

from shared.db.engine import Engines
from shared.identity import password_resets, passwords, people
from shared.identity import tables as t
from shared.identity.principal import Role
from shared.sealing import Keyring
from tests.browser.looks import (
    DESK,
    PHONE,
    broken_rules,
    complaints_of,
    runs_out_by,
    too_small,
)
from tests.fakes import ManualClock
from tests.infra.processes import free_port
from tests.plumbing import create_tables
from tests.serving import served
from tests.whole_house import WholeHouse, open_house

pytestmark = [pytest.mark.chromium, pytest.mark.asyncio(loop_scope="session")]

EMAIL = "ada.with-a-very-long-address@customer-care.department.example.org"
PASSWORD = "correct horse battery staple"


@dataclass
class Place:
    """An installation at an address, with one person in it who has a long name."""

    house: WholeHouse
    url: str
    browser: Browser

    async def page(self) -> Page:
        """Open a fresh profile."""
        context = await self.browser.new_context(base_url=self.url)
        context.set_default_timeout(15_000)
        return await context.new_page()

    async def link(self) -> str:
        """Return the link of the mail that was asked for last."""
        async with self.house.database.reading() as view:
            (row,) = await view.all(t.password_resets.select())
        token = password_resets.token_of(self.house.keyring, row.id, row.expires_at)
        return f"/sign-in/reset/{token}"


@pytest_asyncio.fixture(loop_scope="session")
async def place(browser: Browser, tmp_path: Path) -> AsyncIterator[Place]:
    url = f"sqlite+aiosqlite:///{tmp_path / 'new.db'}"
    await create_tables(url)
    engines, port = Engines.open(url), free_port()
    address = f"http://127.0.0.1:{port}"
    keyring = Keyring("a secret for tests, long enough to be taken")
    try:
        async with (
            open_house(engines, ManualClock(), keyring, public_url=address) as house,
            served(house.app, port),
        ):
            async with house.database.transaction() as tx:
                await people.create_staff(
                    tx,
                    email=EMAIL,
                    name="Ada " + "Przykładowa-Wielonazwiskowska " * 3,
                    role=Role.ADMIN,
                    now=house.clock.now(),
                    password_hash=await passwords.hash_password(PASSWORD),
                )
            yield Place(house=house, url=address, browser=browser)
    finally:
        await engines.close()


async def send(page: Page) -> None:
    """Send the form in whose field one is, and wait for the answer."""
    async with page.expect_navigation():
        await page.keyboard.press("Enter")


async def height_of_name(page: Page) -> float:
    """Return how high the link to one's account is, on a desk."""
    await page.set_viewport_size(DESK)
    box = await page.get_by_role("link", name="Ada").bounding_box()
    assert box is not None
    return box["height"]


async def sign_in(page: Page, password: str = PASSWORD) -> None:
    """Sign in with the keyboard alone."""
    await page.goto("/sign-in?next=/account")
    await page.get_by_label("E-mail address").fill(EMAIL)
    await page.get_by_label("Password", exact=True).fill(password)
    await send(page)


async def faults_of(page: Page, where: str) -> list[str]:
    """Return what is wrong with an open page, on a desk and on a phone."""
    found = []
    for size in (DESK, PHONE):
        await page.set_viewport_size(size)
        found += [*await broken_rules(page), *await too_small(page)]
        if await runs_out_by(page) > 0:
            found.append(f"runs out of a window of {size['width']}")
    return [f"{where}: {fault}" for fault in found]


async def test_an_account_is_looked_after(place: Place) -> None:
    """Every page on the way is also held to what every page is held to."""
    page = await place.page()
    complaints, faults = complaints_of(page), []

    # A second factor is set up, and the recovery codes are shown.
    await sign_in(page)
    faults += await faults_of(page, "account")
    await page.get_by_role("link", name="Set up a second factor").click()
    faults += await faults_of(page, "before a second factor")
    assert await height_of_name(page) >= 36, "also where a name has one line"
    await page.get_by_role("button", name="Begin").click()
    app = pyotp.TOTP(await page.get_by_label("Key, to type in instead").input_value())
    picture = await page.locator("svg[role=img], main svg").first.bounding_box()
    assert picture is not None
    assert 150 <= picture["width"] <= 350, "an app can look at it, on a phone too"
    await page.get_by_label("Code that the app shows").fill("000000")
    await page.get_by_label("Password", exact=True).fill(PASSWORD)
    await send(page)
    faults += await faults_of(page, "a wrong code")
    await page.get_by_label("Code that the app shows").fill(app.at(place.house.clock.now()))
    await page.get_by_label("Password", exact=True).fill(PASSWORD)
    await send(page)
    faults += await faults_of(page, "recovery codes")
    codes = (await page.get_by_label("Codes", exact=True).input_value()).split("\n")
    await page.get_by_role("link", name="I have kept them").click()
    assert "10 recovery codes are left" in await page.locator("main").inner_text()
    await page.get_by_role("link", name="Change the second factor").click()
    faults += await faults_of(page, "with a second factor")

    # The password is forgotten; the link of the mail brings a new one.
    await page.goto("/account")
    await page.get_by_role("button", name="Sign out everywhere").click()
    await page.get_by_role("link", name="Forgotten your password?").click()
    faults += await faults_of(page, "forgotten")
    await page.get_by_label("E-mail address").fill(EMAIL)
    await send(page)
    faults += await faults_of(page, "asked for")
    await page.goto(await place.link())
    assert page.url == f"{place.url}/sign-in/reset", "no token stays in the address"
    faults += await faults_of(page, "new password")
    await page.get_by_label("New password", exact=True).fill(PASSWORD[::-1])
    await page.get_by_label("New password once more").fill(PASSWORD[::-1])
    await send(page)

    # It takes a code too: a recovery code stands in for the telephone.
    await sign_in(page, PASSWORD[::-1])
    faults += await faults_of(page, "second step")
    await page.get_by_label("Code").fill(codes[7].lower())
    await send(page)
    await page.wait_for_url(re.compile("/account$"))
    assert "9 recovery codes are left" in await page.locator("main").inner_text()
    await page.context.close()

    assert faults == []
    assert complaints == []
