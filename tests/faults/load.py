"""Clients that post while things break, and the checker that looks afterwards.

Every post is written down before it is sent; its outcome is accepted (202 was read), refused
(another status was read) or unknown (the connection broke). After healing, one pass over the
API proves: every accepted response is there once, every detractor has exactly one task, every
task has its alerts, and nothing that was refused left a row.
"""

from __future__ import annotations

import random
import threading
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import httpx

from tests.infra.processes import wait_until
from tests.infra.receiver import Receiver
from tests.journeys.installation import Installation

DETRACTORS = range(7)


@dataclass
class Ledger:
    """What the clients sent, and what they know of it."""

    scores: dict[str, int] = field(default_factory=dict)
    accepted: dict[str, str] = field(default_factory=dict)
    unknown: set[str] = field(default_factory=set)
    refused: set[str] = field(default_factory=set)
    contradictions: list[str] = field(default_factory=list)


class Load:
    """A few clients that post one response after the other until told to stop."""

    def __init__(self, installation: Installation, *, prefix: str, clients: int = 3) -> None:
        self.ledger = Ledger()
        self._installation = installation
        self._prefix = prefix
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._post_on, args=(number,), daemon=True)
            for number in range(clients)
        ]

    def start(self) -> None:
        """Begin to post."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Finish the posts under way."""
        self._stop.set()
        for thread in self._threads:
            thread.join(30)

    @property
    def accepted(self) -> int:
        """How many posts have been answered 202 so far."""
        return len(self.ledger.accepted)

    def wait_for_more(self, count: int) -> None:
        """Wait until that many more posts have been answered 202."""
        goal = self.accepted + count
        wait_until(lambda: self.accepted >= goal, what=f"{count} more posts", seconds=60)

    def _post_on(self, number: int) -> None:
        lot = random.Random(number)
        count = 0
        while not self._stop.is_set():
            with self._installation.client() as client:
                while not self._stop.is_set():
                    name = f"{self._prefix}-{number}-{count}"
                    count += 1
                    if not self._post(client, name, lot):
                        break
            self._stop.wait(0.05)

    def _post(self, client: httpx.Client, name: str, lot: random.Random) -> bool:
        """Post one response, sometimes twice; return whether the connection still stands."""
        score = lot.randrange(11)
        self.ledger.scores[name] = score
        body = {
            "external_id": name,
            "score": score,
            "comment": "Waited forty minutes and nobody called back.",
            "touchpoint": "support-call",
            "customer": {"id": f"C-{lot.randrange(20)}", "name": "Sam"},
        }
        if lot.random() < 0.2 and not self._post_badly(client, name):
            return False
        for _ in range(2 if lot.random() < 0.2 else 1):
            try:
                reply = client.post("/v1/responses", json=body)
            except httpx.HTTPError:
                if name not in self.ledger.accepted:
                    self.ledger.unknown.add(name)
                return False
            if reply.status_code == 202:
                self._note(name, reply.json())
            elif reply.status_code in {502, 503, 504}:
                self.ledger.unknown.add(name)
                return False
            else:
                self.ledger.refused.add(f"{name}: {reply.status_code}")
        return True

    def _post_badly(self, client: httpx.Client, name: str) -> bool:
        """Post what must be refused; return whether the connection still stands."""
        try:
            reply = client.post("/v1/responses", json={"external_id": name, "score": "two"})
        except httpx.HTTPError:
            return False
        if reply.status_code == 422:
            return True
        if reply.status_code not in {502, 503, 504}:
            self.ledger.contradictions.append(f"{name}: {reply.status_code}")
        return False

    def _note(self, name: str, answer: dict[str, Any]) -> None:
        known = self.ledger.accepted.setdefault(name, answer["id"])
        if known != answer["id"]:
            self.ledger.contradictions.append(name)


def everything(client: httpx.Client, path: str, **filters: str) -> list[dict[str, Any]]:
    """Return every item of a list, page by page."""
    found: list[dict[str, Any]] = []
    cursor: dict[str, str] = {}
    while True:
        reply = client.get(path, params={**filters, "limit": "200", **cursor})
        reply.raise_for_status()
        page = reply.json()
        found += page["data"]
        if not page["has_more"]:
            return found
        cursor = {"cursor": page["next_cursor"]}


def prove_nothing_lost_nothing_doubled(
    installation: Installation,
    ledger: Ledger,
    receiver: Receiver,
    *,
    prefix: str,
    seconds: float = 90,
) -> Counter[str]:
    """Wait until all is quiet, then check every promise; return what was counted."""
    with installation.client() as client:

        def all_handled() -> bool:
            return not client.get(
                "/v1/responses", params={"state": "received", "limit": "1"}
            ).json()["data"]

        def all_told() -> bool:
            waiting = [
                delivery
                for state in ("due", "sending")
                for delivery in client.get(
                    "/v1/deliveries", params={"state": state, "limit": "200"}
                ).json()["data"]
            ]
            return not waiting

        wait_until(all_handled, what="every response to be handled", seconds=seconds)
        responses = [
            response
            for response in everything(client, "/v1/responses")
            if response["external_id"].startswith(prefix)
        ]
        tasks = Counter(task["response_id"] for task in everything(client, "/v1/tasks"))
        expected = {response["id"] for response in responses if response["score"] in DETRACTORS}
        ours = {response["id"] for response in responses}
        task_ids = {
            response["task_id"] for response in responses if response["task_id"] is not None
        }

        def alerts() -> Counter[tuple[str, str]]:
            return Counter(
                (delivery["task_id"], delivery["channel"])
                for delivery in everything(client, "/v1/deliveries")
                if delivery["event_type"] == "task.opened"
            )

        wait_until(
            lambda: (
                len([1 for task, _ in alerts() if task in task_ids]) >= 2 * len(task_ids)
                and all_told()
            ),
            what="every task to have its alerts",
            seconds=seconds,
        )
        told = alerts()

    names = Counter(response["external_id"] for response in responses)
    by_name = {response["external_id"]: response["id"] for response in responses}
    assert ledger.contradictions == []
    assert ledger.refused == set()
    lost = [name for name, found in ledger.accepted.items() if by_name.get(name) != found]
    assert lost == [], "an acknowledged response is gone"
    assert [name for name, count in names.items() if count > 1] == []
    assert set(names) <= set(ledger.scores), "a row that nobody posted"
    assert {name: tasks[name] for name in expected if tasks[name] != 1} == {}
    assert [found for found in ours - expected if tasks[found]] == []
    assert {
        (task, channel): told[task, channel]
        for task in task_ids
        for channel in ("email", "webhook")
        if told[task, channel] != 1
    } == {}
    hooks = Counter(request.webhook_id for request in receiver.requests() if request.verified)
    assert len(hooks) >= len(task_ids)
    return Counter(
        posted=len(ledger.scores),
        accepted=len(ledger.accepted),
        unknown=len(ledger.unknown - set(ledger.accepted)),
        tasks=len(task_ids),
        webhook_requests=sum(hooks.values()),
        webhook_repeats=sum(count - 1 for count in hooks.values()),
    )
