"""The folders beside this file: what each sender sends, and what is to come of it.

A folder has payloads and one ``cases.yaml``. Signatures are computed here, by other code than
what checks them.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any, Final

import yaml
from standardwebhooks import Webhook

HERE: Final = Path(__file__).parent

REQUIRED: Final = (
    "valid",
    "revised",
    "partial_then_complete",
    "no_answer",
    "ping",
    "only_ids",
    "unknown_event",
    "unknown_shape",
)
"""Cases of every sender; one that it cannot have is a sentence instead, which says why."""

TYPES: Final = {
    ".json": "application/json",
    ".form": "application/x-www-form-urlencoded",
}


@dataclass(frozen=True, kw_only=True)
class Post:
    """One call of a sender."""

    body: bytes = field(repr=False)
    headers: Mapping[str, str]
    gives: Sequence[Mapping[str, Any]]

    @property
    def documents(self) -> list[Mapping[str, Any]]:
        return [one for one in self.gives if "external_id" in one]


@dataclass(frozen=True, kw_only=True)
class Folder:
    """One sender's folder."""

    path: Path
    said: Mapping[str, Any]

    @classmethod
    def at(cls, path: Path) -> Folder:
        return cls(path=path, said=yaml.safe_load((path / "cases.yaml").read_text("utf-8")))

    @property
    def sender(self) -> str:
        return self.path.name

    @property
    def secret(self) -> str | None:
        return self.said.get("secret")

    @property
    def sign(self) -> Any:
        """How the sender signs: nothing, a name, or what is signed and how."""
        return self.said.get("sign")

    @property
    def keeps_order(self) -> bool:
        """Whether a sender says when an answer was revised; else the last arrival wins."""
        return bool(self.said.get("says_when_revised", True))

    @property
    def cases(self) -> dict[str, list[Post]]:
        return {
            name: [self.post(call) for call in case]
            for name, case in self.said["cases"].items()
            if not isinstance(case, str)
        }

    @property
    def questions(self) -> list[Mapping[str, Any]]:
        asked = self.said["verification"]
        return [] if isinstance(asked, str) else asked

    def post(self, call: Mapping[str, Any]) -> Post:
        path = self.path / call["post"]
        return Post(
            body=path.read_bytes(),
            headers={
                "content-type": TYPES[path.suffix],
                **self.said.get("headers", {}),
                **call.get("headers", {}),
            },
            gives=call.get("gives", ()),
        )

    def signed(
        self, method: str, url: str, body: bytes, at: datetime, *, secret: str | None = None
    ) -> dict[str, str]:
        """Return the headers by which the sender proves that a call is its own."""
        if self.sign is None:
            return {}
        secret = secret or self.secret
        assert secret is not None
        if self.sign == "standard_webhooks":
            return {
                "webhook-id": "msg_2f0c",
                "webhook-timestamp": str(int(at.timestamp())),
                "webhook-signature": Webhook(secret).sign("msg_2f0c", at, body.decode()),
            }
        stamp = self.sign.get("timestamp", {})
        time = {
            "s": str(int(at.timestamp())),
            "ms": str(int(at.timestamp() * 1000)),
            "rfc3339": at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        }[stamp.get("unit", "s")]
        signed = b"".join(
            {"body": body, "timestamp": time.encode(), "method": method.encode()}.get(
                part, url.encode()
            )
            for part in self.sign["of"]
        )
        digest = hmac.new(secret.encode(), signed, getattr(hashlib, self.sign["algorithm"]))
        text = (
            digest.hexdigest()
            if self.sign["encoding"] == "hex"
            else base64.b64encode(digest.digest()).decode()
        )
        headers = {self.sign["header"]: self.sign.get("prefix", "") + text}
        if stamp:
            headers[stamp["header"]] = time
        return headers

    @property
    def says_when_signed(self) -> bool:
        return self.sign == "standard_webhooks" or bool(self.sign and "timestamp" in self.sign)


@cache
def folders() -> dict[str, Folder]:
    """Return every folder by the name of its sender."""
    return {
        file.parent.name: Folder.at(file.parent) for file in sorted(HERE.glob("*/cases.yaml"))
    }


ODD: Final[tuple[Any, ...]] = (None, True, -1, 1e300, "", "x", "\u202e", [], {}, [1], {"a": 1})


def with_odd_values(value: Any) -> Iterator[Any]:
    """Yield a JSON value with each of its parts, in turn, being something else."""
    yield from ODD
    if not isinstance(value, dict | list):
        return
    for key in value if isinstance(value, dict) else range(len(value)):
        for part in with_odd_values(value[key]):
            copy = value.copy()
            copy[key] = part
            yield copy


def with_more(post: Post) -> Post:
    """Return the same call with members that no documentation knows, at every level."""
    if post.headers["content-type"] != "application/json":
        more = post.body + b"&x_unknown=1&x_nested[a]=2"
        return Post(body=more, headers=post.headers, gives=post.gives)

    def grown(value: Any) -> Any:
        if isinstance(value, dict):
            added = {"x_unknown": None, "x_nested": {"x": [1, {"y": True}]}}
            return {name: grown(part) for name, part in value.items()} | added
        return [grown(part) for part in value] if isinstance(value, list) else value

    more = json.dumps(grown(json.loads(post.body))).encode()
    return Post(body=more, headers=post.headers, gives=post.gives)
