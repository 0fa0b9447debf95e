"""Single sign-on against a provider on loopback, honest and otherwise."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
from joserfc import jwt
from joserfc.jwk import OctKey
from sqlalchemy import select
from starlette.responses import JSONResponse, RedirectResponse, Response
from structlog.testing import capture_logs

from shared.db.engine import Engines
from shared.errors import Misconfigured
from shared.identity import federation, people
from shared.identity.limits import Allowance
from shared.identity.people import find_staff, list_staff
from shared.identity.principal import Role
from shared.identity.tables import audit
from shared.settings import Settings
from shared.web.oidc import look_at_provider, single_sign_on
from tests.adapters.web_house import House, build, is_problem
from tests.fakes import ManualClock
from tests.infra.certificates import Authority
from tests.infra.oidc import CLIENT_ID, CLIENT_SECRET, Provider, new_key

MAP = "support=agent; CN=IT,OU=Groups=admin"
ANN = {
    "sub": "ann-1",
    "email": "Ann@example.test",
    "email_verified": True,
    "name": "Ann  Other",
    "groups": ["staff", "support"],
}


@dataclass
class Browser:
    """Somebody's browser between the two, following what it is told."""

    house: House
    provider: Provider
    cookies: httpx.Cookies

    @asynccontextmanager
    async def _here(self) -> AsyncIterator[httpx.AsyncClient]:
        async with self.house.client() as client:
            client.cookies = self.cookies
            yield client
            self.cookies = client.cookies

    async def get(self, path: str) -> httpx.Response:
        async with self._here() as client:
            return await client.get(path)

    async def way_back(self, then: str = "/queue") -> str:
        """Go to the provider; return where it sends the browser."""
        begun = await self.get(f"/sign-in/oidc?next={then}")
        assert begun.status_code == 303, begun.text
        async with httpx.AsyncClient() as outside:
            back = await outside.get(begun.headers["location"])
        return back.headers["location"]

    async def sign_in(self, then: str = "/queue") -> httpx.Response:
        return await self.get(await self.way_back(then))

    async def name(self) -> str | None:
        """Return as whom this browser is signed in."""
        answer = await self.get("/queue")
        return answer.json()["name"] if answer.status_code == 200 else None


@pytest.fixture
def provider(clock: ManualClock) -> Provider:
    return Provider(clock=clock, person=dict(ANN))


@pytest_asyncio.fixture
async def open_house(provider: Provider, tmp_path: Path) -> AsyncIterator[Callable[..., Any]]:
    """Build installations that know the provider."""
    opened: list[tuple[House, Engines]] = []

    async def of(**more: Any) -> House:
        folder = tmp_path / str(len(opened))
        folder.mkdir()
        house, engines = await build(
            folder, **{**provider.settings, "oidc_role_map": MAP, **more}
        )
        opened.append((house, engines))
        # One time for both sides.
        provider.clock = house.clock
        return house

    async with provider.serving():
        yield of
    for house, engines in opened:
        await house.app.state.gate.keys.settle()
        await engines.close()


@pytest_asyncio.fixture
async def browser(open_house: Any, provider: Provider) -> Browser:
    return Browser(await open_house(), provider, httpx.Cookies())


async def staff(house: House) -> dict[str, Role]:
    async with house.database.reading() as view:
        found = await list_staff(view, with_disabled=True)
    return {person.email: person.role for person in found}


async def trail(house: House) -> list[str]:
    async with house.database.reading() as view:
        rows = await view.all(select(audit.c.action).order_by(audit.c.n))
    return [row.action for row in rows]


# ------------------------------------------------------------------ the whole way


async def test_whoever_the_provider_vouches_for_gets_an_account_and_a_session(browser):
    page = await browser.get("/sign-in?next=/queue")
    assert 'href="/sign-in/oidc?next=/queue"' in page.text
    assert "Sign in with single sign-on" in page.text

    answer = await browser.sign_in("/queue%3Ftab%3Dall")

    assert (answer.status_code, answer.headers["location"]) == (303, "/queue?tab=all")
    assert await browser.name() == "Ann Other"
    assert await staff(browser.house) == {"ann@example.test": Role.AGENT}
    assert await trail(browser.house) == ["staff.created", "staff.linked", "session.started"]
    set_cookies = answer.headers.get_list("set-cookie")
    assert any(line.startswith('oidc=""; ') and "Max-Age=0" in line for line in set_cookies)


async def test_the_second_time_nobody_is_made(browser):
    await browser.sign_in()
    browser.provider.person["email"] = "married@example.test"

    await browser.sign_in()

    assert await browser.name() == "Ann Other"
    assert await staff(browser.house) == {"ann@example.test": Role.AGENT}


async def test_what_is_asked_of_the_provider_is_bound_to_this_browser_and_this_time(browser):
    first = httpx.URL((await browser.get("/sign-in/oidc")).headers["location"]).params
    second = httpx.URL((await browser.get("/sign-in/oidc")).headers["location"]).params

    assert first["response_type"] == "code"
    assert first["redirect_uri"] == "http://127.0.0.1:8000/sign-in/oidc/callback"
    assert first["scope"] == "openid email profile"
    for name in ("state", "nonce", "code_challenge"):
        assert len(first[name]) >= 43
        assert first[name] != second[name]
    kept = browser.cookies["oidc"]
    assert first["nonce"] not in kept
    assert first["nonce"].encode() not in base64.urlsafe_b64decode(kept)


async def test_a_provider_is_asked_for_its_keys_once_an_hour(browser):
    for _ in range(3):
        await browser.sign_in()
    browser.house.clock.advance(timedelta(hours=1))
    await browser.sign_in()

    assert browser.provider.asked.count("/keys") == 2
    assert browser.provider.asked.count("/.well-known/openid-configuration") == 2


async def test_a_new_key_of_the_provider_is_looked_up_and_not_more_than_once_a_minute(browser):
    await browser.sign_in()
    browser.provider.key = new_key("two")
    assert (await browser.sign_in()).status_code == 401
    browser.house.clock.advance(timedelta(minutes=1))

    assert (await browser.sign_in()).status_code == 303
    browser.provider.key, browser.provider.published = (
        new_key("three"),
        [browser.provider.key.as_dict(private=False)],
    )
    for _ in range(5):
        assert (await browser.sign_in()).status_code == 401
    assert browser.provider.asked.count("/keys") == 2


async def test_claims_may_come_from_userinfo_and_roles_from_further_in(open_house, provider):
    provider.person = {"sub": "ann-1"}
    provider.userinfo = {
        **{name: ANN[name] for name in ("email", "email_verified", "name")},
        "realm_access": {"roles": ["support"]},
    }
    house = await open_house(oidc_role_claim="realm_access.roles")
    browser = Browser(house, provider, httpx.Cookies())

    await browser.sign_in()

    assert await browser.name() == "Ann Other"


# ------------------------------------------------------------------ a provider that lies


def _unsigned(claims: dict[str, Any]) -> str:
    parts = [json.dumps(part).encode() for part in ({"alg": "none"}, claims)]
    return ".".join([*(base64.urlsafe_b64encode(p).decode().rstrip("=") for p in parts), ""])


def _by_secret(claims: dict[str, Any]) -> str:
    key = OctKey.import_key(CLIENT_SECRET)
    return jwt.encode({"alg": "HS256", "kid": "one"}, claims, key, algorithms=["HS256"])


def _by_public_key(provider: Provider) -> Callable[[dict[str, Any]], str]:
    """The classic: the public key, which everybody has, taken for a shared secret."""
    key = OctKey.import_key(base64.b64encode(provider.key.as_bytes("PEM", private=False)))
    return lambda claims: jwt.encode(
        {"alg": "HS256", "kid": "one"}, claims, key, algorithms=["HS256"]
    )


def _without(name: str) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda claims: {key: value for key, value in claims.items() if key != name}


def _with(**more: Any) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda claims: {**claims, **more}


def _later(seconds: int, *names: str) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda claims: {**claims, **{name: claims[name] + seconds for name in names}}


LIES: dict[str, Callable[[Provider], dict[str, Any]]] = {
    "claim_nonce: of another attempt": lambda _: {"tamper": _with(nonce="x" * 43)},
    "claim_nonce: among others": lambda _: {
        "tamper": lambda claims: {**claims, "nonce": [claims["nonce"]]}
    },
    "claim_nonce: none": lambda _: {"tamper": _without("nonce")},
    "signature: none": lambda _: {"sign": _unsigned},
    "signature: by the shared secret": lambda _: {"sign": _by_secret},
    "signature: by the public key": lambda honest: {"sign": _by_public_key(honest)},
    "signature: by somebody else": lambda honest: {
        "sign": lambda claims: honest.signed(claims, new_key("one"))
    },
    "signature: of other words": lambda honest: {
        "sign": lambda claims: ".".join(
            [
                honest.signed(claims).split(".")[0],
                honest.signed({**claims, "sub": "bob"}).split(".")[1],
                honest.signed(claims).split(".")[2],
            ]
        )
    },
    "signature: no token at all": lambda _: {"sign": lambda _claims: "ey.ey"},
    "claim_aud: another client": lambda _: {"tamper": _with(aud="other")},
    "claim_azp: made for another": lambda _: {
        "tamper": _with(aud=[CLIENT_ID, "other"], azp="other")
    },
    "claim_azp: for several": lambda _: {"tamper": _with(aud=[CLIENT_ID, "other"])},
    "claim_iss: another issuer": lambda _: {"tamper": _with(iss="https://evil.test")},
    "claim_exp: expired": lambda _: {"tamper": _later(-400, "exp", "iat")},
    "claim_exp: without an end": lambda _: {"tamper": _without("exp")},
    "claim_iat: from the future": lambda _: {"tamper": _later(400, "exp", "iat")},
    "claim_sub: about nobody": lambda _: {"tamper": _without("sub")},
    "claim_sub: about a number": lambda _: {"tamper": _with(sub=7)},
    "no_id_token: an access token only": lambda _: {
        "answers": {"/token": JSONResponse({"access_token": "at-1"})}
    },
    "other_subject: userinfo of another": lambda _: {
        "tamper": _without("email"),
        "userinfo": {**ANN, "sub": "bob"},
    },
    "no_keys: none to be had": lambda _: {"published": [{"kty": "oct", "k": 7}]},
    "status_500: out of order": lambda _: {"answers": {"/token": Response(status_code=500)}},
    "not_json: another language": lambda _: {"answers": {"/token": Response("<html>")}},
    "too_large: too many words": lambda _: {"answers": {"/token": Response("x" * 300_000)}},
    "status_302: somewhere else": lambda _: {
        "answers": {"/keys": RedirectResponse("http://127.0.0.1:1/keys", 302)}
    },
}


async def test_no_lie_of_the_provider_lets_anybody_in(browser):
    honest, seen = dict(vars(browser.provider)), {}
    for name, lie in LIES.items():
        vars(browser.provider).update(honest)
        browser.provider.answers = {}
        vars(browser.provider).update(lie(browser.provider))
        browser.house.clock.advance(timedelta(hours=1))  # nothing of before is remembered
        with capture_logs() as logs:
            answer = await browser.sign_in()
        seen[name] = (answer.status_code, _reasons(logs), await browser.name())
        assert "The sign-in could not be finished" in answer.text

    assert seen == {name: (401, [name.partition(":")[0]], None) for name in LIES}
    assert await staff(browser.house) == {}
    vars(browser.provider).update({**honest, "answers": {}})
    assert (await browser.sign_in()).status_code == 303


def _reasons(logs: Sequence[Any]) -> list[str]:
    return [line["reason"] for line in logs if line["event"] == "oidc.failed"]


async def test_what_is_published_is_not_believed_blindly(browser):
    for reason, lie in (
        ("metadata_issuer", {"issuer": "https://evil.test"}),
        ("metadata_endpoints", {"token_endpoint": "http://evil.test/token"}),
        ("metadata_endpoints", {"jwks_uri": "file:///etc/passwd"}),
        ("metadata_endpoints", {"authorization_endpoint": "javascript:alert(1)"}),
        ("metadata_endpoints", {"authorization_endpoint": None}),
    ):
        browser.provider.metadata = lie
        with capture_logs() as logs:
            answer = await browser.get("/sign-in/oidc")

        assert (answer.status_code, _reasons(logs)) == (401, [reason])
        assert "location" not in answer.headers


async def test_a_provider_that_is_away_is_said_to_be_so(browser):
    browser.provider.answers["/.well-known/openid-configuration"] = Response(status_code=503)

    answer = await browser.get("/sign-in/oidc")

    assert answer.status_code == 401
    assert "The sign-in could not be finished" in answer.text


# ------------------------------------------------------------------ the way back


async def test_a_code_of_another_provider_is_not_taken_to_ours(browser):
    """Mix-up: who sends the browser back has to say who they are, and be who we asked."""
    for iss in (None, "https://evil.test", ""):
        browser.provider.on_return["iss"] = iss

        assert (await browser.sign_in()).status_code == 401, iss
    assert "/token" not in browser.provider.asked


async def test_an_older_provider_need_not_name_itself(browser):
    browser.provider.metadata = {"authorization_response_iss_parameter_supported": False}
    browser.provider.on_return["iss"] = None

    assert (await browser.sign_in()).status_code == 303


async def test_a_way_back_is_good_for_one_time(browser):
    back = await browser.way_back()
    kept = browser.cookies["oidc"]
    assert (await browser.get(back)).status_code == 303
    assert "oidc" not in browser.cookies

    again = await browser.get(back)
    copied = await Browser(browser.house, browser.provider, httpx.Cookies({"oidc": kept})).get(
        back
    )

    assert again.status_code == copied.status_code == 401
    assert browser.provider.asked.count("/token") == 2  # the copy, which the provider refused
    assert "session" not in copied.headers.get("set-cookie", "")


async def test_somebody_elses_way_back_signs_nobody_in(browser):
    """Neither one made elsewhere, nor with this browser's own attempt beside it."""
    stranger = Browser(browser.house, browser.provider, httpx.Cookies())
    theirs = await stranger.way_back()

    without = await browser.get(theirs)
    await browser.way_back()
    beside = await browser.get(theirs)

    assert without.status_code == beside.status_code == 401
    assert "not begun in this browser" in beside.text
    assert "/token" not in browser.provider.asked
    assert await browser.name() is None


async def test_a_way_back_is_good_for_ten_minutes(browser):
    back = await browser.way_back()
    browser.house.clock.advance(timedelta(minutes=10))

    assert (await browser.get(back)).status_code == 401
    assert "/token" not in browser.provider.asked


async def test_a_cookie_that_is_not_ours_is_no_attempt(browser):
    back = await browser.way_back()
    for kept in ("", "x", "AAAA", "A" * 400):
        browser.cookies = httpx.Cookies({"oidc": kept})

        assert (await browser.get(back)).status_code == 401, kept


async def test_a_way_back_without_one_code_is_none(browser):
    for code, more in (
        ("error=access_denied&was=", ""),
        ("code=", "&code=other"),
        ("code=", "&state=other"),
        ("code=", "&iss=other"),
    ):
        back = await browser.way_back()

        answer = await browser.get(back.replace("code=", code) + more)

        assert answer.status_code == 401, (code, more)
    assert "/token" not in browser.provider.asked
    assert await browser.name() is None


async def test_a_code_may_look_like_a_key_of_ours(browser):
    browser.provider.new_code = lambda: "cfl_0123"

    assert (await browser.sign_in()).status_code == 303


async def test_under_https_the_cookie_of_the_attempt_is_bound_to_this_host(
    open_house, provider
):
    house = await open_house(public_url="https://loop.example.test")

    begun = await Browser(house, provider, httpx.Cookies()).get("/sign-in/oidc")

    name, *flags = begun.headers["set-cookie"].split("; ")
    assert name.startswith("__Host-oidc=")
    assert {"HttpOnly", "Path=/", "SameSite=lax", "Secure", "Max-Age=600"} <= set(flags)
    there = httpx.URL(begun.headers["location"])
    assert there.params["redirect_uri"] == "https://loop.example.test/sign-in/oidc/callback"


async def test_where_to_go_afterwards_is_never_another_site(browser):
    answer = await browser.sign_in("//evil.test")

    assert answer.headers["location"] == "/"


async def test_a_former_session_of_the_browser_ends(browser):
    await browser.sign_in()
    former = browser.cookies["session"]

    await browser.sign_in()

    copy = Browser(browser.house, browser.provider, httpx.Cookies({"session": former}))
    assert await copy.name() is None
    assert await browser.name() == "Ann Other"


async def test_too_many_failures_of_an_address_have_to_wait(browser):
    browser.house.app.state.gate.wrong = Allowance(3)
    browser.provider.sign = _unsigned
    statuses = [(await browser.sign_in()).status_code for _ in range(5)]

    assert statuses == [401] * 3 + [429] * 2
    assert browser.provider.asked.count("/token") == 3


# ------------------------------------------------------------------ who somebody is here


async def test_whoever_has_no_role_stays_out_also_with_an_account(browser):
    await browser.house.person()
    for groups in (None, [], ["staff"], "other", {"support": True}, [7, None]):
        browser.provider.person["groups"] = groups

        answer = await browser.sign_in()

        assert answer.status_code == 403, groups
        assert "no account here is yours" in answer.text
        assert await browser.name() is None
    assert (await trail(browser.house))[-6:] == ["session.refused"] * 6


async def test_the_provider_decides_what_somebody_may_do(browser):
    await browser.house.person(Role.LEAD)
    await browser.sign_in()
    assert await staff(browser.house) == {"ann@example.test": Role.AGENT}
    before = browser.cookies["session"]
    async with browser.house.database.transaction() as tx:
        await people.create_staff(
            tx,
            email="eve@example.test",
            name="Eve",
            role=Role.ADMIN,
            now=browser.house.clock.now(),
        )
    browser.provider.person["groups"] = "CN=IT,OU=Groups"
    elsewhere = Browser(browser.house, browser.provider, httpx.Cookies())

    await elsewhere.sign_in()

    assert (await staff(browser.house))["ann@example.test"] is Role.ADMIN
    old = Browser(browser.house, browser.provider, httpx.Cookies({"session": before}))
    assert await old.name() is None


async def test_the_last_administrator_is_not_demoted_by_a_list(browser):
    await browser.house.person(Role.ADMIN)

    answer = await browser.sign_in()

    assert answer.status_code == 409
    assert (await staff(browser.house)) == {"ann@example.test": Role.ADMIN}


async def test_without_a_map_only_who_has_an_account_comes_in_and_as_what_they_are(
    open_house, provider
):
    house = await open_house(oidc_role_map="")
    browser = Browser(house, provider, httpx.Cookies())
    assert (await browser.sign_in()).status_code == 403
    await house.person(Role.LEAD)

    await browser.sign_in()

    assert await browser.name() == "Ann"
    assert await staff(house) == {"ann@example.test": Role.LEAD}


async def test_an_address_that_nobody_verified_is_nobodys(browser):
    await browser.house.person()
    for verified in (False, None, "yes", 1.5, ["true"]):
        browser.provider.person["email_verified"] = verified

        assert (await browser.sign_in()).status_code == 403, verified


async def test_an_operator_may_trust_the_addresses_of_their_provider(open_house, provider):
    del provider.person["email_verified"]
    house = await open_house(oidc_trust_email=True)
    browser = Browser(house, provider, httpx.Cookies())

    assert (await browser.sign_in()).status_code == 303


async def test_disabled_people_stay_out(browser):
    person = await browser.house.person()
    await browser.sign_in()
    async with browser.house.database.transaction() as tx:
        await people.disable_staff(tx, person, now=browser.house.clock.now())

    assert await browser.name() is None
    linked = await browser.sign_in()
    browser.provider.person["sub"] = "ann-2"
    by_address = await browser.sign_in()

    assert linked.status_code == by_address.status_code == 403


async def test_an_address_that_passes_to_a_colleague_takes_no_account_along(browser):
    await browser.sign_in()
    browser.provider.person["sub"] = "bob-1"
    bob = Browser(browser.house, browser.provider, httpx.Cookies())

    assert (await bob.sign_in()).status_code == 403
    async with browser.house.database.transaction() as tx:
        ann = await find_staff(tx, "ann@example.test")
        assert ann is not None
        assert await federation.unlink(tx, ann, now=browser.house.clock.now()) == 1

    assert await browser.name() is None
    assert (await bob.sign_in()).status_code == 303


async def test_a_provider_is_believed_by_its_certificate(clock, tmp_path, monkeypatch):
    authority = Authority.made(tmp_path)
    provider = Provider(clock=clock, tls=authority.serving("127.0.0.1"))
    settings = Settings.model_validate(provider.settings)
    async with provider.serving():
        with pytest.raises(Misconfigured, match="unreachable"):
            await look_at_provider(settings, clock)
        monkeypatch.setenv("SSL_CERT_FILE", str(authority.bundle))

        assert "the provider answers" in await look_at_provider(settings, clock)


async def test_a_name_that_is_none_is_replaced_by_one(browser):
    browser.provider.person["name"] = "\x00 \u202e\n"

    await browser.sign_in()

    assert await browser.name() == "Ann"


# ------------------------------------------------------------------ what the settings say


async def test_the_check_of_an_installation_looks_at_the_provider(browser):
    settings, clock = browser.house.web.settings, browser.house.clock

    assert "/sign-in/oidc/callback" in await look_at_provider(settings, clock)
    browser.provider.metadata = {"issuer": "https://evil.test"}
    with pytest.raises(Misconfigured, match="metadata_issuer"):
        await look_at_provider(settings, clock)


async def test_where_none_is_set_up_there_is_none(client):
    assert "single sign-on" not in (await client.get("/sign-in")).text
    for path in ("/sign-in/oidc", "/sign-in/oidc/callback?code=a&state=b"):
        is_problem(await client.get(path), 404, "not-found")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"oidc_client_id": ""}, "OIDC_CLIENT_ID"),
        ({"oidc_issuer": "http://id.example.org"}, "https://"),
        ({"oidc_issuer": "https://me:pw@id.example.org"}, "https://"),
        ({"oidc_scopes": "email"}, "lacks openid"),
        ({"oidc_role_map": "support"}, "support=agent"),
        ({"oidc_role_map": "support=king"}, "touchpoint_owner"),
        ({"oidc_role_map": "=agent"}, "support=agent"),
    ],
)
def test_what_cannot_work_stops_the_start_with_a_sentence(clock, given, said):
    whole = {"oidc_issuer": "https://id.example.org", "oidc_client_id": "x", **given}

    with pytest.raises(Misconfigured, match=said):
        single_sign_on(Settings.model_validate(whole), clock)


def test_without_the_extra_the_sentence_says_what_to_install(clock, monkeypatch):
    monkeypatch.setitem(sys.modules, "joserfc", None)

    assert single_sign_on(Settings(), clock) is None
    with pytest.raises(Misconfigured, match=r"pip install 'closed-loop\[oidc\]'"):
        single_sign_on(Settings(oidc_issuer="https://id.example.org"), clock)


def test_the_program_needs_the_extra_for_nothing_else() -> None:
    """What is imported to serve leaves it alone."""
    said = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys; sys.modules['joserfc'] = None; import services.commands.serving",
        ],
        capture_output=True,
        check=False,
    )

    assert said.stderr == b""
    assert said.returncode == 0
