"""What is convenient on one's own machine, and who is told when others reach it."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr
from structlog.testing import capture_logs

from services.commands.starting import warnings
from services.composition import compose
from shared.db.engine import Engines
from shared.identity import sessions
from shared.identity.principal import Role, Scope
from shared.sealing import Keyring
from shared.settings import Settings
from shared.web.exposure import is_loopback
from tests.adapters.test_closed_loop import ANSWER, resolved, to_customer
from tests.adapters.web_house import HTML, House, with_settings
from tests.fakes import ManualClock
from tests.staff import staff
from tests.whole_house import WholeHouse, open_house

CAPTURED = "keeps all mail to itself"
DEMONSTRATION = "its people share one password"
PROXY = {"x-forwarded-for": "203.0.113.7"}


async def seen(house: House, role: Role, headers: dict[str, str], **how: Any) -> set[str]:
    """Return of what a page of somebody's warns: every role has one, if only a refusal."""
    session = await house.session(role)
    async with house.client(**how) as client:
        page = await client.get("/settings/audit", headers={**session, **HTML, **headers})
    assert page.status_code in {200, 403}
    return {text for text in (CAPTURED, DEMONSTRATION) if text in page.text}


async def test_on_ones_own_machine_nothing_is_said(house):
    house.app.state.web = replace(house.web, is_demonstration=True)

    assert await seen(house, Role.ADMIN, {}) == set()


@pytest.mark.parametrize(
    ("house", "headers", "how"),
    [
        pytest.param({"host": "0.0.0.0"}, {}, {}, id="bound to every address"),  # noqa: S104 - what it warns of
        pytest.param({"host": "192.0.2.1"}, {}, {}, id="bound to one of the network"),
        pytest.param({}, {}, {"address": "192.0.2.9"}, id="reached from elsewhere"),
        pytest.param({}, PROXY, {}, id="reached by a proxy"),
        pytest.param({}, {}, {"base": "http://loop.example.test"}, id="by another name"),
    ],
    indirect=["house"],
)
async def test_whoever_could_name_a_mail_server_is_told_that_mail_stays_here(
    house, headers, how
):
    assert await seen(house, Role.ADMIN, headers, **how) == {CAPTURED}


@with_settings(host="0.0.0.0")  # noqa: S104 - what it warns of
async def test_others_are_not_told_what_they_cannot_change(house):
    assert await seen(house, Role.AUDITOR, {}) == set()
    async with house.client() as client:
        assert CAPTURED not in (await client.get("/sign-in")).text


@with_settings(host="0.0.0.0", smtp_url="smtp://mail.example.test")  # noqa: S104 - as above
async def test_with_a_mail_server_there_is_nothing_to_say(house):
    assert await seen(house, Role.ADMIN, {}) == set()


@with_settings(host="0.0.0.0", smtp_url="smtp://mail.example.test")  # noqa: S104 - as above
async def test_everybody_in_a_demonstration_that_others_reach_is_told(house):
    house.app.state.web = replace(house.web, is_demonstration=True)

    assert await seen(house, Role.AGENT, {}) == {DEMONSTRATION}


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "loop.example.test"])  # noqa: S104 - as above
def test_the_start_warns_of_captured_mail_that_others_wait_for(host):
    said = "mail is kept here and sent to nobody"

    assert not is_loopback(host)
    assert any(said in sentence for sentence in warnings(Settings(host=host)))
    real = SecretStr("smtp://mail.example.test")
    assert not any(said in one for one in warnings(Settings(host=host, smtp_url=real)))


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.9.1", "::1", "localhost"])
def test_ones_own_machine_is_no_exposure(host):
    assert is_loopback(host)
    assert not any("sent to nobody" in sentence for sentence in warnings(Settings(host=host)))


@pytest.mark.parametrize(
    ("url", "readable"),
    [
        ("http://127.0.0.1:8000", False),
        ("http://localhost:8080", False),
        ("http://[::1]:8000", False),
        ("https://loop.example.test", False),
        ("http://loop.example.test", True),
        ("http://192.0.2.1:8000", True),
    ],
)
def test_the_start_warns_of_an_address_whose_traffic_can_be_read(url, readable):
    said = warnings(Settings(public_url=url))

    assert any("cross the network readable" in sentence for sentence in said) is readable


async def test_a_demonstration_is_what_was_begun_as_one(tmp_path: Path) -> None:
    settings = Settings(database_url=f"sqlite+aiosqlite:///{tmp_path}/closed-loop.db")
    for begun in (True, False):
        async with compose(settings, demonstration=begun) as system:
            assert system.app.state.web.is_demonstration is begun


# ------------------------------------------------------------------ captured mail, links


async def looking(house: WholeHouse, role: Role, *paths: str) -> list[httpx.Response]:
    """Open pages as somebody of this role."""
    now = house.clock.now()
    person = await staff(house.database, now, f"{role}-{len(paths)}@example.test", role=role)
    async with house.database.transaction() as tx:
        token = await sessions.start(tx, person.id, now=now)
    async with house.client(headers={"cookie": f"session={token}"}) as client:
        return [await client.get(path) for path in paths]


async def test_captured_mail_is_for_administrators(
    engines: Engines, clock: ManualClock, keyring: Keyring
) -> None:
    async with open_house(engines, clock, keyring) as house:
        async with house.client() as system:
            await system.post("/v1/responses", json=ANSWER)
            await house.settle()
            await resolved(house, system)
        (listing,) = await looking(house, Role.ADMIN, "/mail")
        one = re.findall(r"/mail/cap_\w+", listing.text)[0]
        paths = ("/mail", one, f"{one}/html")
        statuses = {
            role: [page.status_code for page in await looking(house, role, *paths)]
            for role in Role
        }
        async with house.client(headers=await house.key(*Scope)) as key:
            by_key = [(await key.get(path)).status_code for path in paths]

    others = {role: [403] * 3 for role in Role}
    assert statuses == {**others, Role.ADMIN: [200] * 3}
    assert by_key == [403] * 3


async def test_a_customers_link_stands_in_no_log_and_is_told_to_no_other_site(
    engines: Engines, clock: ManualClock, keyring: Keyring
) -> None:
    async with open_house(engines, clock, keyring) as house:
        with capture_logs() as logs:
            async with house.client() as client:
                await client.post("/v1/responses", json=ANSWER)
                await house.settle()
                await resolved(house, client)
                (link,) = await to_customer(house)
            async with house.client(headers={}) as customer:
                shown = await customer.get(link)
                spoilt = await customer.get(f"{link[:-1]}z")
                answered = await customer.post(link, data={"answer": "yes"})
            await house.settle()

    assert (shown.status_code, spoilt.status_code, answered.status_code) == (200, 404, 303)
    assert [line["route"] for line in logs if line["event"] == "request"][-3:] == [
        "/settled/{token}"
    ] * 3
    assert link.rpartition("~")[2] not in str(logs)
    assert re.findall(r'name="referrer" content="([^"]+)"', shown.text) == ["same-origin"]
    # No address of another site stands in it that could be told.
    assert re.findall(r'(?:href|src|action)="(?!/)[^"#]', shown.text) == []
    for answer in (spoilt, answered):
        assert answer.headers["referrer-policy"] == "no-referrer"
