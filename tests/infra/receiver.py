"""A webhook receiver in a process of its own, which checks signatures as a stranger would.

``python -m tests.infra.receiver --port 0 --secret whsec_… --log FILE`` verifies every POST with
the official ``standardwebhooks`` package and appends one JSON line to the file. It answers 200,
or what ``PUT /answers`` was told: ``{"next": [503, 500], "always": 204, "headers": {…}}``.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import json
import secrets
import sys
import time
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Lock
from typing import Any, Self

from standardwebhooks import Webhook, WebhookVerificationError

from tests.infra.processes import LOOPBACK, Child, accepts, data_folder, free_port, wait_until


@dataclass(frozen=True, kw_only=True)
class Received:
    """One request as the receiver saw it."""

    path: str
    headers: Mapping[str, str]
    body: str
    verified: bool
    answered: int

    @property
    def json(self) -> Any:
        """The parsed body."""
        return json.loads(self.body)

    @property
    def webhook_id(self) -> str:
        """The id that stays the same over retries."""
        return self.headers["webhook-id"]


class Receiver:
    """Starts the receiver and reads what it wrote down."""

    def __init__(self, secret: str | None = None) -> None:
        self.secret = secret or f"whsec_{base64.b64encode(secrets.token_bytes(32)).decode()}"
        self.port = free_port()
        self._cleanup = contextlib.ExitStack()
        self._child: Child | None = None
        self._log: Path | None = None

    @property
    def url(self) -> str:
        """Where to post."""
        return f"http://{LOOPBACK}:{self.port}/hook"

    def start(self) -> None:
        """Start the process; on the same port and log again after ``kill``."""
        if self._log is None:
            self._log = self._cleanup.enter_context(data_folder("receiver")) / "requests.jsonl"
        self._child = Child(
            "receiver",
            [
                sys.executable,
                "-m",
                "tests.infra.receiver",
                f"--port={self.port}",
                f"--secret={self.secret}",
                f"--log={self._log}",
            ],
            log=self._log.with_name("output.log"),
            cwd=Path(__file__).parents[2],
        )
        self._child.wait_ready(lambda: accepts(self.port), seconds=20)

    def use_secret(self, secret: str) -> None:
        """Verify with another secret from now on, as given when a webhook was created."""
        self.secret = secret
        self._put("/secret", {"secret": secret})

    def answer(
        self,
        *,
        next_codes: Sequence[int] = (),
        always: int = 200,
        headers: Mapping[str, str] | None = None,
        delay: float = 0,
    ) -> None:
        """Answer the next requests with these codes, and all later ones with ``always``.

        Each answer comes so many seconds after the request was written down.
        """
        told = {"next": list(next_codes), "always": always, "headers": headers or {}}
        self._put("/answers", {**told, "delay": delay})

    def _put(self, path: str, body: object) -> None:
        request = urllib.request.Request(
            f"http://{LOOPBACK}:{self.port}{path}", json.dumps(body).encode(), method="PUT"
        )
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310 - our own loopback
            answer.read()

    def requests(self) -> list[Received]:
        """Return everything received so far, in order."""
        if self._log is None or not self._log.exists():
            return []
        # A line that is still being written has no end yet.
        lines = self._log.read_text().splitlines(keepends=True)
        return [Received(**json.loads(line)) for line in lines if line.endswith("\n")]

    def wait_for(self, count: int, *, seconds: float = 20) -> list[Received]:
        """Return what has come as soon as there are that many requests."""
        wait_until(
            lambda: len(self.requests()) >= count, what=f"{count} requests", seconds=seconds
        )
        return self.requests()

    def pause(self) -> None:
        """Accept connections and never answer."""
        if self._child is not None:
            self._child.pause()

    def resume(self) -> None:
        """Go on after ``pause``."""
        if self._child is not None:
            self._child.resume()

    def kill(self) -> None:
        """End it at once; what was received stays."""
        if self._child is not None:
            self._child.kill()

    def stop(self) -> None:
        """End it and forget what was received."""
        if self._child is not None:
            self._child.stop()
            self._child = None
        self._cleanup.close()
        self._log = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


class _Server(ThreadingHTTPServer):
    """The listening half, in the child process."""

    daemon_threads = True

    def __init__(self, port: int, secret: str, log: Path) -> None:
        super().__init__((LOOPBACK, port), _Handler)
        self.secret = secret
        self.log = log
        self.lock = Lock()
        self.next_codes: list[int] = []
        self.always = 200
        self.extra_headers: dict[str, str] = {}
        self.delay = 0.0


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server  # type: ignore[mutable-override] # http.server hands us ours

    def do_POST(self) -> None:
        """Verify, write down, answer."""
        body = self._body()
        if len(body) < int(self.headers.get("content-length") or 0):
            self.close_connection = True  # the caller died in the middle: this was no call
            return
        headers = {name.lower(): value for name, value in self.headers.items()}
        server = self.server
        try:
            Webhook(server.secret).verify(body, headers)
            verified = True
        except (WebhookVerificationError, ValueError):
            verified = False
        with server.lock:
            code = server.next_codes.pop(0) if server.next_codes else server.always
            line = {
                "path": self.path,
                "headers": headers,
                "body": body.decode(errors="replace"),
                "verified": verified,
                "answered": code,
            }
            with server.log.open("a") as log:
                log.write(json.dumps(line) + "\n")
        time.sleep(server.delay)
        self._answer(code, server.extra_headers)

    def do_PUT(self) -> None:
        """Be told by the test."""
        told = json.loads(self._body())
        with self.server.lock:
            if self.path == "/secret":
                self.server.secret = told["secret"]
            else:
                self.server.next_codes = told["next"]
                self.server.always = told["always"]
                self.server.extra_headers = told["headers"]
                self.server.delay = told["delay"]
        self._answer(200, {})

    def _body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("content-length") or 0))

    def _answer(self, code: int, headers: Mapping[str, str]) -> None:
        self.send_response(code)
        for name, value in headers.items():
            self.send_header(name, value)
        if code != 204:
            self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name
        """Keep quiet: the log file says it all."""


def main() -> None:
    """Listen until ended."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--secret", required=True)
    parser.add_argument("--log", type=Path, required=True)
    wanted = parser.parse_args()
    _Server(wanted.port, wanted.secret, wanted.log).serve_forever()


if __name__ == "__main__":
    main()
