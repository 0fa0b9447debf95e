"""A house in which every page has something to show, and the words in it are a test's choice.

Everything comes in by the doors that people and systems use; only staff, absences of doors and
dead letters are put there directly. Whatever can be typed freely is asked of ``say``.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import httpx

from shared.db import dead_letter
from shared.db.dead_letter import Undeliverable
from shared.db.engine import Engines
from shared.events import topics
from shared.identity import people, sessions
from shared.identity.audit import SYSTEM
from shared.identity.groups import DEFAULT_TEAM
from shared.identity.installation import name_organisation
from shared.identity.principal import Role
from shared.links import sign
from shared.sealing import Keyring
from shared.web.auth import session_cookie
from tests.architecture.composed import doors
from tests.fakes import ManualClock
from tests.forms import URLENCODED
from tests.nights import plant
from tests.plumbing import create_tables
from tests.rises import put_proposal
from tests.whole_house import WholeHouse, open_house

WEEK: Final = {
    "monday": [{"start": "09:00", "end": "12:00"}, {"start": "13:00", "end": "17:00"}]
}
_LINE: Final = 200
DUE: Final = "2026-03-05T09:00:00Z"


class Words:
    """What is typed into one field after the other: these texts, again and again."""

    def __init__(self, texts: Sequence[str]) -> None:
        self._texts = deque(texts)

    def __call__(self, most: int = 200) -> str:
        """Return the next text for so many characters; a short one has one line."""
        for _ in range(len(self._texts)):
            self._texts.rotate(-1)
            text = self._texts[0]
            if len(text) <= most and (most > _LINE or not set(text) & set("\t\r\n")):
                return text
        raise AssertionError(f"no text of {most} characters or fewer")


@dataclass
class FullHouse:
    """The application, what stands in the addresses of its pages, and who works there."""

    house: WholeHouse
    say: Words
    url: str
    staff: dict[str, str] = field(default_factory=dict)
    things: dict[str, str] = field(default_factory=dict)
    """What takes the place of a name in a path, such as ``task_id``."""
    _responses: list[str] = field(default_factory=list)

    async def cookie(self, nick: str) -> dict[str, str]:
        """Sign somebody in."""
        now = self.house.clock.now()
        async with self.house.database.transaction() as tx:
            token = await sessions.start(tx, self.staff[nick], now=now)
        return {session_cookie(self.house.settings): token}

    @asynccontextmanager
    async def browsing(self, nick: str) -> AsyncIterator[httpx.AsyncClient]:
        """Give somebody a browser that knows no script."""
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(self.house.app, raise_app_exceptions=False),
            base_url=self.url,
            cookies=await self.cookie(nick),
            headers={"Accept": "text/html", "Origin": self.url},
        ) as client:
            yield client

    async def furnish(self) -> None:
        """Let everything happen here that a page could show."""
        await self._employ()
        async with self.house.client() as system:
            await self._set_up(system)
            await self._listen(system)
            await self.house.settle()
            await self._work(system)
            await self._connect(system)
            await self._ask_about_people(system)
        await self._browse()
        await self._park()
        await self._discover()
        await self._rise()
        await self.house.settle()
        await self._look_around()

    # ------------------------------------------------------------------ people

    async def _employ(self) -> None:
        now = self.house.clock.now()
        async with self.house.database.transaction() as tx:
            for nick, role in (("ada", Role.ADMIN), ("ana", Role.AGENT), ("uwe", Role.LEAD)):
                made = await people.create_staff(
                    tx,
                    email=f"{nick}@example.org",
                    name=self.say(),
                    role=role,
                    language="de" if nick == "uwe" else "en",
                    team_ids=[DEFAULT_TEAM],
                    now=now,
                )
                self.staff[nick] = made.id
            await name_organisation(tx, self.say(), "Europe/Vienna", by=SYSTEM, now=now)

    # ------------------------------------------------------------------ settings

    async def _set_up(self, system: httpx.AsyncClient) -> None:
        say = self.say
        part = await self._made(system, "/v1/departments", {"name": say()})
        door = {"code": "door", "name": say(), "macro": say(), "department_id": part["id"]}
        await self._made(system, "/v1/touchpoints", door)
        owner = {"owner": {"id": self.staff["ana"], "kind": "person"}}
        await self._made(system, "/v1/touchpoints/door/owners", owner)
        for kind in ("segments", "products", "reasons"):
            labels = {"en": say(), "de": say()}
            await self._made(system, f"/v1/{kind}", {"code": "gold", "labels": labels})
        calendar = {"id": "office", "name": say(), "time_zone": "Europe/Berlin", "week": WEEK}
        await self._made(system, "/v1/calendars", calendar)
        answer = await system.patch(
            "/v1/schemes/standard",
            json={
                "name": say(),
                "mode": "phone",
                "intended": [say(), say()],
                "needs": [say()],
                "talk_guide": {"en": f"{say()}\n{say()}"},
                "remedies": [
                    {"id": "flowers", "name": say(), "kind": "kind"},
                    {
                        "id": "voucher",
                        "name": say(),
                        "kind": "money",
                        "limit": {"amount": 30, "currency": "EUR"},
                    },
                ],
            },
        )
        assert answer.status_code == 200, answer.text
        rule = {
            "id": "gold",
            "name": say(),
            "enabled": False,
            "scores": {"nps": [0, 3]},
            "conditions": [{"field": "segment", "op": "in", "value": [say(), say()]}],
            "scheme": "standard",
        }
        await self._made(system, "/v1/routing-rules", rule)
        away = {"staff_id": self.staff["uwe"], "deputy_id": self.staff["ana"]}
        await self._made(system, "/v1/absences", away)

    # ------------------------------------------------------------------ answers

    def answer(self, number: int, **more: Any) -> dict[str, Any]:
        """Return what an unhappy customer says."""
        say = self.say
        return {
            "external_id": f"{number} {say(180)}",
            "score": number % 7,
            "comment": say(9_000),
            "language": "en",
            "touchpoint": "door" if number % 3 else say(100),
            "transaction_id": say(100),
            "segment": "gold" if number % 2 else say(100),
            "product": say(100),
            "channel": say(100),
            "reason": say(100),
            "emotion": say(100),
            "question_version": say(100),
            "customer": {
                "id": f"c-{number % 9} {say(100)}",
                "name": say(),
                "email": f"maya{number}@example.org" if number % 4 else say(),
                "phone": "+46 70 000 00 00" if number % 4 else say(),
                "account": say(),
                "contact_owner": say(),
                "annual_value": {"amount": 1240, "currency": "EUR"},
                "consent": {"follow_up": True, "news": False},
            },
            "attributes": {say(60): say(), "plain": say()},
            **more,
        }

    async def _listen(self, system: httpx.AsyncClient) -> None:
        """Hear the same customer twice, thirty others once, and what cannot be understood."""
        same = {
            "customer": {"id": "c-same", "name": self.say(), "consent": {"follow_up": True}}
        }
        answers = [self.answer(number, customer=same) for number in (1, 2)]
        answers += [self.answer(number) for number in range(3, 33)]
        answers += [self.answer(number, score=9) for number in range(40, 44)]
        posted = await system.post("/v1/responses/batch", json=answers)
        assert posted.json()["accepted"] == len(answers), posted.text
        self._responses = [result["id"] for result in posted.json()["results"]]
        refused = {"external_id": self.say(), "score": self.say(), "comment": self.say()}
        assert (await system.post("/v1/responses", json=refused)).status_code == 422

    # ------------------------------------------------------------------ tasks

    async def _work(self, system: httpx.AsyncClient) -> None:
        """Work on tasks in every way, so that each word of staff stands somewhere."""
        say = self.say
        first, second, third, fourth = [
            (await system.get("/v1/tasks", params={"response_id": self._responses[n]})).json()[
                "data"
            ][0]["id"]
            for n in (0, 3, 4, 6)
        ]
        contact = {"mode": "phone", "result": "reached", "note": say(5_000)}
        agreed = {"asked_for": say(), "agreed": say(), "with": say()}
        action = {"what": say(), "owner": self.staff["ana"], "due_at": DUE}
        beyond = {"remedy": "voucher", "value": {"amount": "45.50", "currency": "EUR"}}
        ended = {
            "outcome": "solved",
            "root_cause": {"area": "process", "text": say()},
            "content": "yes",
            "avoidable": "no",
            "lesson": say(),
        }
        for task, act, body in (
            (first, "contacts", contact),
            (first, "notes", {"text": say()}),
            (first, "agreement", agreed),
            (first, "actions", action),
            (first, "remedies", {**beyond, "note": say()}),
            (first, "recognitions", {"to": self.staff["ana"], "note": say()}),
            (first, "assign", {"owner": "team_customer_care", "reason": say()}),
            (second, "contacts", {**contact, "emotion_before": "upset"}),
            (second, "agreement", agreed),
            (second, "steps", {"step": "eliminate"}),
            (second, "resolve", ended),
            (second, "example", None),
            (third, "close", {"reason": "not_needed", "note": say()}),
            (third, "reopen", {"reason": say()}),
            (fourth, "contacts", contact),
            (fourth, "wait", {"for": "customer", "note": say()}),
        ):
            await self._made(system, f"/v1/tasks/{task}/{act}", body)
        self.things |= {"task_id": first, "example": second}
        subject = f"{second}.{await self._resolution(system, second)}"
        token = sign(
            self.house.keyring,
            purpose="settled",
            subject=subject,
            expires_at=self.house.clock.now().replace(year=2027),
        )
        self.things["token"] = token

    async def _resolution(self, system: httpx.AsyncClient, task: str) -> int:
        """Return the entry of the history by which a task was resolved."""
        history = (await system.get(f"/v1/tasks/{task}")).json()["history"]
        (place,) = [n for n, line in enumerate(history, 1) if line["act"] == "resolve"]
        return place

    # ------------------------------------------------------------------ other systems

    async def _connect(self, system: httpx.AsyncClient) -> None:
        say = self.say
        key = {"source": "shop", "name": say(), "scopes": ["responses:write"]}
        made = await self._made(system, "/v1/keys", key)
        hook = {"url": f"https://hooks.example.org/{'long-' * 30}", "events": ["*"]}
        webhook = await self._made(system, "/v1/webhooks", hook)
        await self._made(system, f"/v1/webhooks/{webhook['id']}/test", None)
        self.things |= {"key_id": made["id"], "webhook_id": webhook["id"]}

    async def _ask_about_people(self, system: httpx.AsyncClient) -> None:
        """Forget one customer, and hand out what is known of another."""
        for kind, response in (
            ("erasure", self._responses[20]),
            ("export", self._responses[0]),
        ):
            asked = {"kind": kind, "person": {"response_id": response}}
            made = await self._made(system, "/v1/person-requests", asked)
            self.things["request_id"] = made["id"]

    async def _browse(self) -> None:
        """Keep a view of the queue, and let the customer say no."""
        async with self.browsing("ana") as browser:
            view = {"back": "/?tab=open", "name": self.say(80)}
            kept = await browser.post("/queue/views", data=view, headers=URLENCODED)
            assert kept.status_code == 303, kept.text
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(self.house.app),
            base_url=self.url,
            headers={"Origin": self.url},
        ) as customer:
            said = await customer.post(
                f"/settled/{self.things['token']}",
                data={"answer": "no", "words": self.say(1_000)},
                headers=URLENCODED,
            )
            assert said.status_code == 303, said.text

    async def _park(self) -> None:
        """Set two records aside that no service can read."""
        now = self.house.clock.now()
        for service in self.house.services:
            letters = [
                Undeliverable(
                    topic=topics.TASKS,
                    partition=1,
                    offset=10_000_000 + n,
                    key="per_1",
                    body=self.say(3_000).encode(),
                    headers={},
                    error="KeyError at a_file_with_a_long_name.py:1234 " * 5,
                    digest=str(n) * 64,
                    tries=1,
                    event_id=None,
                    event_type=None,
                )
                for n in range(2)
            ]
            resources: Any = service.resources
            async with resources.database.transaction() as tx:
                await dead_letter.park(
                    tx, letters, consumer=service.name, keyring=self.house.keyring, now=now
                )

    async def _rise(self) -> None:
        """Have themes risen, and propose to look into them; one is dismissed."""
        now = self.house.clock.now()
        rising = ("waiting", "delivery", "price", "digital", "goods", "staff")
        for thing, theme in zip(
            ("item_id", "merging", "dismissing", "fourth", "fifth", "sixth"),
            rising,
            strict=True,
        ):
            self.things[thing] = await put_proposal(
                self.house.database, theme, self._responses[:3], now=now
            )
        await put_proposal(self.house.database, "competence", now=now, state="dismissed")

    async def _discover(self) -> None:
        """Have nights found what no theme covers; of one somebody said that it is nothing."""
        now = self.house.clock.now()
        for thing in ("discovery_id", "adoptable", "third"):
            self.things[thing] = await plant(
                self.house.database, self.say(), self._responses[:5], now=now
            )
        self.things["dismissed"] = await plant(
            self.house.database, self.say(), self._responses[5:8], now=now, state="dismissed"
        )

    # ------------------------------------------------------------------ what has an address

    async def _look_around(self) -> None:
        """Note an address of everything that has one."""
        async with self.house.client() as system:
            task = (await system.get(f"/v1/tasks/{self.things['task_id']}")).json()
            sent = (await system.get("/v1/deliveries", params={"channel": "webhook"})).json()
            kept = (await system.get("/v1/sources/crm/payloads")).json()
            themes = (await system.get("/v1/themes")).json()
        async with self.browsing("ada") as browser:
            mails = (await browser.get("/mail")).text
            for service in self.house.services:
                waiting = f"/settings/dead-letters/{service.name}/"
                listed = (await browser.get(waiting.rstrip("/"))).text
                self.things[waiting] = _first(listed, waiting)
        self.things |= {
            "ref": task["customer_id"],
            "delivery_id": sent["data"][0]["id"],
            "payload_id": kept["data"][0]["id"],
            "theme_id": themes["data"][0]["id"],
            "mail_id": _first(mails, "/mail/"),
            "staff_id": self.staff["ana"],
            "slug": "invalid",
            "name": "crm",
        }

    def paths(self) -> list[str]:
        """Return the address of everything that can be got outside the interface.

        They come from the application itself: a new one is among them without a word here,
        and one with a name in its path as soon as there is a thing to show.
        """
        found = []
        for door in doors(self.house.app):
            if door.method != "GET" or door.path.startswith("/v1/"):
                continue
            start, letter, _ = door.path.partition("{letter_id}")
            things = {**self.things, "letter_id": self.things[start]} if letter else self.things
            path = door.path.format_map(things)
            found += [path, *(path + query for query in self.queries.get(path, ()))]
        return found

    async def pages(self) -> list[str]:
        """Return the address of every page an administrator can look at."""
        found = []
        async with self.browsing("ada") as browser:
            for path in self.paths():
                answer = await browser.get(path)
                assert answer.status_code < 500, f"{path}: {answer.text}"
                kind = answer.headers.get("content-type", "")
                if kind.startswith("text/html") and not answer.is_redirect:
                    found.append(path)
        return found

    async def mail_about(self, task: str) -> str:
        """Return what the mail looks like that tells its owner of a task."""
        async with self.browsing("ada") as browser:
            listed = (await browser.get("/mail?limit=200")).text
            for part in listed.split('href="/mail/')[1:]:
                mail = (await browser.get("/mail/{}/html".format(part.partition('"')[0]))).text
                if f"/tasks/{task}" in mail:
                    return mail
        raise AssertionError("no mail tells of this task")

    @property
    def queries(self) -> dict[str, Sequence[str]]:
        """Return what pages are asked for, beside nothing."""
        return {
            "/": ("?limit=200&pick=all", "?tab=closed", "?q=nobody", "?tab=open&metric=nps"),
            "/settings/touchpoints/one": ("?code=door",),
            "/settings/lists": ("?kind=segment", "?kind=reason"),
            "/settings/lists/one": ("?kind=segment&code=gold",),
            "/settings/rules/one": ("?id=gold",),
            "/settings/taxonomy/one": ("?id=waiting",),
            "/settings/calendars/one": ("?id=office",),
            "/settings/schemes/one": ("?id=standard",),
            "/settings/handover": (f"?of={self.staff['ana']}",),
        }

    async def _made(
        self, system: httpx.AsyncClient, path: str, body: dict[str, Any] | None
    ) -> dict[str, Any]:
        answer = await (system.post(path, json=body) if body else system.post(path))
        assert answer.status_code < 300, f"{path}: {answer.text}"
        made: dict[str, Any] = answer.json()
        return made


def _first(text: str, start: str) -> str:
    """Return how the first address on a page that begins so goes on."""
    return text.partition(f'href="{start}')[2].partition('"')[0]


@asynccontextmanager
async def full_house(folder: Path, words: Sequence[str], url: str) -> AsyncIterator[FullHouse]:
    """Open and furnish a house on a fresh SQLite file; it is known by this address."""
    address = f"sqlite+aiosqlite:///{folder / 'full.db'}"
    await create_tables(address)
    engines = Engines.open(address)
    keyring = Keyring("a secret for tests, long enough to be taken")
    try:
        async with open_house(engines, ManualClock(), keyring, public_url=url) as house:
            opened = FullHouse(house=house, say=Words(words), url=url)
            await opened.furnish()
            yield opened
    finally:
        await engines.close()
