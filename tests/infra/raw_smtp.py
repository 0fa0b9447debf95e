"""A mail server as bad as it is told to be: it breaks off, drips, hangs, and lies.

Beside it a good one that asks for encryption and a password, as real ones do.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword

from tests.infra.processes import LOOPBACK, free_port

Ending = Callable[[asyncio.StreamWriter], Awaitable[None]]


@dataclass
class RawServer:
    """Answers each command with what ``answers`` holds for its first four letters.

    An empty answer breaks the line; ``after_dot`` decides what follows the mail itself.
    """

    port: int = 0
    greeting: bytes = b"220 raw ESMTP\r\n"
    features: bytes = b"250 raw\r\n"
    answers: dict[bytes, bytes] = field(default_factory=dict)
    after_dot: Ending | None = None
    commands: list[bytes] = field(default_factory=list)
    received: list[bytes] = field(default_factory=list)
    has_quit: asyncio.Event = field(default_factory=asyncio.Event)
    open: dict[asyncio.StreamWriter, asyncio.Event] = field(default_factory=dict)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Talk to one client."""
        self.open[writer] = over = asyncio.Event()
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            await self._talk(reader, writer)
        writer.close()
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            await writer.wait_closed()
        over.set()

    async def end(self) -> None:
        """Break every line and wait until the last has gone."""
        for writer, over in self.open.items():
            writer.transport.abort()
            await over.wait()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(self.greeting)
        while line := await reader.readline():
            self.commands.append(line)
            verb = line[:4].upper()
            if verb in self.answers:
                if not self.answers[verb]:
                    return
                writer.write(self.answers[verb])
            elif verb == b"EHLO":
                writer.write(self.features)
            elif verb == b"DATA":
                if await self._take(reader, writer):
                    return
            elif verb == b"QUIT":
                self.has_quit.set()
                writer.write(b"221 bye\r\n")
                return
            else:
                writer.write(b"250 ok\r\n")

    async def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Take a mail; return whether the talk is over."""
        writer.write(b"354 go\r\n")
        self.received.append(await reader.readuntil(b"\r\n.\r\n"))
        if self.after_dot is None:
            writer.write(b"250 2.0.0 taken\r\n")
            return False
        await self.after_dot(writer)
        return True


@asynccontextmanager
async def raw(*, tls: ssl.SSLContext | None = None, **members: Any) -> AsyncIterator[RawServer]:
    """Lend a bad server; with ``tls`` it speaks that from the first byte."""
    server = RawServer(**members)
    listening = await asyncio.start_server(server.serve, LOOPBACK, 0, ssl=tls)
    server.port = listening.sockets[0].getsockname()[1]
    async with listening:
        yield server
        await server.end()


# ---------------------------------------------------------------- what follows the final dot


async def close(writer: asyncio.StreamWriter) -> None:
    """Hang up."""
    writer.close()


async def half_an_answer(writer: asyncio.StreamWriter) -> None:
    """Begin to answer, and hang up."""
    writer.write(b"250")
    await writer.drain()


async def reset(writer: asyncio.StreamWriter) -> None:
    """Break the line off."""
    writer.transport.abort()


async def hang(writer: asyncio.StreamWriter) -> None:
    """Say nothing for longer than anybody waits."""
    await asyncio.sleep(2)


async def drip(writer: asyncio.StreamWriter) -> None:
    """Answer so slowly that it never ends."""
    for _ in range(20):
        writer.write(b"250-2.0.0 still\r\n")
        await asyncio.sleep(0.1)


async def babble(writer: asyncio.StreamWriter) -> None:
    """Answer what no mail server says."""
    writer.write(b"HTTP/1.1 200 OK\r\n")
    await writer.drain()
    await asyncio.sleep(0.05)


def late(seconds: float) -> Ending:
    """Say yes, but take one's time."""

    async def answer(writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(seconds)
        writer.write(b"250 2.0.0 taken\r\n")
        await writer.drain()

    return answer


async def in_two_packets(writer: asyncio.StreamWriter) -> None:
    """Say yes in two pieces."""
    writer.write(b"25")
    await writer.drain()
    await asyncio.sleep(0.1)
    writer.write(b"0 2.0.0 taken\r\n")
    await writer.drain()


def saying(reply: bytes) -> Ending:
    """Answer the mail so, and hang up."""

    async def answer(writer: asyncio.StreamWriter) -> None:
        writer.write(reply)
        await writer.drain()

    return answer


# ---------------------------------------------------------------- a good one, behind a lock


@dataclass
class LockedServer:
    """A server that takes mail from whoever encrypts and knows the password."""

    port: int
    mails: list[bytes] = field(default_factory=list)

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802 - aiosmtpd's name
        """Take the mail."""
        self.mails.append(envelope.original_content)
        return "250 2.0.0 queued"


@contextmanager
def locked(
    tls: ssl.SSLContext, *, implicit: bool, user: str = "loop", password: str = "s3cret"
) -> Iterator[LockedServer]:
    """Lend a server that asks for encryption, by itself or by STARTTLS, and a password."""
    server = LockedServer(free_port())
    known = (user.encode(), password.encode())

    def authenticate(*given: Any) -> AuthResult:
        data = given[-1]
        is_known = isinstance(data, LoginPassword) and (data.login, data.password) == known
        return AuthResult(success=is_known, handled=False)

    controller = Controller(
        server,
        hostname=LOOPBACK,
        port=server.port,
        ssl_context=tls if implicit else None,
        tls_context=None if implicit else tls,
        require_starttls=not implicit,
        auth_required=True,
        auth_require_tls=not implicit,
        authenticator=authenticate,
    )
    with warnings.catch_warnings():
        # It takes an encrypted line for an open one where no STARTTLS came before.
        warnings.filterwarnings("ignore", message="Requiring AUTH while not requiring TLS")
        controller.start()
        try:
            yield server
        finally:
            controller.stop()
