"""A stream of posts as real systems send them, and what must stand when it is over.

``Stream`` makes the posts: new ones, the same again in other clothes, revisions, parts, late
ones, ones that break a rule or cannot be read. ``Model`` is the contract in forty lines; it
knows no database, no clock and no order of anything but the posts under one key.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone
from typing import Any


class Model:
    """The response, the task and the counts that a stream must end in."""

    def __init__(self) -> None:
        self.parts: dict[str, list[dict[str, Any]]] = {}
        self.whole: dict[str, dict[str, Any]] = {}
        self.task: dict[str, str] = {}

    def take(self, key: str, said: dict[str, Any] | None) -> str:
        """Return what becomes of one post; None stands for what nobody can take."""
        if said is None:
            return "refused"
        known = self.parts.get(key, [])
        if said in known:
            return "duplicate"
        whole = self._merged([*known, said])
        if "score" not in whole:
            return "refused"
        self.parts[key] = [*known, said]
        self.whole[key] = whole
        if whole["score"] <= 6:
            self.task[key] = "task_open"
        elif key in self.task:
            self.task[key] = "closed"
        return "accepted"

    @staticmethod
    def _merged(parts: list[dict[str, Any]]) -> dict[str, Any]:
        """Lay later answers over earlier ones; of two at one moment the later arrival wins."""
        whole: dict[str, Any] = {}
        for part in sorted(parts, key=lambda part: part["answered_at"]):  # a stable sort
            whole |= part
        return whole

    def expected(self) -> dict[str, dict[str, Any]]:
        """Return what ``GET /v1/responses`` must say, by external id."""
        return {
            key: {
                "revision": len(self.parts[key]),
                "score": whole["score"],
                "answered_at": whole["answered_at"],
                "state": self.task.get(key, "no_action"),
            }
            for key, whole in self.whole.items()
        }


@dataclass(frozen=True)
class Post:
    """One post: the bytes to send, and what they say (None: nothing that can be taken)."""

    key: str
    body: bytes = field(repr=False)
    said: dict[str, Any] | None


class Stream:
    """Posts under keys of its own, from a seed; every run of a seed is the same stream."""

    def __init__(self, *, prefix: str, seed: int, now: datetime) -> None:
        self._prefix = prefix
        self._lot = random.Random(seed)
        self._now = now.astimezone(UTC).replace(microsecond=0)
        self._sent: list[tuple[str, dict[str, Any]]] = []
        self._fresh = 0

    def posts(self, count: int) -> Iterator[Post]:
        """Yield so many posts."""
        for _ in range(count):
            yield self._lot.choices(
                (self._new, self._again, self._revision, self._part, self._spoilt),
                weights=(40, 20, 20, 10, 10),
            )[0]()

    def _new(self) -> Post:
        self._fresh += 1
        key = f"{self._prefix}-{self._fresh}"
        said: dict[str, Any] = {
            "score": self._lot.randrange(11),
            "answered_at": self._moment(),
            # Another customer each: two bad answers of one would be one case.
            "customer": {"id": f"C-{key}"},
        }
        if self._lot.random() < 0.6:
            said["comment"] = self._comment()
        if self._lot.random() < 0.1:
            del said["score"]  # the comment arrived before the score: not a response yet
        return self._post(key, said)

    def _again(self) -> Post:
        if not self._sent:
            return self._new()
        return self._post(*self._lot.choice(self._sent[-400:]))

    def _revision(self) -> Post:
        if not self._sent:
            return self._new()
        key, before = self._lot.choice(self._sent[-400:])
        said = {
            **before,
            "score": self._lot.randrange(11),
            # Later, at the same moment, or earlier: not every revision wins.
            "answered_at": before["answered_at"]
            + timedelta(minutes=self._lot.choice((-90, -1, 0, 0, 1, 5, 600))),
        }
        return self._post(key, said)

    def _part(self) -> Post:
        if not self._sent:
            return self._new()
        key, before = self._lot.choice(self._sent[-400:])
        said = {
            "comment": self._comment(),
            "answered_at": before["answered_at"] + timedelta(minutes=self._lot.randrange(60)),
            "shop": self._lot.choice(("Odense", "Łódź", "Kyiv")),
        }
        return self._post(key, said)

    def _spoilt(self) -> Post:
        self._fresh += 1
        key = f"{self._prefix}-{self._fresh}"
        text = json.dumps({"external_id": key, "score": 3, "comment": "never to be seen"})
        body = self._lot.choice(
            (
                text[:-1],
                text.replace("3", "NaN"),
                text.replace("3", '"3"'),
                text.replace("3", "11"),
                text.replace("3", "3.0"),
                text[:-1] + ', "score": 4}',
                text[:-1] + ', "answered_at": "2026-03-02"}',
                text[:-1] + ', "customer": "Ana"}',
                text.replace("never", "ne\\u0000ver"),
                text.replace("never", "\\ud800"),
                f"[{text}]",
                "[" * 40 + "]" * 40,
                text.replace("external_id", "externalid"),
            )
        )
        return Post(key, body.encode(), None)

    def _post(self, key: str, said: dict[str, Any]) -> Post:
        self._sent.append((key, said))
        return Post(key, self._written(key, said), said)

    def _written(self, key: str, said: dict[str, Any]) -> bytes:
        """Write a document down in one of the ways that mean the same."""
        members = list({"external_id": key, **said}.items())
        self._lot.shuffle(members)
        zone = timezone(timedelta(hours=self._lot.choice((-7, 0, 0, 2))))
        document = {
            name: value.astimezone(zone).isoformat() if isinstance(value, datetime) else value
            for name, value in members
        }
        plain = self._lot.random() < 0.5
        indent = self._lot.choice((None, None, 2))
        return json.dumps(document, indent=indent, ensure_ascii=plain).encode()

    def _moment(self) -> datetime:
        return self._now - timedelta(seconds=self._lot.randrange(9 * 86_400))

    def _comment(self) -> str:
        words = self._lot.choice(_WORDS)
        return f"{words} {self._lot.randrange(1_000)}"


_WORDS = ("Waited forty minutes.", "Ganz schlecht erklärt.", "Świetna obsługa!", "  ok  ", "👍")
