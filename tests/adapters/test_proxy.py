"""The fault proxy does what its toxics are called, so that tests with it prove something."""

from __future__ import annotations

import socket
import socketserver
import threading
from collections.abc import Iterator

import pytest

from shared.clock import SystemClock
from tests.infra.processes import LOOPBACK, wait_until
from tests.infra.proxy import (
    Bandwidth,
    FaultProxy,
    HalfOpen,
    Hang,
    Latency,
    Limit,
    Reset,
    Slicer,
    SlowClose,
    Swallow,
    Toxic,
)

CLOCK = SystemClock()


class _Echo(socketserver.ThreadingTCPServer):
    """Sends back what it reads, and counts the ends that it was told."""

    daemon_threads = True
    block_on_close = False

    def __init__(self) -> None:
        super().__init__((LOOPBACK, 0), _Handler)
        self.ends = 0


class _Handler(socketserver.BaseRequestHandler):
    server: _Echo  # type: ignore[mutable-override] # socketserver hands us ours

    def handle(self) -> None:
        try:
            while data := self.request.recv(65536):
                self.request.sendall(data)
        except OSError:
            return
        self.server.ends += 1


@pytest.fixture
def echo() -> Iterator[_Echo]:
    with _Echo() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join(5)


@pytest.fixture
def proxy(echo: _Echo) -> Iterator[FaultProxy]:
    with FaultProxy(echo.server_address[1]) as running:
        yield running


@pytest.fixture
def line(proxy: FaultProxy) -> Iterator[socket.socket]:
    """A connection that works."""
    with socket.create_connection((LOOPBACK, proxy.port), timeout=5) as connection:
        assert _said(connection, b"hello") == b"hello"
        yield connection


def _said(line: socket.socket, text: bytes) -> bytes:
    line.sendall(text)
    found = b""
    while len(found) < len(text):
        part = line.recv(65536)
        if not part:
            break
        found += part
    return found


def _took(line: socket.socket, text: bytes) -> float:
    began = CLOCK.monotonic()
    assert _said(line, text) == text
    return CLOCK.monotonic() - began


def test_latency_is_of_one_direction(proxy: FaultProxy, line: socket.socket) -> None:
    proxy.up.use(Latency(0.2, jitter=0.05))
    assert _took(line, b"x") >= 0.15
    proxy.use()
    assert _took(line, b"x") < 0.15


def test_bandwidth_and_slices(proxy: FaultProxy, line: socket.socket) -> None:
    proxy.down.use(Bandwidth(50_000))
    assert _took(line, b"x" * 10_000) >= 0.2
    proxy.down.use(Slicer(1, pause=0.01))
    assert _took(line, b"0123456789") >= 0.08


def test_what_hangs_arrives_later(proxy: FaultProxy, line: socket.socket) -> None:
    proxy.down.use(Hang())
    line.sendall(b"late")
    line.settimeout(0.2)
    with pytest.raises(TimeoutError):
        line.recv(10)
    proxy.heal()
    line.settimeout(5)
    assert line.recv(10) == b"late"


def test_what_is_swallowed_is_gone_and_so_is_the_line(
    proxy: FaultProxy, line: socket.socket
) -> None:
    proxy.up.use(Swallow())
    line.sendall(b"gone")
    line.settimeout(0.2)
    with pytest.raises(TimeoutError):
        line.recv(10)
    proxy.heal()
    line.settimeout(5)
    with pytest.raises(ConnectionResetError):
        assert _said(line, b"more") == b""
        line.sendall(b"more")


def test_a_reset_is_no_end(proxy: FaultProxy, line: socket.socket) -> None:
    proxy.up.use(Reset())
    with pytest.raises(ConnectionResetError):
        _said(line, b"x")


def test_a_limit_ends_in_the_middle(proxy: FaultProxy, line: socket.socket) -> None:
    proxy.down.use(Limit(8))
    line.sendall(b"world")
    found = b""
    with pytest.raises(ConnectionResetError):
        while part := line.recv(10):
            found += part
    assert b"world".startswith(found)


@pytest.mark.parametrize("toxic", [SlowClose(1.0), HalfOpen()])
def test_ends_come_late_or_never(proxy: FaultProxy, echo: _Echo, toxic: Toxic) -> None:
    proxy.up.use(toxic)
    with socket.create_connection((LOOPBACK, proxy.port), timeout=5) as connection:
        assert _said(connection, b"x") == b"x"
    with pytest.raises(TimeoutError):
        wait_until(lambda: echo.ends == 1, what="the end", seconds=0.2)
    if isinstance(toxic, HalfOpen):
        with pytest.raises(TimeoutError):
            wait_until(lambda: echo.ends == 1, what="the end", seconds=0.4)
        proxy.heal()
    wait_until(lambda: echo.ends == 1, what="the end", seconds=5)


def test_down_refuses_and_comes_back_on_the_same_port(
    proxy: FaultProxy, line: socket.socket
) -> None:
    port = proxy.port
    proxy.cut()
    with pytest.raises(ConnectionResetError):
        assert _said(line, b"x") == b""
        line.sendall(b"x")
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((LOOPBACK, port), timeout=1)
    proxy.heal()
    with socket.create_connection((LOOPBACK, port), timeout=5) as again:
        assert _said(again, b"x") == b"x"
