"""An application behind a real port, in the test's own process."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Iterator
from typing import Any

import uvicorn
from fastapi import FastAPI

from shared.tasks import spawn
from tests.infra.processes import LOOPBACK


@contextlib.asynccontextmanager
async def served(
    app: FastAPI, port: int, tls: ssl.SSLContext | None = None
) -> AsyncIterator[None]:
    """Serve on this port until the block ends."""
    config = uvicorn.Config(app, host=LOOPBACK, port=port, log_config=None, lifespan="off")
    config.load()
    config.ssl = tls
    server = _Server(config)
    running = spawn(server.serve(), name="served")
    await server.listening.wait()
    try:
        yield
    finally:
        server.should_exit = True
        await running


class _Server(uvicorn.Server):
    """uvicorn without its signals, telling when it listens."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening = asyncio.Event()

    async def startup(self, *given: Any, **named: Any) -> None:
        await super().startup(*given, **named)
        self.listening.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield
