"""Speaking HTTP byte by byte, as no library would, and reading what comes back."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from shared.tasks import spawn

LIMIT = 40.0
"""Seconds after which a connection that is still open counts as hanging."""


@dataclass(frozen=True)
class Reply:
    """What came back before the connection ended or the answer was whole."""

    status: int
    """0: the connection ended without an answer."""
    headers: dict[str, str]
    body: bytes
    seconds: float
    closed: bool

    def problem(self) -> dict[str, Any]:
        """Return the problem document that it must be."""
        assert self.headers["content-type"].split(";")[0] == "application/problem+json"
        document: dict[str, Any] = json.loads(self.body)
        for member in ("type", "title", "status", "detail", "instance", "request_id"):
            assert document[member] not in ("", None), member
        assert document["status"] == self.status
        assert document["request_id"] == self.headers["x-request-id"]
        return document


async def speak(
    port: int,
    parts: Sequence[bytes | float],
    *,
    source: str = "127.0.0.1",
    whole: bool = True,
) -> Reply:
    """Send these bytes, waiting where a number stands; return the first answer.

    With ``whole`` reading ends with the answer; otherwise when the other side closes. The
    caller's own address is ``source``.
    """
    clock = asyncio.get_running_loop()
    began = clock.time()
    reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=(source, 0))

    async def send() -> None:
        with contextlib.suppress(ConnectionError):
            for part in parts:
                if isinstance(part, bytes):
                    writer.write(part)
                    await writer.drain()
                else:
                    await asyncio.sleep(part)

    sending = spawn(send(), name="sending")
    received, closed = b"", False
    try:
        async with asyncio.timeout(LIMIT):
            while not (whole and _is_whole(received)):
                try:
                    more = await reader.read(65_536)
                except ConnectionError:
                    more = b""
                if not more:
                    closed = True
                    break
                received += more
    finally:
        sending.cancel()
        writer.close()
    return _read(received, clock.time() - began, closed=closed)


def _is_whole(received: bytes) -> bool:
    head, found, body = received.partition(b"\r\n\r\n")
    if not found:
        return False
    headers = _headers(head)
    if head.split(b" ")[1:2] == [b"100"]:
        return _is_whole(body)
    if "content-length" in headers:
        return len(body) >= int(headers["content-length"])
    return body.endswith(b"0\r\n\r\n") if "transfer-encoding" in headers else False


def _read(received: bytes, seconds: float, *, closed: bool) -> Reply:
    head, _, body = received.partition(b"\r\n\r\n")
    if head.split(b" ")[1:2] == [b"100"]:
        return _read(body, seconds, closed=closed)
    words = head.split(b" ")
    headers = _headers(head)
    length = int(headers.get("content-length", len(body)))
    status = int(words[1]) if head.startswith(b"HTTP/1.") else 0
    return Reply(status, headers, body[:length], seconds, closed)


def _headers(head: bytes) -> dict[str, str]:
    lines = head.decode("latin-1").split("\r\n")[1:]
    return {name.lower(): value.strip() for name, _, value in (x.partition(":") for x in lines)}
