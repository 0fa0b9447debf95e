"""Serving until a signal: the web server and the workers, ended within a bounded time."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from typing import TYPE_CHECKING

import uvicorn

from shared.logs import get_logger
from shared.tasks import spawn

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from fastapi import FastAPI

    from shared.supervisor import Supervisor

log = get_logger(__name__)

_DRAIN = 10
_HARD_END = 25.0


class _Server(uvicorn.Server):
    """uvicorn without its own signal handling: one place here decides when to stop."""

    @contextlib.contextmanager
    def capture_signals(self):  # type: ignore[no-untyped-def]  # noqa: ANN201
        """Leave the signals to ``serve``."""
        yield


async def serve(
    app: FastAPI,
    supervisor: Supervisor,
    *,
    host: str,
    port: int,
    when_up: Callable[[], Awaitable[None]] | None = None,
) -> None:
    """Serve until SIGTERM or SIGINT; a second signal ends at once.

    ``when_up`` runs beside the server once it accepts connections. Nothing here is needed for
    correctness: whatever is cut off is taken up again at the next start.
    """
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        http="h11",
        h11_max_incomplete_event_size=16_384,
        limit_concurrency=1_000,
        timeout_keep_alive=15,
        timeout_graceful_shutdown=_DRAIN,
        server_header=False,
        access_log=False,
        log_config=None,
        lifespan="off",
    )
    server = _Server(config)
    stopping = asyncio.Event()

    def stop() -> None:
        if stopping.is_set():
            os._exit(130)
        stopping.set()
        server.should_exit = True
        # Whatever hangs, the process ends: a broker that is gone must not hold us.
        asyncio.get_running_loop().call_later(_HARD_END, os._exit, 0)

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)

    supervisor.start()
    serving = spawn(server.serve(), name="http")
    try:
        while not server.started and not serving.done():
            await asyncio.sleep(0.02)
        if server.started and when_up is not None:
            beside = spawn(when_up(), name="when-up")
            await asyncio.wait({beside, serving}, return_when=asyncio.FIRST_COMPLETED)
            if beside.done():
                beside.result()
            else:
                beside.cancel()
        await serving
    finally:
        stop_quietly(server)
        await supervisor.stop()


def stop_quietly(server: uvicorn.Server) -> None:
    """Tell the server to end, whether or not it ever began."""
    server.should_exit = True


def end_process(code: int) -> None:
    """Flush and leave without waiting for any library's threads."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
