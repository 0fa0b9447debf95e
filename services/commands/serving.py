"""Serving until a signal: the web server and the workers, ended within a bounded time."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import signal
import socket
import sys
import threading
from typing import TYPE_CHECKING, Any

import uvicorn
from typing_extensions import override

from services.commands.protocol import HEADER_BYTES, Protocol
from services.commands.starting import require_fit, require_sound, warnings
from services.composition import ROLES, System, compose
from shared.clock import SystemClock
from shared.errors import Misconfigured
from shared.faults import fault_point
from shared.logs import get_logger, set_up
from shared.settings import Settings
from shared.tasks import spawn

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator, Sequence

    from fastapi import FastAPI


log = get_logger(__name__)

_DRAIN = 10
_HARD_END = 24.0
"""So many seconds after the signal nothing is waited for any more; the promise is 25."""


class _Server(uvicorn.Server):
    """uvicorn without its own signal handling: one place here decides when to stop."""

    @override
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals to ``serve``."""
        yield


async def serve_role(role: str, *, host: str | None, port: int | None) -> int:
    """Serve one role or all of them, from the settings, until a signal."""
    given = {name: value for name, value in (("host", host), ("port", port)) if value}
    settings = Settings.load(**given)
    set_up(form=settings.log_format, level=settings.log_level)
    roles = [known for known in ROLES if role in (known, "all")]
    if not roles:
        message = f"There is no role {role!r}; --role takes all, {', '.join(ROLES)}."
        raise Misconfigured(message)
    require_fit(settings, SystemClock())
    for unwise in warnings(settings):
        log.warning("start.unwise", about=unwise)
    async with compose(settings, roles=roles) as system:
        await require_sound(system.engines, system.bus, system.clock)
        await serve(system)
    return 0


async def serve(
    system: System, *, when_up: Callable[[], Coroutine[Any, Any, None]] | None = None
) -> None:
    """Serve until SIGTERM or SIGINT; a second signal ends at once.

    ``when_up`` runs beside the server once it accepts connections. Nothing here is needed for
    correctness: whatever is cut off is taken up again at the next start.
    """
    listening = _listen(system.settings)
    trusted = [str(network) for network in system.settings.trusted_proxies]
    server = _Server(uvicorn_config(system.app, trusted=trusted))
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()

    def stop() -> None:
        if stopping.is_set():
            os._exit(130)
        stopping.set()
        server.should_exit = True
        # Whatever hangs, the process ends: neither a broker that is gone nor a loop that is
        # blocked nor a library's thread at exit may hold us. So it takes a thread of its own.
        watchdog = threading.Timer(_HARD_END, os._exit, args=(0,))
        watchdog.daemon = True
        watchdog.start()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    settle_down()
    system.supervisor.start()
    serving = spawn(server.serve(sockets=[listening]), name="http")
    try:
        if when_up is not None:
            beside = spawn(when_up(), name="when-up")
            await asyncio.wait({beside, serving}, return_when=asyncio.FIRST_COMPLETED)
            if beside.done():
                beside.result()
            else:
                beside.cancel()
        await serving
    finally:
        server.should_exit = True
        fault_point("serving.stopping")
        await system.supervisor.stop()
        log.info("serving.stopped")


def settle_down() -> None:
    """Have the collector of garbage pass over what is loaded by now and will stay for good."""
    gc.collect()
    gc.freeze()


def uvicorn_config(app: FastAPI, *, trusted: Sequence[str] = ()) -> uvicorn.Config:
    """Return how an application is served; whatever is measured against us is served alike.

    ``trusted`` are the networks of proxies that are believed about whom they speak for.
    """
    return uvicorn.Config(
        app,
        http=Protocol,
        h11_max_incomplete_event_size=HEADER_BYTES,
        proxy_headers=bool(trusted),
        forwarded_allow_ips=[*trusted],
        timeout_keep_alive=15,
        timeout_graceful_shutdown=_DRAIN,
        server_header=False,
        access_log=False,
        log_config=None,
        lifespan="off",
        ws="none",
    )


def _listen(settings: Settings) -> socket.socket:
    """Bind the port before anything else, so that a taken one is a sentence, not a trace."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    # With the protocol named, asyncio sends small answers at once (TCP_NODELAY).
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((settings.host, settings.port))
    except OSError:
        listening.close()
        message = (
            f"Port {settings.port} on {settings.host} cannot be used: something else listens"
            " there, or the address is not ours. Set CLOSED_LOOP_PORT to a free port."
        )
        raise Misconfigured(message) from None
    listening.listen(2048)
    listening.settimeout(0)
    return listening


def end_process(code: int) -> None:
    """Flush and leave without waiting for any library's threads."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
