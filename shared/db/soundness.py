"""Whether the database keeps what it says it has kept.

An answer 202 rests on the commit before it. A PostgreSQL that does not wait for its disk says
yes and forgets; that is found here, before anything is taken.
"""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Final

from sqlalchemy import text

from shared.db.engine import translated
from shared.errors import Misconfigured

if TYPE_CHECKING:
    from shared.db.engine import Engines

_MUST_NOT_BE_OFF: Final = {
    "fsync": "a power cut may destroy the whole database",
    "synchronous_commit": "a response that was answered with 202 may be gone after a crash",
    "full_page_writes": "a power cut in the middle of a page may destroy it for good",
}
_SAFE_SQLITE: Final = (3, 51, 3)


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


def sqlite_warning(version: tuple[int, ...] = sqlite3.sqlite_version_info) -> str | None:
    """Say what is risky about this SQLite when several processes open one file, if it is."""
    if version >= _SAFE_SQLITE:
        return None
    return (
        f"SQLite {'.'.join(map(str, version))} can damage a database that several processes"
        " checkpoint (repaired in 3.51.3). Closed Loop lets only the process that serves do"
        " it; keep other programs away from the file while it is served."
    )
