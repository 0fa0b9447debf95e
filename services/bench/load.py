"""The load generator: a plain HTTP/1.1 client that costs less than the servers it measures.

Runs as a process of its own (``python -m services.bench.load``), so that it takes no time from
the server's event loop. All requests are written down before the clock starts; each connection
sends its next one when the former is answered. One JSON line says how long it took.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from typing_extensions import override

from services.bench import payloads

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_LENGTH: Final = re.compile(rb"\r\ncontent-length: (\d+)\r\n", re.IGNORECASE)
_ACCEPTED: Final = b"HTTP/1.1 202 "


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """How many documents to post, and in what pieces; ``lines`` of them are one request."""

    port: int
    key: str
    tag: str
    documents: int
    lines: int = 1
    connections: int = 64

    def requests(self) -> list[bytes]:
        """Return every request, as it goes over the wire."""
        if self.lines == 1:
            path, kind = "/v1/responses", "application/json"
            bodies = [payloads.body(self.tag, n) for n in range(self.documents)]
        else:
            path, kind = "/v1/responses/batch", "application/x-ndjson"
            bodies = [
                payloads.lines(self.tag, range(start, min(start + self.lines, self.documents)))
                for start in range(0, self.documents, self.lines)
            ]
        head = (
            f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{self.port}\r\n"
            f"Authorization: Bearer {self.key}\r\nContent-Type: {kind}\r\nContent-Length: "
        )
        return [f"{head}{len(body)}\r\n\r\n".encode() + body for body in bodies]


class Unexpected(Exception):
    """A request was answered with anything but 202."""


class _Connection(asyncio.Protocol):
    """Sends requests from a common stock until there is none left."""

    def __init__(self, stock: Iterator[bytes], done: asyncio.Future[None]) -> None:
        self._stock = stock
        self._done = done
        self._answer = b""
        self._transport: asyncio.WriteTransport | None = None

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the way out."""
        assert isinstance(transport, asyncio.WriteTransport)  # noqa: S101 - narrows the type
        self._transport = transport

    def start(self) -> None:
        """Send the next request, or end."""
        request = next(self._stock, None)
        if self._transport is not None and request is not None:
            self._transport.write(request)
        elif not self._done.done():
            self._done.set_result(None)

    @override
    def data_received(self, data: bytes) -> None:
        """Take a piece of an answer; go on when it is whole."""
        self._answer += data
        head, found, rest = self._answer.partition(b"\r\n\r\n")
        if not found:
            return
        stated = _LENGTH.search(head + b"\r\n")
        if stated is None or len(rest) < int(stated[1]):
            return
        if not head.startswith(_ACCEPTED):
            self._fail(f"{head[:40]!r} {rest[:400]!r}")
            return
        self._answer = b""
        self.start()

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        """End with an error when there was more to come."""
        self._fail(f"the server closed the connection: {exc}")

    def _fail(self, why: str) -> None:
        if not self._done.done():
            self._done.set_exception(Unexpected(why))


async def post(job: Job) -> float:
    """Post every document of a job; return the seconds from the first byte to the last."""
    requests = job.requests()
    stock = iter(requests)
    loop = asyncio.get_running_loop()
    ends: list[asyncio.Future[None]] = []
    connections: list[_Connection] = []
    for _ in range(min(job.connections, len(requests))):
        end: asyncio.Future[None] = loop.create_future()
        _, connection = await loop.create_connection(
            lambda end=end: _Connection(stock, end),  # type: ignore[misc] # a default argument
            "127.0.0.1",
            job.port,
        )
        ends.append(end)
        connections.append(connection)
    started = time.perf_counter()
    for connection in connections:
        connection.start()
    await asyncio.gather(*ends)
    return time.perf_counter() - started


def main(arguments: Sequence[str] | None = None) -> None:
    """Do one job and print how long it took."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--key", required=True)
    parser.add_argument("--tag", required=True)
    parser.add_argument("--documents", type=int, required=True)
    parser.add_argument("--lines", type=int, default=1)
    parser.add_argument("--connections", type=int, default=64)
    seconds = asyncio.run(post(Job(**vars(parser.parse_args(arguments)))))
    sys.stdout.write(json.dumps({"seconds": seconds}) + "\n")


if __name__ == "__main__":
    main()
