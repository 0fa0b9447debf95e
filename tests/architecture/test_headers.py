"""What every door tells a browser to run, frame, guess and remember: nothing."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping
from typing import Final

import httpx
import pytest
import pytest_asyncio

from services.composition import System
from shared.identity import people, sessions
from shared.identity.principal import Role
from shared.web.auth import session_cookie
from tests.architecture.composed import composed, doors

ALWAYS: Final = {
    "x-content-type-options": "nosniff",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}
POLICY: Final = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": "'self'",
    "img-src": "'self' data:",
    "connect-src": "'self'",
    "form-action": "'self'",
    "frame-ancestors": "'none'",
    "base-uri": "'none'",
}
NEVER_LEFT_OUT: Final = {"default-src", "frame-ancestors", "base-uri", "form-action"}
MAY_BE_FRAMED: Final = {
    "GET /mail/{mail_id}/html": "a mail as it looks, without rights, in the page around it"
}
HTML: Final = {"accept": "text/html", "sec-fetch-site": "same-origin"}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def answers() -> AsyncIterator[Mapping[str, httpx.Response]]:
    """What every door answers a stranger and an administrator."""
    async with composed() as system:
        found = {}
        for who, cookies in (("a stranger", {}), ("ada", await _administrator(system))):
            async with httpx.AsyncClient(
                transport=httpx.ASGITransport(system.app, raise_app_exceptions=False),
                base_url=system.settings.public_url,
            ) as client:
                for door in doors(system.app):
                    # Each time anew: some doors end the session.
                    client.cookies = httpx.Cookies(cookies)
                    path = re.sub(r"{[^}]+}", "none", door.path)
                    found[f"{door.name} by {who}"] = await client.request(
                        door.method, path, headers=HTML
                    )
        await system.app.state.gate.keys.settle()
        yield found


async def _administrator(system: System) -> dict[str, str]:
    now = system.clock.now()
    async with system.database.transaction() as tx:
        ada = await people.create_staff(
            tx, email="ada@example.org", name="Ada", role=Role.ADMIN, now=now
        )
        token = await sessions.start(tx, ada.id, now=now)
    return {session_cookie(system.settings): token}


pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_every_door_answers_with_the_safe_headers(
    answers: Mapping[str, httpx.Response],
) -> None:
    wrong = {
        f"{name}: {header}": answer.headers.get(header)
        for name, answer in answers.items()
        for header, value in ALWAYS.items()
        if answer.headers.get(header) != value
    }

    assert len(answers) > 400
    assert {answer.status_code for answer in answers.values()} >= {200, 303, 401, 404, 422}
    assert wrong == {}


async def test_no_door_lets_anything_run_that_is_not_ours(
    answers: Mapping[str, httpx.Response],
) -> None:
    wrong = {}
    for name, answer in answers.items():
        door = name.partition(" by ")[0]
        policy = {
            name: value
            for part in answer.headers["content-security-policy"].split(";")
            for name, _, value in [part.strip().partition(" ")]
        }
        lax = {k: v for k, v in policy.items() if v != POLICY.get(k, v) and v != "'none'"}
        lax |= {k: v for k, v in policy.items() if re.search(r"unsafe|\*|https?:", v)}
        if door not in MAY_BE_FRAMED and (
            lax
            or not policy.keys() >= NEVER_LEFT_OUT
            or answer.headers["x-frame-options"] != "DENY"
        ):
            wrong[name] = policy

    assert wrong == {}


async def test_no_door_tells_other_sites_where_somebody_was(
    answers: Mapping[str, httpx.Response],
) -> None:
    """Pages say so themselves: with ``no-referrer`` our own forms would be nobody's."""
    wrong = {
        name: answer.headers.get("referrer-policy")
        for name, answer in answers.items()
        if answer.headers.get("referrer-policy") != "no-referrer"
        or set(re.findall(r'name="referrer" content="([^"]*)"', answer.text)) - {"same-origin"}
    }

    assert wrong == {}


async def test_no_door_allows_other_origins_or_names_what_serves_it(
    answers: Mapping[str, httpx.Response],
) -> None:
    telling = {
        f"{name}: {header}"
        for name, answer in answers.items()
        for header in answer.headers
        if header.startswith("access-control-") or header in {"server", "x-powered-by"}
    }

    assert telling == set()


async def test_cookies_are_for_us_alone(answers: Mapping[str, httpx.Response]) -> None:
    loose = {
        f"{name}: {cookie}"
        for name, answer in answers.items()
        for cookie in answer.headers.get_list("set-cookie")
        if not {"httponly", "samesite=lax", "path=/"}
        <= {part.strip().lower() for part in cookie.split(";")}
    }

    assert loose == set()


async def test_files_are_kept_by_their_version_and_guessed_by_nobody() -> None:
    async with (
        composed() as system,
        httpx.AsyncClient(
            transport=httpx.ASGITransport(system.app), base_url=system.settings.public_url
        ) as client,
    ):
        plain = await client.get("/static/app.css")
        versioned = await client.get("/static/app.css?v=1")

    assert plain.headers["cache-control"] == "no-cache"
    assert versioned.headers["cache-control"] == "public, max-age=31536000, immutable"
    for answer in (plain, versioned):
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cross-origin-resource-policy"] == "same-origin"
