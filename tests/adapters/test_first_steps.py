"""The first minutes: an empty installation, its assistant, its people, a test response."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
import pytest_asyncio
from sqlalchemy import select

from shared.db.engine import Engines
from shared.db.transaction import Database
from shared.identity import people, sessions
from shared.identity.keys import SAMPLE_SOURCE, list_keys, revoke_key
from shared.identity.principal import ROLE_SCOPES, Role, Scope
from shared.identity.tables import audit
from shared.sealing import Keyring
from shared.web.auth import session_cookie
from tests.fakes import ManualClock
from tests.whole_house import BASE, WholeHouse, open_house

PASSWORD = "correct horse battery staple"
STEPS = ("organisation", "calendar", "people", "touchpoints", "source", "test-response")
COLLEAGUE = {
    "name": "Ana Ruiz",
    "email": "ana@example.org",
    "role": "agent",
    "team_id": "team_customer_care",
    "language": "en",
    "time_zone": "Europe/Berlin",
}


@pytest_asyncio.fixture
async def house(
    engines: Engines, clock: ManualClock, keyring: Keyring
) -> AsyncIterator[WholeHouse]:
    async with open_house(engines, clock, keyring) as opened:
        # The house's own key is one more than an empty installation has.
        async with opened.database.transaction() as tx:
            for key in await list_keys(tx):
                await revoke_key(tx, key.id, now=clock.now())
        yield opened


@asynccontextmanager
async def browsing(house: WholeHouse) -> AsyncIterator[httpx.AsyncClient]:
    """Give somebody a browser without scripts."""
    headers = {"Accept": "text/html", "Origin": BASE}
    async with house.client(headers=headers) as browser:
        yield browser


async def _begin(browser: httpx.AsyncClient) -> httpx.Response:
    """Make the first administrator, as the sign-in page asks for it."""
    made = {"name": "Ada", "email": "ada@example.org", "password": PASSWORD, "next": "/"}
    return await browser.post("/sign-in/first", data=made)


async def _states(browser: httpx.AsyncClient) -> Mapping[str, str]:
    """Return what the assistant says of each step."""
    page = await browser.get("/welcome")
    assert page.status_code == 200, page.text
    found = re.findall(
        r'<h2 id="([a-z-]+)">.*?<span class="tag[^"]*">(\w+)</span>', page.text, re.DOTALL
    )
    return dict(found)


async def _done(database: Database) -> list[tuple[str, str]]:
    async with database.reading() as view:
        rows = await view.all(select(audit.c.action, audit.c.actor_kind).order_by(audit.c.n))
    return [(row.action, row.actor_kind) for row in rows]


async def _sends(browser: httpx.AsyncClient) -> str:
    """Press the button; return the ticket that went with it."""
    page = await browser.get("/settings/test-response")
    ticket = re.search(r'name="ticket" value="([^"]+)"', page.text)
    assert ticket is not None
    sent = await browser.post("/settings/test-response", data={"ticket": ticket[1]})
    assert sent.status_code == 303, sent.text
    return ticket[1]


async def test_whoever_begins_an_installation_is_led_through_the_first_steps(
    house: WholeHouse,
) -> None:
    async with browsing(house) as browser:
        assert (await _begin(browser)).headers["location"] == "/welcome"
        assert await _states(browser) == dict.fromkeys(STEPS, "open")

        named = {"name": "Northwind Parcels", "time_zone": "Europe/Berlin"}
        assert (await browser.post("/settings/organisation", data=named)).status_code == 303
        rights = await house.key(*Scope)
        shift = [{"start": "09:00", "end": "17:00"}]
        calendar = {
            "id": "office",
            "name": "Office",
            "time_zone": "Europe/Berlin",
            "week": dict.fromkeys(("monday", "tuesday"), shift),
        }
        async with house.client(headers=rights) as machine:
            made = await machine.post("/v1/calendars", json=calendar)
            assert made.status_code == 201, made.text
            owner = {"id": "team_customer_care", "kind": "team"}
            place = {"code": "door", "name": "Doorstep", "owner": owner}
            made = await machine.post("/v1/touchpoints", json=place)
            assert made.status_code == 201, made.text
        assert (await browser.post("/settings/people", data=COLLEAGUE)).status_code == 200
        key = {
            "source": "shop",
            "name": "first",
            "scope:responses:write": "yes",
            "expires": "0",
        }
        assert (await browser.post("/settings/keys", data=key)).status_code == 200
        assert (await _states(browser))["test-response"] == "open"
        await _sends(browser)
        await house.settle()

        assert await _states(browser) == dict.fromkeys(STEPS, "done")
        assert "first steps" not in (await browser.get("/?tab=closed")).text


async def test_a_key_that_ended_connects_nothing(house: WholeHouse) -> None:
    async with browsing(house) as browser:
        await _begin(browser)
        await house.key(Scope.RESPONSES_READ)
        await house.key(Scope.RESPONSES_WRITE, test=True)

        assert (await _states(browser))["source"] == "open"


async def test_a_step_can_wait_and_the_reminder_can_be_sent_away(house: WholeHouse) -> None:
    async with browsing(house) as browser:
        await _begin(browser)
        assert "6 of the first steps are open" in (await browser.get("/?tab=mine")).text

        later = {"step": "calendar", "later": "yes"}
        await browser.post("/welcome/later", data=later)
        assert (await _states(browser))["calendar"] == "later"
        assert "5 of the first steps are open" in (await browser.get("/?tab=mine")).text
        await browser.post("/welcome/later", data={"step": "calendar", "later": ""})
        assert (await _states(browser))["calendar"] == "open"
        unknown = await browser.post("/welcome/later", data={"step": "tea", "later": "yes"})
        assert unknown.status_code == 404

        await browser.post("/welcome/dismiss", data={"sure": "yes"})
        assert "first steps" not in (await browser.get("/?tab=mine")).text
        assert 'href="/welcome"' in (await browser.get("/settings")).text
        assert (await _states(browser))["calendar"] == "open"


async def test_the_organisation_stands_above_every_page(house: WholeHouse) -> None:
    async with browsing(house) as browser:
        await _begin(browser)
        hostile = {"name": "<b>Northwind</b>", "time_zone": "Europe/Lisbon"}
        await browser.post("/settings/organisation", data=hostile)

        for path in ("/", "/settings/people", "/settings/sources", "/mail"):
            assert "&lt;b&gt;Northwind&lt;/b&gt;</bdi>" in (await browser.get(path)).text, path
        async with house.database.reading() as view:
            ada = await people.find_staff(view, "ada@example.org")
        assert ada is not None
        assert ada.time_zone == "Europe/Lisbon"
        assert 'value="Europe/Lisbon"' in (await browser.get("/settings/people")).text

        moved = {"name": "Northwind", "time_zone": "Europe/Berlin"}
        await browser.post("/settings/organisation", data=moved)
        async with house.database.reading() as view:
            assert (await people.find_staff(view, "ada@example.org")) == ada
    assert [name for name, _ in await _done(house.database)].count("organisation.changed") == 2


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"name": "Northwind", "time_zone": "Mars/Olympus"}, "There is no such time zone"),
        ({"name": "North\u202ewind", "time_zone": "UTC"}, "1 to 200 printable characters"),
        ({"name": "", "time_zone": "UTC"}, "Please fill in this field."),
    ],
)
async def test_an_organisation_that_cannot_be_is_not_saved(
    house: WholeHouse, given: Mapping[str, str], said: str
) -> None:
    async with browsing(house) as browser:
        await _begin(browser)
        answer = await browser.post("/settings/organisation", data=given)

        assert answer.status_code == 422
        assert said in answer.text
        assert (await _states(browser))["organisation"] == "open"


async def test_a_test_response_comes_back_as_a_task_and_counts_nowhere(
    house: WholeHouse,
) -> None:
    async with browsing(house) as browser:
        await _begin(browser)
        ticket = await _sends(browser)
        assert "on its way" in (await browser.get("/settings/test-response")).text

        again = await browser.post("/settings/test-response", data={"ticket": ticket})
        assert again.status_code == 303
        await house.settle()
        page = (await browser.get("/settings/test-response")).text
        task = re.search(r'href="(/tasks/tsk_[^"]+)"', page)
        assert task is not None, page
        shown = (await browser.get(task[1])).text
        assert "Test customer" in shown
        assert "forty minutes" in shown

    rights = await house.key(*Scope)
    async with house.client(headers=rights) as machine:
        tasks = (await machine.get("/v1/tasks")).json()["data"]
        assert len(tasks) == 1, "one ticket is one response"
        whole = (await machine.get("/v1/scores?metric=nps")).json()
        themes = (await machine.get("/v1/themes")).json()
        closure = (await machine.get("/v1/closure-rates")).json()
        touchpoints = (await machine.get("/v1/touchpoints")).json()["data"]
    assert _numbers(whole, "n") == {0}, whole
    assert _numbers(themes, "comments", "mentions") == {0}, themes
    assert _numbers(closure, "n") == {0}, closure
    assert touchpoints == []


def _numbers(document: Any, *names: str) -> set[int]:
    """Return every number that stands under one of these names, however deep."""
    if isinstance(document, list):
        return set().union(*(_numbers(one, *names) for one in document))
    if not isinstance(document, dict):
        return set()
    found = {v for k, v in document.items() if k in names and isinstance(v, int)}
    return found.union(*(_numbers(one, *names) for one in document.values()))


async def test_the_key_of_a_test_response_ends_with_it(house: WholeHouse) -> None:
    async with browsing(house) as browser:
        await _begin(browser)
        await _sends(browser)
    async with house.database.reading() as view:
        (key,) = await list_keys(view, source=SAMPLE_SOURCE)

    assert key.scopes == {Scope.RESPONSES_WRITE}
    assert key.revoked_at is not None
    assert ("key.created", "staff") in await _done(house.database)


async def test_another_test_response_is_another_task(house: WholeHouse) -> None:
    async with browsing(house) as browser:
        await _begin(browser)
        await _sends(browser)
        await _sends(browser)
        await house.settle()
    async with house.client(headers=await house.key(*Scope)) as machine:
        assert len((await machine.get("/v1/tasks")).json()["data"]) == 2


async def test_a_ticket_that_is_none_is_replaced(house: WholeHouse) -> None:
    async with browsing(house) as browser:
        await _begin(browser)
        sent = await browser.post("/settings/test-response", data={"ticket": "a b\x7f" * 99})

        assert sent.status_code == 303
        assert "on its way" in (await browser.get("/settings/test-response")).text


# ------------------------------------------------------------------ people


async def test_somebody_is_added_with_a_password_that_is_shown_once(house: WholeHouse) -> None:
    async with browsing(house) as browser:
        await _begin(browser)
        shown = await browser.post("/settings/people", data=COLLEAGUE)
        password = re.search(r'id="password"[^>]* value="([^"]+)"', shown.text)
        assert password is not None, shown.text
        assert shown.headers["cache-control"] == "no-store"
        assert password[1] not in (await browser.get("/settings/people")).text

        again = await browser.post("/settings/people", data=COLLEAGUE)
        assert again.status_code == 409
        assert "Somebody with this address is here already." in again.text
    async with browsing(house) as browser:
        given = {"email": "ana@example.org", "password": password[1], "next": "/"}
        assert (await browser.post("/sign-in", data=given)).headers["location"] == "/"
        assert "Ana Ruiz" in (await browser.get("/")).text
        assert (await browser.get("/welcome")).status_code == 403
        assert (await browser.get("/settings/people")).status_code == 403
        assert "first steps" not in (await browser.get("/?tab=mine")).text
    assert ("staff.created", "staff") in await _done(house.database)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"email": "ana"}, "Please write one address"),
        ({"role": "emperor"}, "Please choose one."),
        ({"language": "tlh"}, "Please choose one."),
        ({"time_zone": "Berlin"}, "There is no such time zone."),
        ({"name": ""}, "Please fill in this field."),
    ],
)
async def test_who_cannot_be_added_is_said_beside_the_field(
    house: WholeHouse, wrong: Mapping[str, str], said: str
) -> None:
    async with browsing(house) as browser:
        await _begin(browser)
        answer = await browser.post("/settings/people", data={**COLLEAGUE, **wrong})

        assert answer.status_code == 422
        assert said in answer.text
    async with house.database.reading() as view:
        assert len(await people.list_staff(view)) == 1


async def test_the_last_administrator_stays(house: WholeHouse) -> None:
    async with browsing(house) as browser:
        await _begin(browser)
        async with house.database.reading() as view:
            ada = await people.find_staff(view, "ada@example.org")
        assert ada is not None
        at = f"/settings/people/{ada.id}"
        lesser = {
            "name": "Ada",
            "email": "ada@example.org",
            "role": "agent",
            "language": "en",
            "time_zone": "UTC",
        }
        for path, data in ((at, lesser), (f"{at}/disable", {"sure": "yes"})):
            answer = await browser.post(path, data=data)
            assert answer.status_code == 409
            assert "This is the last administrator." in answer.text
        unsure = await browser.post(f"{at}/disable", data={"sure": ""})
        assert unsure.status_code == 422

        ana = {**COLLEAGUE, "role": "admin"}
        await browser.post("/settings/people", data=ana)
        assert (await browser.post(at, data=lesser)).status_code == 303
        # Another role ends the session.
        assert (await browser.get("/welcome")).headers["location"].startswith("/sign-in")


async def test_an_account_is_changed_renewed_and_disabled(house: WholeHouse) -> None:
    async with browsing(house) as browser:
        await _begin(browser)
        await browser.post("/settings/people", data=COLLEAGUE)
        async with house.database.transaction() as tx:
            ana = await people.find_staff(tx, "ana@example.org")
            assert ana is not None
            token = await sessions.start(tx, ana.id, now=house.clock.now())
        at = f"/settings/people/{ana.id}"
        changed = {
            "name": "Ana María Ruiz",
            "email": "Ana.Ruiz@Example.org",
            "role": "lead",
            "language": "de",
            "time_zone": "Europe/Madrid",
        }
        taken = await browser.post(at, data={**changed, "email": "ada@example.org"})
        assert (taken.status_code, "is here already" in taken.text) == (409, True)
        no_address = await browser.post(at, data={**changed, "email": "nowhere"})
        assert no_address.status_code == 422
        assert (await browser.post(at, data=changed)).status_code == 303
        renewed = await browser.post(f"{at}/password", data={"now": "yes"})
        assert 'id="password"' in renewed.text
        async with house.database.reading() as view:
            assert await sessions.find(view, token, now=house.clock.now()) is None
            assert await people.find_staff(view, "ana@example.org") is None
            ana = await people.find_staff(view, "ana.ruiz@example.org")
        assert ana is not None
        assert (ana.name, ana.role, ana.language) == ("Ana María Ruiz", Role.LEAD, "de")

        assert (await browser.post(f"{at}/disable", data={"sure": "yes"})).status_code == 303
        assert "can sign in no more" in (await browser.get(f"{at}?done=disabled")).text
        assert (await browser.get("/settings/people/stf_none")).status_code == 404
    done = [name for name, kind in await _done(house.database) if kind == "staff"]
    for name in ("staff.changed", "staff.password-set", "staff.disabled"):
        assert name in done


@pytest.mark.parametrize("role", [Role.LEAD, Role.DEVELOPER])
async def test_who_may_only_read_settings_changes_nobody(house: WholeHouse, role: Role) -> None:
    assert Scope.SETTINGS_READ in ROLE_SCOPES[role]
    async with house.database.transaction() as tx:
        person = await people.create_staff(
            tx, email="lea@example.org", name="Lea", role=role, now=house.clock.now()
        )
        token = await sessions.start(tx, person.id, now=house.clock.now())
    async with browsing(house) as browser:
        browser.cookies.set(session_cookie(house.settings), token)
        for path in ("/settings/people", "/settings/organisation", "/settings/test-response"):
            page = await browser.get(path)
            assert page.status_code == 200
            assert f'action="{path}' not in page.text
            assert (await browser.post(path, data={"name": "x"})).status_code == 403
        own = f"/settings/people/{person.id}"
        assert (await browser.get(own)).status_code == 200
        for path in (own, f"{own}/password", f"{own}/disable", "/welcome/dismiss"):
            assert (await browser.post(path, data={"sure": "yes"})).status_code == 403
