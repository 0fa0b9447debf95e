"""One server to be measured, as a child process: our application, or the baseline's.

Both get the web server's configuration of ``closed-loop serve`` and a free port of their own,
which is the one line on standard output.
"""

from __future__ import annotations

import argparse
import asyncio
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import uvicorn

from services.bench.baselines import no_op
from services.commands.serving import settle_down, uvicorn_config
from services.composition import compose
from shared.logs import set_up
from shared.settings import Settings

if TYPE_CHECKING:
    from fastapi import FastAPI


async def ours(*, working: bool) -> None:
    """Serve our application from the settings; ``working`` has the workers run beside it."""
    settings = Settings.load()
    set_up(form=settings.log_format, level=settings.log_level)
    async with compose(settings) as system:
        if working:
            system.supervisor.start()
        await _serve(system.app)
        if working:
            await system.supervisor.stop()


async def _serve(app: FastAPI) -> None:
    with socket.socket(proto=socket.IPPROTO_TCP) as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(2048)
        listening.setblocking(False)  # noqa: FBT003 - the socket's own signature
        sys.stdout.write(f"{listening.getsockname()[1]}\n")
        sys.stdout.flush()
        settle_down()
        await uvicorn.Server(uvicorn_config(app)).serve(sockets=[listening])


def main() -> None:
    """Serve until told to stop."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("side", choices=["ours", "baseline"])
    parser.add_argument("--database", type=Path, help="the baseline's SQLite file")
    parser.add_argument("--working", action="store_true")
    wanted = parser.parse_args()
    if wanted.side == "ours":
        asyncio.run(ours(working=wanted.working))
    else:
        asyncio.run(_serve(no_op(wanted.database)))


if __name__ == "__main__":
    main()
