"""Clients that post at a steady pace and measure, and the one process that they post to."""

from __future__ import annotations

import statistics
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import httpx
from typing_extensions import override

from tests.faults.history import History
from tests.infra.processes import wait_until
from tests.journeys.installation import PROGRAM, Embedded, Installation

CUSTOMERS = 20
NOTHING_CHANGED = {"database-unavailable", "storage-full"}


class OneProcess(Embedded):
    """One process with settings of the test's own: another bus, another database."""

    def __init__(self, **settings: str) -> None:
        super().__init__()
        self._settings = {f"CLOSED_LOOP_{name.upper()}": to for name, to in settings.items()}

    @override
    def environment(self) -> dict[str, str]:
        """Return the settings of this installation."""
        return {**super().environment(), **self._settings}

    @property
    @override
    def bootstrap(self) -> str | None:
        """Kafka's address; None where the bus is embedded."""
        return self._settings.get("CLOSED_LOOP_BUS", "").removeprefix("kafka://") or None

    @override
    def start_all(self) -> None:
        """Make tables and topics, then start the one process."""
        done = subprocess.run(
            [*PROGRAM, "migrate"],
            cwd=self._folder,
            env=self.environment(),
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        self.start()


@dataclass(frozen=True)
class Answered:
    """What one post was answered, and how long it took."""

    status: int
    seconds: float
    slug: str = ""
    retry_after: str | None = None


class Steady:
    """Posts one response after the other, ``rate`` a second, over its customers in turn.

    Each customer's responses carry a counter, and one customer's are sent by one client.
    """

    def __init__(
        self,
        installation: Installation,
        *,
        prefix: str,
        rate: float = 25,
        clients: int = 2,
        customers: int = CUSTOMERS,
    ) -> None:
        self.history = History()
        self.answered: list[Answered] = []
        self.promised_absent: set[str] = set()
        """Ids whose 503 said that nothing was changed."""
        self._installation = installation
        self._prefix = prefix
        self._every = clients / rate
        self._customers = customers
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._run, args=(number, clients), daemon=True)
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
            assert not thread.is_alive(), "a post never came back"

    def _run(self, number: int, clients: int) -> None:
        count = 0
        mine = range(number, self._customers, clients)
        while not self._stop.is_set():
            with self._installation.client() as client:
                while not self._stop.wait(self._every):
                    turn, customer = divmod(count, len(mine))
                    count += 1
                    if not self._post(client, number, f"C-{mine[customer]}", turn):
                        break

    def _post(self, client: httpx.Client, number: int, customer: str, turn: int) -> bool:
        name = f"{self._prefix}-{customer}-{turn}"
        operation = self.history.invoke(number, name, customer=customer)
        body: dict[str, Any] = {
            "external_id": name,
            "score": turn % 11,
            "customer": {"id": customer},
            "comment": f"{turn}",
        }
        began = time.monotonic()
        try:
            reply = client.post("/v1/responses", json=body)
        except httpx.HTTPError:
            self.history.unknown(operation)
            self.answered.append(Answered(0, time.monotonic() - began))
            return False
        seconds = time.monotonic() - began
        if reply.status_code == 202:
            self.history.ok(operation, reply.json()["id"], reply.json()["revision"])
            self.answered.append(Answered(202, seconds))
            return True
        slug = reply.json()["type"].rpartition("/")[2] if "json" in _type(reply) else ""
        if reply.status_code == 503 and slug in NOTHING_CHANGED:
            self.promised_absent.add(name)
        self.history.unknown(operation)
        self.answered.append(
            Answered(reply.status_code, seconds, slug, reply.headers.get("retry-after"))
        )
        return True

    def more(self, count: int, *, seconds: float = 60) -> Sequence[Answered]:
        """Wait for so many more answers and return them."""
        start = len(self.answered)
        wait_until(
            lambda: len(self.answered) >= start + count,
            what=f"{count} more answers",
            seconds=seconds,
        )
        return self.answered[start:]


def _type(reply: httpx.Response) -> str:
    return str(reply.headers.get("content-type", ""))


def middle(some: Sequence[Answered]) -> float:
    """Return the median time to answer."""
    return statistics.median(one.seconds for one in some)


def ready(installation: Installation) -> tuple[int, Mapping[str, Any]]:
    """Ask ``/readyz``; return the status and the parts."""
    with installation.client() as client:
        answer = client.get("/readyz")
        return answer.status_code, answer.json()["checks"]


def wait_for_bus(installation: Installation, *, seconds: float = 60) -> None:
    """Wait until the bus answers and nothing waits for it."""
    wait_until(
        lambda: ready(installation)[1]["bus"]["status"] == "ok",
        what="the bus to be fine",
        seconds=seconds,
        every=0.2,
    )
