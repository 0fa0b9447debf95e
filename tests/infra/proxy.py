"""A bad network on loopback: a TCP proxy that delays, drips, loses and cuts, as it is told.

It runs in a thread of its own. Faults ("toxics") are set for each direction while connections
are open, and hold for the next bytes at once: ``proxy.up.use(Latency(0.2))`` is what goes from
the client to the server, ``proxy.down`` what comes back, ``proxy.use(…)`` both.
"""

from __future__ import annotations

import asyncio
import random
import socket
import struct
import threading
from collections.abc import Coroutine
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Self

from tests.infra.processes import LOOPBACK

_CHUNK = 64 * 1024


@dataclass(frozen=True)
class Latency:
    """Every piece arrives so many seconds later, give or take the jitter."""

    seconds: float
    jitter: float = 0.0


@dataclass(frozen=True)
class Bandwidth:
    """No more than so many bytes a second."""

    bytes_per_second: float


@dataclass(frozen=True)
class Slicer:
    """Bytes arrive in slices of this size, with a pause between them."""

    size: int = 1
    pause: float = 0.0


@dataclass(frozen=True)
class Swallow:
    """Bytes vanish without a word, as behind a firewall that forgot the connection.

    A connection that lost bytes is reset as soon as bytes would pass again.
    """


@dataclass(frozen=True)
class Hang:
    """Nothing moves, nothing is lost: it goes on when this is taken away."""


@dataclass(frozen=True)
class Reset:
    """The next bytes reset the connection (``SO_LINGER`` 0)."""


@dataclass(frozen=True)
class Limit:
    """The connection ends after so many bytes of this direction."""

    after_bytes: int


@dataclass(frozen=True)
class SlowClose:
    """The end of a connection is passed on so many seconds late."""

    seconds: float


@dataclass(frozen=True)
class HalfOpen:
    """The end of a connection is never passed on: the other side believes that it stands."""


Toxic = Latency | Bandwidth | Slicer | Swallow | Hang | Reset | Limit | SlowClose | HalfOpen


class Direction:
    """What is wrong with one direction at this moment."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.toxics: tuple[Toxic, ...] = ()
        self._loop = loop
        self._changed = asyncio.Event()

    def use(self, *toxics: Toxic) -> None:
        """Replace what is wrong; nothing given is a healthy line."""
        self.toxics = toxics
        self._loop.call_soon_threadsafe(self._wake)

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    def has(self, *kinds: type[Toxic]) -> bool:
        """Tell whether one of these is in force."""
        return any(isinstance(toxic, kinds) for toxic in self.toxics)

    async def without(self, *kinds: type[Toxic]) -> None:
        """Return as soon as none of these is in force."""
        while self.has(*kinds):
            await self._changed.wait()


class FaultProxy:
    """Listens on a port of its own and passes on to ``target``, which may be set later."""

    def __init__(self, target: int = 0, *, host: str = LOOPBACK) -> None:
        self.target = target
        self.host = host
        self.port = 0
        self.connections = 0
        self._loop = asyncio.new_event_loop()
        self.up = Direction(self._loop)
        self.down = Direction(self._loop)
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[Any]] = set()

    @property
    def address(self) -> str:
        """Return ``host:port`` to connect to."""
        return f"{self.host}:{self.port}"

    def use(self, *toxics: Toxic) -> None:
        """Replace what is wrong in both directions."""
        self.up.use(*toxics)
        self.down.use(*toxics)

    def heal(self) -> None:
        """Take every toxic away and listen again."""
        self.use()
        self._do(self._listen())

    def start(self) -> None:
        """Listen; the port is known afterwards."""
        self._thread.start()
        self._do(self._listen())

    def cut(self) -> None:
        """Be down: refuse connections and reset those that stand."""
        self._do(self._refuse())
        self.reset()

    def reset(self) -> None:
        """Reset the connections that stand; new ones are taken."""
        self._do(self._reset_all())

    def stop(self) -> None:
        """End every connection and the thread."""
        if not self._thread.is_alive():
            return
        self.cut()
        self._do(self._end_tasks())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _do(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    async def _listen(self) -> None:
        if self._server is None:
            self._server = await asyncio.start_server(self._accept, self.host, self.port)
            self.port = self._server.sockets[0].getsockname()[1]

    async def _refuse(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None

    async def _reset_all(self) -> None:
        for writer in list(self._open):
            _reset(writer)

    async def _end_tasks(self) -> None:
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.connections += 1
        self._open.add(writer)
        try:
            there, back = await asyncio.open_connection(self.host, self.target)
        except OSError:
            _reset(writer)
        else:
            self._open.add(back)
            with suppress(OSError):
                await asyncio.gather(
                    _Pump(self.up, reader, back, writer).run(),
                    _Pump(self.down, there, writer, back).run(),
                )
            self._open.discard(back)
            back.close()
        finally:
            self._open.discard(writer)
            writer.close()
            self._tasks.discard(task)


class _Pump:
    """One direction of one connection."""

    def __init__(
        self,
        direction: Direction,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        returning: asyncio.StreamWriter,
    ) -> None:
        self._direction = direction
        self._reader = reader
        self._writer = writer
        self._returning = returning
        self._passed = 0
        self._lost = False

    async def run(self) -> None:
        """Pass on until the end, which is passed on too."""
        while data := await self._read():
            if not await self._pass(data):
                _reset(self._writer)
                _reset(self._returning)
                return
        for toxic in self._direction.toxics:
            if isinstance(toxic, SlowClose):
                await asyncio.sleep(toxic.seconds)
        await self._direction.without(HalfOpen, Hang, Swallow)
        with suppress(OSError):
            self._writer.write_eof()

    async def _read(self) -> bytes:
        try:
            return await self._reader.read(_CHUNK)
        except OSError:
            _reset(self._writer)
            return b""

    async def _pass(self, data: bytes) -> bool:
        """Pass a piece on as the toxics of this moment want it; False ends the connection."""
        await self._direction.without(Hang)
        if self._direction.has(Swallow):
            self._lost = True
            return True
        if self._lost or self._direction.has(Reset):
            return False
        whole = len(data)
        size, pause = whole, 0.0
        for toxic in self._direction.toxics:
            if isinstance(toxic, Latency):
                spread = random.uniform(-toxic.jitter, toxic.jitter)
                await asyncio.sleep(max(0.0, toxic.seconds + spread))
            elif isinstance(toxic, Bandwidth):
                await asyncio.sleep(whole / toxic.bytes_per_second)
            elif isinstance(toxic, Slicer):
                size, pause = toxic.size, toxic.pause
            elif isinstance(toxic, Limit):
                data = data[: max(0, toxic.after_bytes - self._passed)]
        await self._write(data, size, pause)
        return len(data) == whole

    async def _write(self, data: bytes, size: int, pause: float) -> None:
        for start in range(0, len(data), size):
            part = data[start : start + size]
            self._writer.write(part)
            await self._writer.drain()
            self._passed += len(part)
            if pause:
                await asyncio.sleep(pause)


def _reset(writer: asyncio.StreamWriter) -> None:
    """Close so that the other side reads "connection reset" and not an end."""
    found = writer.get_extra_info("socket")
    if found is not None:
        with suppress(OSError):
            found.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
