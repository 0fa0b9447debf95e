"""A mixed stream with kills ends in exactly the state that a small model predicts."""

from __future__ import annotations

import os
import random
import threading
import time
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from tests.faults.load import everything
from tests.faults.stream import Model, Post, Stream
from tests.infra.kafka import KafkaBroker
from tests.infra.postgres import PostgresServer
from tests.infra.processes import wait_until
from tests.journeys.installation import Embedded, Installation, ScaledOut

POSTS = int(os.environ.get("CLOSED_LOOP_TEST_STREAM", "2000"))
CLIENTS = 6
KILLS = 8


class _Sender:
    """Sends posts in their order, each until it is answered, and checks each answer."""

    def __init__(self, installation: Installation, posts: Sequence[Post], model: Model) -> None:
        self._installation = installation
        self._posts = posts
        self._model = model
        self.done = 0
        self.surprises: list[str] = []
        self.outcomes: Counter[str] = Counter()
        self.repeats = 0

    def run(self) -> None:
        """Send everything."""
        left = list(self._posts[::-1])
        doubtful = False
        while left:
            with self._installation.client() as client:
                while left:
                    answer = self._sent(client, left[-1])
                    if answer is None:
                        self.repeats += 1
                        doubtful = True
                        time.sleep(0.05)
                        break
                    self._judge(left.pop(), answer, doubtful=doubtful)
                    doubtful = False
                    self.done += 1

    @staticmethod
    def _sent(client: httpx.Client, post: Post) -> httpx.Response | None:
        try:
            answer = client.post(
                "/v1/responses", content=post.body, headers={"Content-Type": "application/json"}
            )
        except httpx.HTTPError:
            return None
        return None if answer.status_code in {502, 503, 504} else answer

    def _judge(self, post: Post, answer: httpx.Response, *, doubtful: bool) -> None:
        expected = self._model.take(post.key, post.said)
        self.outcomes[expected] += 1
        if answer.status_code == 202:
            said = "duplicate" if answer.json()["duplicate"] else "accepted"
            # The first try may have arrived although its answer did not.
            fits = said == expected or (doubtful and expected == "accepted")
        else:
            fits = expected == "refused" and answer.status_code in {400, 422}
        if not fits:
            self.surprises.append(f"{post.key}: {expected}, {answer.status_code}")


def _run(installation: Installation, roles: Sequence[str], prefix: str) -> dict[str, Any]:
    """Post the stream while processes are killed; compare what stands with the models."""
    stream = Stream(prefix=prefix, seed=2026, now=datetime.now(UTC))
    lanes: list[list[Post]] = [[] for _ in range(CLIENTS)]
    for post in stream.posts(POSTS):
        # Posts under one key are sent by one client: only their order has a meaning.
        lanes[zlib.crc32(post.key.encode()) % CLIENTS].append(post)
    senders = [_Sender(installation, lane, Model()) for lane in lanes]
    threads = [threading.Thread(target=one.run, daemon=True) for one in senders]
    for thread in threads:
        thread.start()

    lot = random.Random(7)
    for kill in range(KILLS):
        goal = POSTS * (kill + 1) // (KILLS + 1)
        deadline = time.monotonic() + 300
        while sum(one.done for one in senders) < goal:
            assert time.monotonic() < deadline, "the stream does not go on"
            time.sleep(0.05)
        time.sleep(lot.random() * 0.2)
        role = roles[kill % len(roles)]
        installation.kill(role)
        installation.start(role)
    for thread in threads:
        thread.join(600)
        assert not thread.is_alive(), "the stream did not end"

    assert [surprise for one in senders for surprise in one.surprises] == []
    expected = {key: state for one in senders for key, state in one._model.expected().items()}
    _compare(installation, prefix, expected)
    outcomes = sum((one.outcomes for one in senders), Counter[str]())
    return {**outcomes, "repeats": sum(one.repeats for one in senders)}


def _compare(
    installation: Installation, prefix: str, expected: dict[str, dict[str, Any]]
) -> None:
    with installation.client() as client:
        wait_until(
            lambda: (
                not client.get(
                    "/v1/responses", params={"state": "received", "limit": "1"}
                ).json()["data"]
            ),
            what="every response to be handled",
            seconds=300,
        )

        def standing() -> dict[str, dict[str, Any]]:
            return {
                one["external_id"]: {
                    "revision": one["revision"],
                    "score": one["score"],
                    "answered_at": datetime.fromisoformat(one["answered_at"]),
                    "state": one["state"],
                }
                for one in everything(client, "/v1/responses")
                if one["external_id"].startswith(prefix)
            }

        def differences() -> dict[str, Any]:
            found = standing()
            return {
                key: (expected.get(key), found.get(key))
                for key in expected.keys() | found.keys()
                if expected.get(key) != found.get(key)
            }

        # What became of a task comes on another topic than what became of its response.
        deadline = time.monotonic() + 60
        while (wrong := differences()) and time.monotonic() < deadline:
            time.sleep(0.5)
        assert wrong == {}

        tasks = Counter(one["response_id"] for one in everything(client, "/v1/tasks"))
        with_task = sum(one["state"] != "no_action" for one in expected.values())
        assert set(tasks.values()) <= {1}
        assert len(tasks) == with_task
        # Some answer up to ten hours ahead of our clock.
        until = (datetime.now(UTC) + timedelta(days=1)).date().isoformat()
        scores = client.get("/v1/scores", params={"to": until}).json()["data"][0]
        assert scores["n"] == len(expected)
        assert scores["detractors"] == sum(one["score"] <= 6 for one in expected.values())
        assert scores["promoters"] == sum(one["score"] >= 9 for one in expected.values())


@pytest.fixture
def own_embedded() -> Iterator[Embedded]:
    """An installation that may be killed."""
    with Embedded() as running:
        yield running


def test_a_mixed_stream_with_kills_on_one_machine(own_embedded: Embedded, unique: str) -> None:
    print(_run(own_embedded, ["all"], unique))


@pytest.mark.soak
@pytest.mark.kafka
@pytest.mark.postgres
@pytest.mark.nginx
def test_a_mixed_stream_with_kills_scaled_out(
    own_kafka_broker: KafkaBroker, postgres_server: PostgresServer, unique: str
) -> None:
    with ScaledOut(own_kafka_broker, postgres_server) as installation:
        print(_run(installation, ["ingest", "loop", "notify"], unique))
