"""Every door of the composed program: guarded, described, and open to whom the page says."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from http import HTTPStatus

import httpx
import pytest
from fastapi.routing import APIRoute, iter_route_contexts
from starlette.routing import Mount, Route

from services.composition import ROLES
from shared.identity.principal import ROLE_SCOPES, Role, Scope
from shared.web.auth import PROVEN_ROUTES, PUBLIC_ROUTES
from tests.architecture.composed import ROOT, Door, composed, doors
from tests.architecture.role_matrix import (
    NOBODYS_ID,
    PAGE,
    Verdict,
    everybody,
    find_out,
    lets_in,
    page,
)


@pytest.fixture(scope="module")
def all_doors() -> Sequence[Door]:
    """Every route and method of all roles."""

    async def look() -> Sequence[Door]:
        async with composed() as system:
            return doors(system.app)

    return asyncio.run(look())


@pytest.fixture(scope="module")
def verdicts() -> Sequence[Verdict]:
    """Who was let in where, tried once."""
    return asyncio.run(find_out())


def test_every_route_asks_who_is_there_or_is_listed_as_public(
    all_doors: Sequence[Door],
) -> None:
    """A new route without a guard fails here; so does one that is both."""
    unguarded = [
        door.name
        for door in all_doors
        if not (door.guards or door.is_public or door.asks_for_proof)
    ]
    twofold = [
        door.name
        for door in all_doors
        if bool(door.guards) + door.is_public + door.asks_for_proof > 1
    ]

    assert unguarded == []
    assert twofold == []


def test_the_list_of_public_routes_names_existing_ones_with_a_reason(
    all_doors: Sequence[Door],
) -> None:
    """What was removed must not stay promised."""
    paths = {door.path for door in all_doors}

    listed = PUBLIC_ROUTES | PROVEN_ROUTES
    assert set(listed) - paths == set()
    assert [path for path, reason in listed.items() if len(reason.split()) < 4] == []


def test_every_route_of_the_interface_says_what_it_is_for(all_doors: Sequence[Door]) -> None:
    """The summary is written, not made of a function's name; and no two are the same."""
    silent = [door.name for door in all_doors if door.in_schema and not door.summary]
    summaries = [door.summary for door in all_doors if door.in_schema]

    assert silent == []
    assert len(summaries) == len(set(summaries))


def test_the_interface_is_described_and_pages_are_not(all_doors: Sequence[Door]) -> None:
    """``/openapi.json`` holds all of ``/v1`` and nothing else."""
    wrong = [
        door.name for door in all_doors if door.in_schema is not door.path.startswith("/v1/")
    ]

    assert wrong == []


def test_a_get_needs_no_right_to_change_and_a_change_does(
    verdicts: Sequence[Verdict],
) -> None:
    """Nobody changes anything with a right that is called reading."""
    weak = [
        one.door.name
        for one in verdicts
        if one.door.method != "GET"
        and one.scopes
        and any(scope.value.endswith(":read") for scope in one.scopes)
    ]

    assert weak == []


def test_nobody_unknown_gets_past_a_guard(verdicts: Sequence[Verdict]) -> None:
    """Without a key and without a session there is no answer but: who are you?"""
    assert [one.door.name for one in verdicts if one.anonymous] == []


def test_each_role_and_each_key_is_let_in_where_the_page_says(
    verdicts: Sequence[Verdict],
) -> None:
    """Tried out; when it fails, read the difference and run the module ``role_matrix``."""
    found = page(list(verdicts)).splitlines()
    written = PAGE.read_text(encoding="utf-8").splitlines()

    assert [line for line in found if line not in written] == [], "not on docs/roles.md"
    assert [line for line in written if line not in found] == [], "no longer true"


def test_a_role_is_let_in_exactly_where_one_of_its_rights_is_enough(
    verdicts: Sequence[Verdict],
) -> None:
    """Behind ``/v1`` a session opens what a key with the same scopes would open."""
    wrong = [
        f"{one.door.name}: {role}"
        for one in verdicts
        if one.door.path.startswith("/v1/")
        for role in Role
        if (role in one.roles) is not bool(one.scopes & ROLE_SCOPES[role])
    ]

    assert wrong == []


def test_every_right_opens_some_door(verdicts: Sequence[Verdict]) -> None:
    """A scope that opens nothing would be a promise in ``key create`` without a meaning."""
    opened = {scope for one in verdicts for scope in one.scopes}

    assert set(Scope) - opened == set()


async def test_what_asks_for_proof_lets_nobody_in_without() -> None:
    """Neither a stranger, nor anybody's key of another source, nor a session by itself."""
    async with composed() as system:
        asking = [door for door in doors(system.app) if door.asks_for_proof]
        knocking = await everybody(system)
        let_in = [
            f"{door.name} lets in {name}"
            for door in asking
            for name, who in knocking.items()
            if await lets_in(system, door, who)
        ]
        await system.app.state.gate.keys.settle()

    assert len(asking) == 4
    assert let_in == []


async def test_no_door_takes_a_change_from_another_site() -> None:
    """A browser that is signed in here sends its session along wherever a page makes it."""
    foreign = {"origin": "https://elsewhere.example", "sec-fetch-site": "cross-site"}
    async with composed() as system:
        signed_in = (await everybody(system))["a session"]
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(system.app), base_url=system.settings.public_url
        ) as client:
            answers = {
                door.name: await client.request(
                    door.method,
                    re.sub(r"{[a-z_]+}", NOBODYS_ID, door.path),
                    headers={**signed_in, **foreign},
                )
                for door in doors(system.app)
                if door.method != "GET"
            }

    assert len(answers) > 100
    assert {
        name: answer.status_code
        for name, answer in answers.items()
        if answer.status_code != HTTPStatus.FORBIDDEN or "cross-origin" not in answer.text
    } == {}


async def test_what_is_public_answers_without_asking() -> None:
    """The listed pages and documents come without a sign-in."""
    asked = [
        path
        for path in PUBLIC_ROUTES
        if not path.startswith(("/sign-", "/docs/{", "/errors/{", "/settled/{"))
    ]
    async with (
        composed() as system,
        httpx.AsyncClient(
            transport=httpx.ASGITransport(system.app), base_url=system.settings.public_url
        ) as client,
    ):
        answers = {path: (await client.get(path)).status_code for path in asked}

    assert len(asked) > 4
    assert answers == dict.fromkeys(asked, HTTPStatus.OK)


async def test_routes_are_matched_once() -> None:
    """Doors of the services are plain routes: an included router is matched twice a request."""
    async with composed() as system:
        nested = [
            type(route).__name__
            for service in system.services.values()
            for router in service.routers
            for route in router.routes
            if not isinstance(route, APIRoute)
        ]
        known = [
            route.original_route
            for route in iter_route_contexts(system.app.routes)
            if not isinstance(route.original_route, Route | Mount)
        ]

    assert nested == []
    assert known == []


async def test_the_front_door_sends_every_route_to_the_role_that_has_it() -> None:
    """``deploy/nginx.conf`` knows a new route, or its requests end at the wrong process."""
    text = (ROOT / "deploy" / "nginx.conf").read_text(encoding="utf-8")
    (block,) = re.findall(r"map \$uri \$role {(.*?)}\s*\n\s*server", text, flags=re.DOTALL)
    lines = re.findall(r"^\s*(\S+)\s+(\w+);", block, flags=re.MULTILINE)
    default = next(role for pattern, role in lines if pattern == "default")
    patterns = [(re.compile(p.removeprefix("~")), role) for p, role in lines if p[0] == "~"]
    wrong = []
    async with composed() as system:
        for role, service in system.services.items():
            for router in service.routers:
                for route in router.routes:
                    path = getattr(route, "path", "")
                    sent_to = next((to for p, to in patterns if p.search(path)), default)
                    if sent_to != role:
                        wrong.append(f"{path} of {role} is sent to {sent_to}")

    assert wrong == []
    assert {role for _, role in lines} == set(ROLES)
