"""A forgotten password, from the form to the mail and back, on both databases."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from email import message_from_bytes, policy

import httpx
import pyotp
import pytest
import pytest_asyncio
from sqlalchemy import select

from services.notify import store
from services.notify.channels.capture import opened
from services.notify.tables import captured_mails, deliveries
from shared.db.base import metadata
from shared.db.engine import Engines
from shared.identity import passwords, people, second_factor
from shared.identity.person_keys import PersonKeys
from shared.identity.principal import Principal, Role
from shared.sealing import Keyring
from tests.adapters.test_account import said
from tests.fakes import ManualClock
from tests.staff import audited, staff
from tests.whole_house import BASE, WholeHouse, open_house

EMAIL = "ann@example.org"
OLD = "correct horse battery"
NEW = "another horse, another battery"


@pytest_asyncio.fixture
async def house(
    engines: Engines, clock: ManualClock, keyring: Keyring
) -> AsyncIterator[WholeHouse]:
    async with open_house(engines, clock, keyring) as opened_house:
        yield opened_house


@pytest.fixture(scope="session")
def old_hash() -> str:
    return passwords._hash(OLD)


@asynccontextmanager
async def browsing(house: WholeHouse) -> AsyncIterator[httpx.AsyncClient]:
    """Open a browser that asks for pages and says where its forms come from."""
    async with house.client(headers={"accept": "text/html", "origin": BASE}) as browser:
        yield browser


async def ask(browser: httpx.AsyncClient, email: str = EMAIL) -> httpx.Response:
    """Ask for a mail and read what the page says then."""
    answer = await browser.post("/sign-in/forgot", data={"email": email})
    return await browser.get(answer.headers["location"]) if answer.is_redirect else answer


async def links(house: WholeHouse) -> list[str]:
    """Return the links of the mails that were sent, the oldest first."""
    await house.settle()
    found = []
    async with house.database.reading() as view:
        for row in await view.all(select(captured_mails).order_by(captured_mails.c.id)):
            mail = await opened(
                view, row.id, keyring=house.keyring, person_keys=PersonKeys(house.keyring)
            )
            assert mail is not None
            assert mail[1] is not None
            message = message_from_bytes(mail[1], policy=policy.default)
            assert message["To"] == EMAIL
            text = message.get_body(("plain",)).get_content()  # type: ignore[union-attr] # a mail of ours has a text
            found += re.findall(rf"{BASE}(/sign-in/reset/\S+)", text)
    return found


async def test_a_link_by_mail_brings_a_new_password_once(house, old_hash):
    person = await staff(
        house.database, house.clock.now(), EMAIL, password_hash=old_hash, role=Role.ADMIN
    )
    async with browsing(house) as browser, browsing(house) as elsewhere:
        await elsewhere.post("/sign-in", data={"email": EMAIL, "password": OLD})
        offered = await browser.get("/sign-in")
        told = await ask(browser, f" {EMAIL.upper()} ")
        (link,) = await links(house)
        taken = await browser.get(link)
        form = await browser.get(taken.headers["location"])
        short = await browser.post("/sign-in/reset", data={"new": "x", "again": "x"})
        saved = await browser.post("/sign-in/reset", data={"new": NEW, "again": NEW})
        done = await browser.get(saved.headers["location"])
        out = await elsewhere.get("/account")
        old = await browser.post("/sign-in", data={"email": EMAIL, "password": OLD})
        new = await browser.post("/sign-in", data={"email": EMAIL, "password": NEW})
        again = await elsewhere.get(link)

    assert 'href="/sign-in/forgot"' in offered.text
    assert "a mail with a link is on its way" in said(told)
    assert taken.headers["location"] == "/sign-in/reset", "the token leaves the address"
    assert 'autocomplete="new-password"' in form.text
    assert short.status_code == 422
    assert "12 to 200 characters" in said(short)
    assert "Your new password is saved" in said(done)
    assert out.headers["location"].startswith("/sign-in")
    assert (old.status_code, new.status_code) == (401, 303)
    assert again.status_code == 410
    assert "used already" in said(again)
    done_ = await audited(house.database)
    assert done_.count("staff.password-reset-asked") == 1
    assert done_.count("staff.password-set") == 1
    async with house.database.reading() as view:
        assert (await people.wanted(view, person.id)).active


async def test_everybody_gets_the_same_answer_and_only_an_account_a_mail(house, old_hash):
    await staff(house.database, house.clock.now(), EMAIL, password_hash=old_hash)
    await staff(house.database, house.clock.now(), "none@example.org")
    gone = await staff(
        house.database, house.clock.now(), "gone@example.org", password_hash=old_hash
    )
    async with house.database.transaction() as tx:
        await people.disable_staff(tx, gone.id, now=house.clock.now())
    answers = []
    async with browsing(house) as browser:
        for email in (EMAIL, "none@example.org", "gone@example.org", "nobody@example.org"):
            first = await browser.post("/sign-in/forgot", data={"email": email})
            page = await browser.get(first.headers["location"])
            answers.append((first.status_code, first.headers["location"], page.text))

    assert len(set(answers)) == 1
    assert len(await links(house)) == 1


async def test_nobodys_mailbox_is_filled_and_no_address_asks_without_end(house, old_hash):
    await staff(house.database, house.clock.now(), EMAIL, password_hash=old_hash)
    async with browsing(house) as browser:
        pages = [await ask(browser) for _ in range(5)]
        mails = await links(house)
        answers = [await ask(browser, f"a{n}@example.org") for n in range(16)]
        house.clock.advance(timedelta(minutes=15))
        later = await ask(browser)

    assert len({page.text for page in pages}) == 1, "the limit of an account is not told"
    assert len(mails) == 3
    assert [answer.status_code for answer in answers] == [200] * 15 + [429]
    assert int(answers[-1].headers["retry-after"]) > 0
    assert later.status_code == 200


async def test_a_link_ends_after_an_hour_and_with_any_new_password(house, old_hash):
    person = await staff(house.database, house.clock.now(), EMAIL, password_hash=old_hash)
    async with browsing(house) as browser:
        await ask(browser)
        await ask(browser)
        first, second = await links(house)
        await browser.get(first)
        house.clock.advance(timedelta(minutes=59))
        assert (await browser.get(second)).status_code == 303
        async with house.database.transaction() as tx:
            await people.set_password(tx, person.id, old_hash, now=house.clock.now())
        renewed = await browser.post("/sign-in/reset", data={"new": NEW, "again": NEW})
        async with house.database.transaction() as tx:
            await people.set_password(tx, person.id, old_hash, now=house.clock.now())
        house.clock.advance(timedelta(minutes=1))
        late = await browser.get(second)

    assert renewed.status_code == 410
    assert late.status_code == 410


@pytest.mark.parametrize("token", ["x", "pwr_1~9999999999~" + "0" * 32, "a" * 500])
async def test_a_made_up_link_opens_nothing(house, token):
    async with browsing(house) as browser:
        answer = await browser.get(f"/sign-in/reset/{token}")
        form = await browser.get("/sign-in/reset")
        saved = await browser.post("/sign-in/reset", data={"new": NEW, "again": NEW})

    assert answer.status_code == 404
    assert "set-cookie" not in answer.headers
    assert (form.status_code, saved.status_code) == (404, 404)


async def test_a_link_ends_when_the_account_has_another_address(house, old_hash):
    """Whoever reads the old mailbox later gets in by nothing that went there."""
    person = await staff(house.database, house.clock.now(), EMAIL, password_hash=old_hash)
    async with browsing(house) as browser:
        await ask(browser)
        (link,) = await links(house)
        async with house.database.transaction() as tx:
            now = house.clock.now()
            await people.update_staff(tx, person.id, email="ann.new@example.org", now=now)
        opened_link = await browser.get(link)
        saved = await browser.post("/sign-in/reset", data={"new": NEW, "again": NEW})

    assert {opened_link.status_code, saved.status_code} <= {404, 410}


async def test_a_disabled_account_is_not_opened_by_a_link(house, old_hash):
    person = await staff(house.database, house.clock.now(), EMAIL, password_hash=old_hash)
    async with browsing(house) as browser:
        await ask(browser)
        (link,) = await links(house)
        await browser.get(link)
        async with house.database.transaction() as tx:
            await people.disable_staff(tx, person.id, now=house.clock.now())
        answer = await browser.post("/sign-in/reset", data={"new": NEW, "again": NEW})

    assert answer.status_code == 410


async def test_the_second_factor_is_asked_for_after_a_new_password_too(house, old_hash):
    person = await staff(house.database, house.clock.now(), EMAIL, password_hash=old_hash)
    async with house.database.transaction() as tx:
        now = house.clock.now()
        await second_factor.begin(tx, house.keyring, person.id, now=now)
        secret = await second_factor.being_set_up(tx, house.keyring, person.id)
        assert secret is not None
        ann = Principal(kind="staff", id=person.id, name=person.name, scopes=frozenset())
        code = pyotp.TOTP(secret).at(now)
        await second_factor.confirm(tx, house.keyring, ann, code, now=now)
    async with browsing(house) as browser:
        await ask(browser)
        (link,) = await links(house)
        await browser.get(link)
        await browser.post("/sign-in/reset", data={"new": NEW, "again": NEW})
        entered = await browser.post("/sign-in", data={"email": EMAIL, "password": NEW})

    assert entered.headers["location"].startswith("/sign-in/code")
    assert "session" not in entered.cookies


async def test_the_link_stands_in_the_mail_and_nowhere_else(house, old_hash, caplog):
    await staff(house.database, house.clock.now(), EMAIL, password_hash=old_hash)
    async with browsing(house) as browser:
        await ask(browser)
        (link,) = await links(house)
        await browser.get(link)
    token = link.rpartition("/")[2]
    kept = []
    async with house.database.reading() as view:
        for table in metadata.sorted_tables:
            kept += [f"{table.name}: {row}" for row in await view.all(select(table))]

    assert len(kept) > 10
    assert [row for row in kept if token in row or token.rpartition("~")[2] in row] == []
    assert token not in caplog.text


async def test_nobody_gets_it_in_somebodys_place(house, old_hash):
    """A dead mailbox gives the link to no colleague and to no administrator."""
    await staff(house.database, house.clock.now(), "ada@example.org", role=Role.ADMIN)
    await staff(house.database, house.clock.now(), EMAIL, password_hash=old_hash)
    async with house.database.transaction() as tx:
        await store.suppress(
            tx, EMAIL, reason="address_dead", code=550, delivery_id="x", now=house.clock.now()
        )
    async with browsing(house) as browser:
        await ask(browser)
    await house.settle()

    async with house.database.reading() as view:
        (row,) = await view.all(
            select(deliveries).where(deliveries.c.purpose == "password_reset")
        )
        captured = await view.all(select(captured_mails))
    assert (row.state, row.reason) == ("failed", "address_suppressed")
    assert [mail for mail in captured if "password" in mail.subject] == []


async def test_a_mail_that_waited_too_long_is_not_sent(house, old_hash):
    await staff(house.database, house.clock.now(), EMAIL, password_hash=old_hash)
    async with browsing(house) as browser:
        await ask(browser)
    await house.settle(sending=False)
    house.clock.advance(timedelta(hours=1))

    assert await links(house) == []
    async with house.database.reading() as view:
        (row,) = await view.all(
            select(deliveries).where(deliveries.c.purpose == "password_reset")
        )
    assert (row.state, row.reason) == ("held", "link_over")
