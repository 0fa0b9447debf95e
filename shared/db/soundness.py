"""Whether the database keeps what it says it has kept, and lives in the same time as we do.

An answer 202 rests on the commit before it. A PostgreSQL that does not wait for its disk says
yes and forgets; that is found here, before anything is taken.
"""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Final

from sqlalchemy import select, text

from shared.db.base import epoch_now
from shared.db.engine import translated
from shared.errors import Misconfigured

if TYPE_CHECKING:
    from shared.clock import Clock
    from shared.db.engine import Engines

_MUST_NOT_BE_OFF: Final = {
    "fsync": "a power cut may destroy the whole database",
    "synchronous_commit": "a response that was answered with 202 may be gone after a crash",
    "full_page_writes": "a power cut in the middle of a page may destroy it for good",
}
_SAFE_SQLITE: Final = (3, 51, 3)

CLOCKS_APART: Final = 2.0
"""From so many seconds on it is said that the database's clock and ours are apart."""
_TOO_FAR_APART: Final = 120.0


async def require_durable(engines: Engines) -> None:
    """Raise ``Misconfigured`` when the database may forget what it has acknowledged.

    SQLite is told by us, on every connection, to wait for its disk.
    """
    if engines.dialect != "postgresql":
        return
    async with translated(), engines.reader.connect() as connection:
        for name, danger in _MUST_NOT_BE_OFF.items():
            value = (await connection.execute(text(f"SHOW {name}"))).scalar_one()
            if value == "off":
                message = (
                    f"PostgreSQL runs with {name} = off: {danger}. Set {name} = on in"
                    " postgresql.conf (or take away what ALTER SYSTEM, ALTER DATABASE or ALTER"
                    " ROLE has set), then start again."
                )
                raise Misconfigured(message)


async def clocks_apart(engines: Engines, clock: Clock) -> float:
    """Return by how many seconds the database's clock is away from ours.

    Leases are measured by the one; deadlines and signatures by the other.
    """
    async with translated(), engines.reader.connect() as connection:
        before = clock.now().timestamp()
        theirs: float = (await connection.execute(select(epoch_now()))).scalar_one()
        return abs(theirs - (before + clock.now().timestamp()) / 2)


async def require_one_time(engines: Engines, clock: Clock) -> float:
    """Return how far apart the clocks are; raise ``Misconfigured`` when that is minutes."""
    apart = await clocks_apart(engines, clock)
    if apart > _TOO_FAR_APART:
        message = (
            f"The database's clock is {apart:.0f} s away from this machine's: deadlines would"
            " be wrong, and receivers refuse what is signed. Set both machines by NTP"
            " (timedatectl set-ntp true)."
        )
        raise Misconfigured(message)
    return apart


def sqlite_warning(version: tuple[int, ...] = sqlite3.sqlite_version_info) -> str | None:
    """Say what is risky about this SQLite when several processes open one file, if it is."""
    if version >= _SAFE_SQLITE:
        return None
    return (
        f"SQLite {'.'.join(map(str, version))} can damage a database that several processes"
        " checkpoint (repaired in 3.51.3). Closed Loop lets only the process that serves do"
        " it; keep other programs away from the file while it is served."
    )
