"""The desk at which people work: loop's pages over a database, with colleagues and customers.

Everybody here is made up. Ana and Ole are staff in the team Customer care, Max belongs to
another team, Uwe leads and reads German, Ada administers.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import httpx
from fastapi import FastAPI

from services.loop.journey.api import ROUTERS as JOURNEY
from services.loop.journey.domain import Touchpoint
from services.loop.journey.handlers import add_touchpoint
from services.loop.pages import ROUTERS
from services.loop.tables import PLUMBING
from services.loop.tasks.api import ROUTERS as TASKS
from services.loop.tasks.domain.acts import Act
from services.loop.tasks.domain.task import FollowUpTask
from services.loop.tasks.handlers import act_on
from services.loop.tasks.store import TaskFilter, page_of
from services.loop.themes.api import ROUTERS as THEMES
from shared.db.engine import Engines
from shared.db.transaction import Database
from shared.identity import sessions
from shared.identity.defaults import ensure_defaults
from shared.identity.groups import DEFAULT_TEAM
from shared.identity.passwords import hash_password
from shared.identity.people import create_staff
from shared.identity.principal import ROLE_SCOPES, Principal, Role
from shared.identity.teams import create_team
from shared.service import Service
from shared.settings import Settings
from shared.web.access import Web
from shared.web.app import create_app
from shared.web.auth import session_cookie
from tests.handlers.intake import Intake
from tests.infra.processes import free_port
from tests.plumbing import create_tables
from tests.serving import served

PASSWORD = "correct horse battery staple"
PEOPLE: Mapping[str, Mapping[str, Any]] = {
    "ana": {"name": "Ana Ruiz", "role": Role.AGENT, "team_ids": [DEFAULT_TEAM]},
    "ole": {"name": "Ole Berg", "role": Role.AGENT, "team_ids": [DEFAULT_TEAM]},
    "max": {"name": "Max Elsewhere", "role": Role.AGENT},
    "uwe": {"name": "Uwe Wächter", "role": Role.LEAD, "language": "de"},
    "ada": {"name": "Ada Admin", "role": Role.ADMIN},
    "bea": {"name": "Bea Board", "role": Role.BOARD_MEMBER},
    "dev": {"name": "Dev Lister", "role": Role.DEVELOPER},
}
HOSTILE = (
    '<script>document.title="owned"</script> <img src=x onerror=alert(1)>'
    " javascript:alert(1) \u202eevil\u202c {{ 7*7 }}"
)


MACHINE = Principal(
    kind="key", id="key_crm", name="CRM", scopes=ROLE_SCOPES[Role.ADMIN], source="crm"
)
"""A posting system that may do everything."""

# Hashing a password is slow on purpose; once a run is enough.
_hashed: dict[str, str] = {}


@dataclass
class Desk(Intake):
    """Loop with people at it."""

    settings: Settings = field(default_factory=Settings)
    staff: dict[str, str] = field(default_factory=dict)
    _served: FastAPI | None = None

    def _draft(self, members: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        block = members.pop("block", {})
        attributes = members.pop("attributes", {})
        draft, document = super()._draft(members)
        document["customer"] = {**document["customer"], **block}
        document["attributes"] = attributes
        return draft, document

    async def open_for_business(self) -> None:
        """Hire everybody and describe the touchpoints."""
        await self.prepare()
        now = self.clock.now()
        hashed = _hashed.get(PASSWORD) or await hash_password(PASSWORD)
        _hashed[PASSWORD] = hashed
        async with self.database.transaction() as tx:
            await ensure_defaults(tx, self.settings, now)
            other = await create_team(tx, name="Shop floor", now=now)
            for nick, person in PEOPLE.items():
                made = await create_staff(
                    tx,
                    email=f"{nick}@example.org",
                    now=now,
                    password_hash=hashed,
                    time_zone="Europe/Berlin",
                    **{"team_ids": [other.id] if nick == "max" else [], **person},
                )
                self.staff[nick] = made.id
            for code, name in (("support-call", "Support call"), ("door", "Doorstep delivery")):
                await add_touchpoint(
                    tx,
                    Touchpoint(
                        code=code,
                        name=name,
                        macro=None,
                        owner=None,
                        department_id=None,
                        mapped=True,
                        first_seen_at=now,
                        version=1,
                    ),
                )

    async def hears(self, comment: str | None = None, **members: Any) -> FollowUpTask:
        """Take in one unhappy answer and return the task that it opened."""
        event = await self.response(comment=comment, **members)
        await self.take_in(event)
        return (await self.tasks(response_id=event.response_id))[0]

    async def act(self, task: FollowUpTask, *acts: Act, by: Principal = MACHINE) -> None:
        """Have somebody do something about a task."""
        for act in acts:
            async with self.database.transaction() as tx:
                await act_on(
                    tx,
                    task.id,
                    act,
                    by=by,
                    expected=None,
                    person_keys=self.person_keys,
                    now=self.clock.now(),
                )

    async def tasks(self, **wanted: Any) -> Sequence[FollowUpTask]:
        """Return tasks."""
        async with self.database.reading() as view:
            return await page_of(
                view, TaskFilter(**wanted), now=self.clock.now(), after=None, most=200
            )

    @property
    def app(self) -> FastAPI:
        """Return the application."""
        if self._served is None:
            self._served = create_app(
                web=Web(
                    settings=self.settings,
                    clock=self.clock,
                    database=self.database,
                    keyring=self.keyring,
                    person_keys=self.person_keys,
                ),
                services=[
                    Service(
                        name="loop",
                        routers=[*ROUTERS, *TASKS, *JOURNEY, *THEMES],
                        workers=[],
                        resources=self.loop,
                    )
                ],
            )
        return self._served

    async def cookie(self, nick: str) -> tuple[str, str]:
        """Sign somebody in; return the cookie of the session."""
        async with self.database.transaction() as tx:
            token = await sessions.start(tx, self.staff[nick], now=self.clock.now())
        return session_cookie(self.settings), token

    @contextlib.asynccontextmanager
    async def browsing(self, nick: str | None = None) -> AsyncIterator[httpx.AsyncClient]:
        """Give somebody a browser that knows no script."""
        name, token = await self.cookie(nick) if nick else ("none", "")
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(self.app),
            base_url=self.settings.public_url,
            cookies={name: token},
            headers={"Accept": "text/html", "Origin": self.settings.public_url},
        ) as client:
            yield client

    @contextlib.asynccontextmanager
    async def serving(self) -> AsyncIterator[str]:
        """Serve on a free port; return the address."""
        port = free_port()
        self.settings = self.settings.model_copy(
            update={"public_url": f"http://127.0.0.1:{port}"}
        )
        async with served(self.app, port):
            yield self.settings.public_url


@contextlib.asynccontextmanager
async def desk_on(path: str, **given: Any) -> AsyncIterator[Desk]:
    """Open a desk on a fresh SQLite file."""
    url = f"sqlite+aiosqlite:///{path}"
    await create_tables(url)
    engines = Engines.open(url)
    desk = Desk(database=Database(engines, PLUMBING), **given)
    await desk.open_for_business()
    try:
        yield desk
    finally:
        await engines.close()


STORIES: Sequence[Mapping[str, Any]] = (
    {
        "comment": "Waited forty minutes on the phone and nobody called back. Second time this"
        " month, and the agent was rude.",
        "customer": "c-maya",
        "block": {
            "name": "Maya Lindqvist",
            "email": "maya@example.org",
            "phone": "+46 70 000 00 00",
            "annual_value": {"amount": 1240, "currency": "EUR"},
            "consent": {"follow_up": True},
        },
        "segment": "Gold",
        "score": 4,
        "hours": 11,
    },
    {
        "comment": "Zum dritten Mal erkläre ich dasselbe. Die Rechnung ist falsch und der"
        " Kundenberater war unfreundlich.",
        "customer": "c-jonas",
        "block": {"name": "Jonas Weber"},
        "language": "de",
        "segment": "Business",
        "score": 2,
        "touchpoint": "support-call",
        "hours": 7,
    },
    {
        "comment": "Kurier przyjechał za późno, a paczka była uszkodzona.",
        "customer": "c-zofia",
        "block": {"name": "Zofia Przykładowa-Wielonazwiskowska"},
        "language": "pl",
        "score": 0,
        "touchpoint": "door",
        "hours": 3,
    },
    {
        "comment": HOSTILE,
        "customer": "c-mallory",
        "block": {"name": "<b>Mallory</b>"},
        "hours": 2,
    },
    {
        "comment": "Averylongwordwithoutanyspaces" * 6,
        "customer": "c-long",
        "block": {"name": "L" * 120},
        "score": 6,
        "touchpoint": "an-unmapped-touchpoint-with-a-long-code",
        "hours": 1,
    },
    {"comment": None, "customer": None, "score": 1, "hours": 30},
    {
        "comment": "مرحبا، انتظرت طويلا ولم يتصل بي أحد",
        "customer": "c-rtl",
        "block": {"name": "ليلى"},
        "language": "ar",
        "score": 3,
        "hours": 0,
    },
)
"""Unhappy customers and how many hours ago each of them answered."""

CHATTER: tuple[tuple[str, int], ...] = (
    ("The driver came late again and the parcel was damaged.", 3),
    ("Friendly staff, quick help on the phone.", 10),
    ("Waited for an hour in the queue.", 5),
    ("The invoice is wrong and far too expensive.", 2),
    ("All fine.", 8),
    ("Great service, thank you!", 9),
)


async def furnish(desk: Desk) -> list[FollowUpTask]:
    """Fill the desk: unhappy customers of today, and twelve weeks of chatter."""
    start = desk.clock.now()
    events = []
    for week in range(14):
        for n, (comment, score) in enumerate(CHATTER * (1 + (13 - week) // 5)):
            answered = start - timedelta(days=7 * week + n % 6, hours=1)
            events.append(
                {
                    "comment": comment,
                    "customer": f"c-{week}-{n}",
                    "score": score if week > 4 or score > 6 else 7,
                    "answered_at": answered,
                    "received_at": start,
                    "touchpoint": "door" if n % 2 else "support-call",
                }
            )
    await desk.take_in(*await desk.responses(events))
    opened = []
    now = desk.clock.now()
    for story in sorted(STORIES, key=lambda one: -one["hours"]):
        said = dict(story)
        hours = timedelta(hours=said.pop("hours"))
        desk.clock.advance(now - hours - desk.clock.now())
        opened.append(await desk.hears(**said))
    desk.clock.advance(now - desk.clock.now())
    return opened
