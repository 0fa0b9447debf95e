"""Customers with a mark in every field, put into every door; and where a mark can be read."""

from __future__ import annotations

import asyncio
import csv
import html
import io
import json
import re
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

import services.loop.tables
from services.ingest.domain.cloudevents import STRUCTURED, TYPE
from shared.clock import SystemClock
from shared.db import dead_letter
from shared.db.dead_letter import Undeliverable
from shared.db.engine import Engines
from shared.db.transaction import Database
from shared.sealing import Keyring
from tests.infra.processes import wait_until
from tests.infra.smtp import MailServer
from tests.journeys.installation import Installation
from tests.journeys.test_one_response import handled

ONE_BY_ONE = "/v1/responses"
AT_ONCE = "/v1/responses/batch"


@dataclass(frozen=True)
class Marked:
    """A customer: wherever ``mark`` can be read, something personal of theirs can."""

    mark: str
    digits: str
    place: str

    @property
    def marks(self) -> tuple[str, str]:
        """What to look for; a telephone number has no letters."""
        return self.mark, self.digits

    @property
    def address(self) -> str:
        """Their address."""
        return f"{self.mark}@customers.example.org"

    @property
    def customer(self) -> dict[str, Any]:
        """Who they are, in every member."""
        return {
            "id": f"{self.mark}-id",
            "name": f"{self.mark.title()} Name",
            "email": self.address,
            "phone": f"+49 30 {self.digits}",
            "language": "en",
            "account": f"{self.mark}-account",
            "contact_owner": f"{self.mark}-owner",
            "consent": {"follow_up": True, "news": True},
        }

    def response(self, name: str, **members: Any) -> dict[str, Any]:
        """Return a complaint of theirs with something in every member."""
        return {
            "external_id": f"{self.mark}-{name}",
            "transaction_id": f"{self.mark}-order-{name}",
            "score": 2,
            "touchpoint": self.place,
            "comment": f"{self.mark} waited forty minutes on the phone. {name}",
            "attributes": {f"{self.mark}-key": f"{self.mark}-value"},
            f"{self.mark}_member": f"{self.mark}-unknown",
            "customer": self.customer,
            **members,
        }


def post_everywhere(client: httpx.Client, who: Marked) -> str:
    """Post complaints by every door; return the one that is posted alone."""
    alone = client.post(
        ONE_BY_ONE,
        json=who.response("alone"),
        headers={"Idempotency-Key": f"{who.mark}-key", "X-Request-Id": "canary"},
    )
    lines = "\n".join(json.dumps(who.response(f"line{n}", score=9)) for n in range(2))
    sheet = io.StringIO()
    row = {
        "external_id": f"{who.mark}-row",
        "score": "9",
        "touchpoint": who.place,
        "comment": f"{who.mark} in a sheet",
        "customer.id": f"{who.mark}-id",
        "customer.name": who.mark,
    }
    writer = csv.DictWriter(sheet, row)
    writer.writeheader()
    writer.writerow(row)
    event = {
        "specversion": "1.0",
        "type": TYPE,
        "source": "/crm",
        "id": f"{who.mark}-event",
        "data": who.response("event", score=9),
    }
    posted = [
        alone,
        client.post(AT_ONCE, json=[who.response("batch", score=9)]),
        _sent(client, AT_ONCE, lines, "application/x-ndjson"),
        _sent(client, AT_ONCE, sheet.getvalue(), "text/csv"),
        _sent(client, ONE_BY_ONE, json.dumps(event), STRUCTURED),
        client.post("/v1/hooks/bootstrap", json=who.response("hook", score=9)),
    ]
    assert [answer.text for answer in posted if answer.status_code != 202] == []
    return str(alone.json()["id"])


def _sent(client: httpx.Client, path: str, body: str, content_type: str) -> httpx.Response:
    return client.post(path, content=body, headers={"Content-Type": content_type})


def ask_wrongly(client: httpx.Client, who: Marked) -> list[httpx.Response]:
    """Make mistakes of every kind with personal data in them; return the answers."""
    mark = who.mark
    wrong = [
        client.post(ONE_BY_ONE, json=who.response("wrong", score=mark)),
        client.post(ONE_BY_ONE, json=who.response("wrong", metric=mark)),
        client.post(ONE_BY_ONE, json=who.response("wrong", answered_at=mark)),
        client.post(ONE_BY_ONE, json=who.response("wrong", customer=mark)),
        client.post(ONE_BY_ONE, json=[mark]),
        _sent(client, ONE_BY_ONE, f'{{"comment": "{mark}', "application/json"),
        _sent(client, ONE_BY_ONE, mark, f"text/{mark}"),
        client.post(ONE_BY_ONE, json={"score": 1}, headers={"Idempotency-Key": mark * 40}),
        client.post(AT_ONCE, json=[{"score": mark, "external_id": mark}]),
        _sent(client, AT_ONCE, f'score,comment\n"{mark}', "text/csv"),
        client.post("/v1/hooks/bootstrap", json={mark: mark}),
        client.get("/v1/responses", params={"limit": mark}),
        client.get("/v1/responses", params={"cursor": mark}),
        client.get(f"/v1/responses/{mark}"),
        client.get(f"/v1/tasks/{mark}"),
        client.get("/v1/tasks", params={"cursor": mark}),
        client.get(f"/v1/{mark}"),
        client.put(f"/v1/tasks/{mark}"),
        client.post("/v1/person-requests", json={"kind": mark, "person": {"email": mark}}),
    ]
    assert [answer.url.path for answer in wrong if answer.status_code >= 500] == []
    return wrong


def work_on(client: httpx.Client, task: str, who: Marked) -> None:
    """Write a mark into everything that staff write about the customer."""
    for act, body in (
        ("claim", {}),
        ("notes", {"text": f"{who.mark} in a note"}),
        ("wait", {"for": "customer", "note": f"{who.mark} is away"}),
        ("resume", {}),
        ("contacts", {"mode": "phone", "result": "reached", "note": f"{who.mark} was angry"}),
        (
            "agreement",
            {
                "agreed": f"{who.mark} gets a credit",
                "asked_for": f"{who.mark} wants it",
                "with": who.mark,
            },
        ),
        ("steps", {"step": "eliminate"}),
        (
            "resolve",
            {
                "outcome": "solved",
                "root_cause": {"area": "process", "text": f"{who.mark} was forgotten"},
                "lesson": f"{who.mark} taught us",
                "content": "unknown",
                "avoidable": "yes",
            },
        ),
    ):
        answer = client.post(f"/v1/tasks/{task}/{act}", json=body)
        assert answer.status_code == 200, (act, answer.text)


def answer_by_link(installation: Installation, mail: MailServer | None, who: Marked) -> str:
    """Answer what the customer is asked by mail, in words; return the link's token."""
    found: list[str] = []

    def has_come() -> bool:
        texts = mails_to(who.address, mail) if mail else captured(installation)
        links = (re.search(r"/settled/([\w~.-]+)", text) for text in texts if who.mark in text)
        found.extend(link.group(1) for link in links if link)
        return bool(found)

    wait_until(has_come, what="the question to the customer", seconds=30, every=0.5)
    path = f"/settled/{found[0]}"
    with httpx.Client(base_url=installation.front, timeout=30, trust_env=False) as customer:
        assert customer.get(path).status_code == 200
        words = {"answer": "no", "words": f"{who.mark} is not content"}
        sent = customer.post(path, data=words, headers={"Origin": installation.front})
    assert sent.status_code == 303, sent.text
    return found[0]


def mails_to(address: str, mail: MailServer) -> list[str]:
    """Return the texts of the mails that reached somebody."""
    bodies = [one.message.get_body(("plain",)) for one in mail.to(address)]
    return [f"{address}\n{body.get_content()}" for body in bodies if body is not None]


def captured(installation: Installation) -> list[str]:
    """Return the pages of the mails that were kept here."""
    with installation.browser() as browser:
        listed = set(re.findall(r'href="(/mail/[\w-]+)"', browser.get("/mail").text))
        return [html.unescape(browser.get(path).text) for path in sorted(listed)]


def set_aside(url: str, secret: str, key: str, who: Marked) -> None:
    """Leave a record of theirs behind that loop could not handle."""

    async def park() -> None:
        engines = Engines.open(url, alone=False)
        try:
            async with Database(engines, services.loop.tables.PLUMBING).transaction() as tx:
                record = Undeliverable(
                    topic="closed-loop.responses",
                    partition=77,
                    offset=1,
                    key=key,
                    body=json.dumps(who.response("aside")).encode(),
                    headers={},
                    error="KeyError at somewhere.py:1",
                    digest="0" * 64,
                    tries=3,
                    event_type="response.received.v1",
                )
                now, keyring = SystemClock().now(), Keyring(secret)
                await dead_letter.park(tx, [record], consumer="loop", keyring=keyring, now=now)
        finally:
            await engines.close()

    asyncio.run(park())


def readable_in(folders: Iterable[Path], marks: Iterable[str]) -> list[str]:
    """Return the files in which one of the marks can be read, in any common spelling."""
    spellings = [
        mark.lower().encode(coding) for mark in marks for coding in ("ascii", "utf-16-le")
    ]
    found = []
    for folder in folders:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                content = _content(path).lower()
                if any(spelling in content for spelling in spellings):
                    found.append(path.relative_to(folder).as_posix())
    return found


def _content(path: Path) -> bytes:
    """Return what a file holds; a dump of PostgreSQL is unpacked."""
    if path.suffix == ".pgdump":
        command = ["pg_restore", "--file=-", str(path)]
        return subprocess.run(command, capture_output=True, check=True, timeout=60).stdout
    try:
        return path.read_bytes()
    except FileNotFoundError:  # a server tidies up meanwhile
        return b""


def figures(client: httpx.Client) -> Mapping[str, Any]:
    """Return everything that is counted."""
    paths = (
        "/v1/scores?group_by=touchpoint",
        "/v1/themes",
        "/v1/service-levels",
        "/v1/closure-rates",
    )
    answers = {path: client.get(path) for path in paths}
    assert {answer.status_code for answer in answers.values()} == {200}
    return {path: answer.json() for path, answer in answers.items()}


def shown_anywhere(
    installation: Installation, responses: Iterable[str], tasks: Iterable[str]
) -> str:
    """Return what the interface and the pages show, as one text."""
    with installation.client() as client:
        paths = [
            *(f"/v1/responses/{one}" for one in responses),
            *(f"/v1/tasks/{one}" for one in tasks),
            *("/v1/responses", "/v1/tasks", "/v1/examples", "/v1/themes"),
            *("/v1/deliveries", "/v1/audit", "/v1/person-requests", "/v1/suppressions"),
        ]
        answers = [client.get(path) for path in paths]
    with installation.browser() as browser:
        pages = ("/", "/queue.csv", "/themes", "/examples", "/settings/audit")
        more = (f"/tasks/{one}" for one in tasks)
        answers += [browser.get(path) for path in (*pages, *more, "/mail", "/settings/privacy")]
    refused = {
        str(answer.url): answer.status_code for answer in answers if answer.status_code != 200
    }
    assert refused == {}
    mails = captured(installation)
    return "\n".join([*(html.unescape(answer.text) for answer in answers), *mails]).lower()


def is_handled(client: httpx.Client, response: str) -> str:
    """Wait until a complaint has its task; return the task."""
    return str(handled(client, response)["task_id"])
