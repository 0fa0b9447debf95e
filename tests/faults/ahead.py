"""``closed-loop serve`` whose clock runs ahead: what is due in hours is due now.

``python -m tests.faults.ahead`` reads ``CLOSED_LOOP_TEST_AHEAD``, in hours. Only the clock that
people's times are read from is moved; leases go by the database's own.
"""

from __future__ import annotations

import asyncio
import os
from datetime import datetime, timedelta

from typing_extensions import override

from services.commands.serving import end_process, serve
from services.composition import compose
from shared.clock import SystemClock
from shared.logs import set_up
from shared.settings import Settings

VARIABLE = "CLOSED_LOOP_TEST_AHEAD"


class Ahead(SystemClock):
    """The machine's clock, so many hours later."""

    def __init__(self, by: timedelta) -> None:
        self._by = by

    @override
    def now(self) -> datetime:
        """Return a moment of the future."""
        return super().now() + self._by


async def main() -> None:
    """Serve every role until a signal."""
    settings = Settings.load()
    set_up(form=settings.log_format, level=settings.log_level)
    ahead = Ahead(timedelta(hours=float(os.environ.get(VARIABLE, "0"))))
    async with compose(settings, clock=ahead) as system:
        await serve(system)


if __name__ == "__main__":
    asyncio.run(main())
    end_process(0)
