"""Clients that post while things break, and the proof afterwards.

The clients write down what they did and what they know of it (``history``); once all is quiet,
everything that the installation holds is read (``evidence``) and held against it (``checker``).
"""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Mapping
from typing import Any

import httpx

from tests.faults.checker import counted, unfinished, violations
from tests.faults.evidence import Evidence, gather
from tests.faults.history import History
from tests.infra.processes import wait_until
from tests.infra.receiver import Receiver
from tests.infra.smtp import MailServer
from tests.journeys.installation import Installation

NOBODY_THERE = {502, 503, 504}
"""Said by us when the database is away, or by the proxy in front: the request may have gone
through or not."""

COMING_BACK = 0.3
COMMENTS = ("Waited forty minutes and nobody called back.", "Swietna obsluga!", "ok")


class Load:
    """A few clients that post one response after the other until told to stop.

    Some posts are sent twice, some are revised, some are wrong on purpose; some come in
    batches.
    """

    def __init__(
        self,
        installation: Installation,
        *,
        prefix: str,
        clients: int = 3,
        history: History | None = None,
        pause: float = 0,
    ) -> None:
        self.history = history or History()
        self._installation = installation
        self._prefix = prefix
        self._pause = pause
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
            thread.join(60)

    @property
    def accepted(self) -> int:
        """How many keys have been answered 202 so far."""
        return len(self.history.accepted)

    def wait_for_more(self, count: int) -> None:
        """Wait until that many more posts have been answered 202."""
        goal = self.accepted + count
        wait_until(lambda: self.accepted >= goal, what=f"{count} more posts", seconds=60)

    def _post_on(self, number: int) -> None:
        lot = random.Random(f"{self._prefix}-{number}")
        count = 0
        while not self._stop.is_set():
            with self._installation.client() as client:
                while not self._stop.is_set():
                    name = f"{self._prefix}-{number}-{count}"
                    count += 1
                    if not self._turn(client, number, name, lot):
                        break
                    self._stop.wait(self._pause)
            self._stop.wait(0.2)

    def _turn(self, client: httpx.Client, number: int, name: str, lot: random.Random) -> bool:
        """Post something; return whether the connection still stands."""
        what = lot.random()
        if what < 0.15:
            return self._wrong(client, number, f"{name}-wrong")
        if what < 0.25:
            return self._batch(client, number, name, lot)
        body = said(name, lot)
        key = {"Idempotency-Key": name} if 0.25 <= what < 0.33 else {}
        if not self._post(client, number, body, key):
            return False
        if what < 0.4:  # the same again
            return self._post(client, number, body, key)
        if what < 0.5:  # and once more with another meaning
            return self._post(client, number, {**body, "score": lot.randrange(11)})
        return True

    def _post(
        self,
        client: httpx.Client,
        number: int,
        body: dict[str, Any],
        headers: Mapping[str, str] | None = None,
    ) -> bool:
        customer = body["customer"]["id"]
        operation = self.history.invoke(number, body["external_id"], customer=customer)
        try:
            reply = client.post("/v1/responses", json=body, headers=headers)
        except httpx.HTTPError:
            self.history.unknown(operation)
            return False
        if reply.status_code in NOBODY_THERE:
            self.history.unknown(operation)
            return False
        if reply.status_code == 202:
            answer = reply.json()
            self.history.ok(operation, answer["id"], answer["revision"])
        else:
            self.history.failed(operation, reply.status_code)
        return True

    def _wrong(self, client: httpx.Client, number: int, name: str) -> bool:
        operation = self.history.invoke(number, name, is_wrong=True)
        try:
            reply = client.post("/v1/responses", json={"external_id": name, "score": "two"})
        except httpx.HTTPError:
            self.history.unknown(operation)
            return False
        if reply.status_code in NOBODY_THERE:
            self.history.unknown(operation)
            return False
        if reply.status_code == 202:
            self.history.ok(operation, reply.json()["id"])
        else:
            self.history.failed(operation, reply.status_code)
        return True

    def _batch(self, client: httpx.Client, number: int, name: str, lot: random.Random) -> bool:
        """Post several at once, one of them wrong: each is accepted or refused by itself."""
        bodies = [said(f"{name}-{n}", lot) for n in range(4)]
        bodies[2]["score"] = 11
        operations = [
            # No customer: of one batch nobody promises an order.
            self.history.invoke(number, body["external_id"], is_wrong=n == 2)
            for n, body in enumerate(bodies)
        ]
        try:
            reply = client.post("/v1/responses/batch", json=bodies)
        except httpx.HTTPError:
            return False
        if reply.status_code in NOBODY_THERE:
            return False
        if reply.status_code != 202:
            for operation in operations:
                self.history.failed(operation, reply.status_code)
            return True
        for operation, result in zip(operations, reply.json()["results"], strict=True):
            if result["status"] in {"accepted", "duplicate"}:
                self.history.ok(operation, result["id"])
            else:
                self.history.failed(operation, 422)
        return True


def said(name: str, lot: random.Random) -> dict[str, Any]:
    """Return one response as a system would post it.

    Some customers come back, and are one case; most have a task of their own.
    """
    customer = f"C-{lot.randrange(20)}" if lot.random() < COMING_BACK else name
    return {
        "external_id": name,
        "score": lot.randrange(11),
        "comment": lot.choice(COMMENTS),
        "touchpoint": "support-call",
        "customer": {"id": customer, "name": "Sam"},
    }


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


def settled(installation: Installation, *, seconds: float = 90) -> None:
    """Wait until nothing is under way any more."""
    deadline = time.monotonic() + seconds
    while waiting := unfinished(gather(installation, with_log=False)):
        assert time.monotonic() < deadline, f"never quiet: {waiting[:10]}"
        time.sleep(0.3)


def prove_nothing_lost_nothing_doubled(
    installation: Installation,
    history: History,
    receiver: Receiver | None,
    *,
    mail: MailServer | None = None,
    seconds: float = 90,
) -> Counter[str]:
    """Wait until all is quiet, then check every invariant; return what was counted."""
    settled(installation, seconds=seconds)
    evidence = proven(installation, history, receiver, mail=mail)
    return counted(history, evidence)


def proven(
    installation: Installation,
    history: History,
    receiver: Receiver | None,
    *,
    mail: MailServer | None = None,
) -> Evidence:
    """Check every invariant now, in one pass; return the evidence."""
    evidence = gather(installation, receiver=receiver, mail=mail)
    wrong = violations(history, evidence)
    assert not wrong, "\n".join(f"{name}: {list(some)[:5]}" for name, some in wrong.items())
    return evidence
