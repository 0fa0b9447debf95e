"""Who may go through which door, found out by trying, and the page that says so.

``python -m tests.architecture.role_matrix`` writes ``docs/roles.md``; a test compares the page
with what it finds. Read the difference: it is a change of somebody's rights.
"""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass

import httpx

from services.composition import System
from shared.identity import keys, sessions
from shared.identity.people import create_staff
from shared.identity.principal import Role, Scope
from shared.logs import set_up
from shared.web.auth import PROVEN_ROUTES, PUBLIC_ROUTES, session_cookie
from tests.architecture.composed import ROOT, Door, composed, doors

PAGE = ROOT / "docs" / "roles.md"
NOBODYS_ID = "x_00000000000000000000000000"


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """Who was let through one door."""

    door: Door
    anonymous: bool
    roles: frozenset[Role]
    scopes: frozenset[Scope]


async def find_out() -> list[Verdict]:
    """Knock at every guarded door as nobody, as each role, and with a key of each scope."""
    async with composed() as system:
        as_role = {role: await _session(system, role) for role in Role}
        as_scope = {scope: await _key(system, scope) for scope in Scope}
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(system.app), base_url=system.settings.public_url
        ) as client:
            found = [
                Verdict(
                    door=door,
                    anonymous=await _lets_in(client, door, {}),
                    roles=frozenset(
                        [role for role in Role if await _lets_in(client, door, as_role[role])]
                    ),
                    scopes=frozenset(
                        [each for each in Scope if await _lets_in(client, door, as_scope[each])]
                    ),
                )
                for door in doors(system.app)
                if not (door.is_public or door.asks_for_proof)
            ]
        await system.app.state.gate.keys.settle()
    return sorted(found, key=lambda one: (one.door.path, one.door.method))


async def everybody(system: System) -> dict[str, Mapping[str, str]]:
    """Return the credentials of nobody, of an administrator, and of a key of every scope."""
    named = {f"a key with {scope}": await _key(system, scope) for scope in Scope}
    return {"nobody": {}, "a session": await _session(system, Role.ADMIN), **named}


async def lets_in(system: System, door: Door, who: Mapping[str, str]) -> bool:
    """Knock at one door."""
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(system.app), base_url=system.settings.public_url
    ) as client:
        return await _lets_in(client, door, who)


async def _session(system: System, role: Role) -> Mapping[str, str]:
    now = system.clock.now()
    async with system.database.transaction() as tx:
        person = await create_staff(
            tx, email=f"{role.value}@example.org", name=role.value, role=role, now=now
        )
        token = await sessions.start(tx, person.id, now=now)
    cookie = f"{session_cookie(system.settings)}={token}"
    return {"cookie": cookie, "origin": system.settings.public_url}


async def _key(system: System, scope: Scope) -> Mapping[str, str]:
    async with system.database.transaction() as tx:
        _, plain = await keys.create_key(
            tx, source="matrix", name=scope.value, scopes=[scope], now=system.clock.now()
        )
    return {"authorization": f"Bearer {plain}"}


async def _lets_in(client: httpx.AsyncClient, door: Door, who: Mapping[str, str]) -> bool:
    """Tell whether the answer is about the request, and not about who asks."""
    path = re.sub(r"{[a-z_]+}", NOBODYS_ID, door.path)
    machine = path.startswith("/v1/")
    changes = door.method not in {"GET", "DELETE"}
    kind = "application/json" if machine else "application/x-www-form-urlencoded"
    reply = await client.request(
        door.method,
        path,
        headers={
            "accept": "application/json" if machine else "text/html",
            **({"content-type": kind} if changes else {}),
            **who,
        },
        content=("{" if machine else "none=1") if changes else None,
    )
    asked_to_sign_in = reply.is_redirect and "/sign-in" in reply.headers["location"]
    assert reply.status_code < 500, f"{door.name} answers {reply.status_code}: {reply.text}"
    return reply.status_code not in {401, 403} and not asked_to_sign_in


def page(verdicts: list[Verdict]) -> str:
    """Return the page that stands in the documentation."""
    roles = list(Role)
    return "\n".join(
        [
            "# Who may do what",
            "",
            "Every route, found out by asking as each role and with a key of each scope.",
            "Where a role is let in, the answer still holds only what that person may see;",
            "`/` sends those who may not read tasks on to the first page that is theirs.",
            "Write it anew with `python -m tests.architecture.role_matrix`.",
            "",
            f"| route | {' | '.join(roles)} | a key needs |",
            f"|---|{'---|' * len(roles)}---|",
            *(
                f"| `{one.door.name}` | "
                + " | ".join("yes" if role in one.roles else "–" for role in roles)
                + f" | {_needed(one)} |"
                for one in verdicts
            ),
            "",
            "## Open to everybody",
            "",
            "| route | why |",
            "|---|---|",
            *(f"| `{path}` | {why} |" for path, why in sorted(PUBLIC_ROUTES.items())),
            "",
            "## With a proof of their own",
            "",
            "| route | which |",
            "|---|---|",
            *(f"| `{path}` | {which} |" for path, which in sorted(PROVEN_ROUTES.items())),
            "",
        ]
    )


def _needed(one: Verdict) -> str:
    """Return the scopes of which one is enough."""
    if not one.scopes:
        return "pages are for people"
    return " or ".join(f"`{scope}`" for scope in Scope if scope in one.scopes)


def main() -> None:
    """Write the page."""
    set_up(form="text", level="error")
    PAGE.write_text(page(asyncio.run(find_out())), encoding="utf-8")
    sys.stderr.write(f"wrote {PAGE}\n")


if __name__ == "__main__":
    main()
