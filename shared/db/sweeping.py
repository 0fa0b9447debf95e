"""Having the database let go of what was overwritten or deleted.

What is scrubbed is gone for whoever asks, while its old bytes still lie in the write-ahead log
of SQLite, or in the pages of PostgreSQL until they are swept. What is left after that, in
archived logs or snapshots of disks, is sealed under keys that are destroyed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import text

from shared.db.base import metadata
from shared.db.engine import translated
from shared.errors import TryLater
from shared.logs import get_logger

if TYPE_CHECKING:
    from shared.db.engine import Engines

_log = get_logger(__name__)

_SEALED: Final = "sealed_"
_KEYS: Final = "shared_person_keys"
_EMPTY_LOG: Final = (
    # Milliseconds for which readers are waited for; nobody can write meanwhile.
    "PRAGMA busy_timeout=200",
    "PRAGMA wal_checkpoint(TRUNCATE)",
    "PRAGMA busy_timeout=5000",
)


async def sweep(engines: Engines) -> bool:
    """Let go of old bytes as far as the database allows now; False to try again later.

    SQLite empties its log into the file, where deleted bytes are overwritten. PostgreSQL does
    it table by table, and passes over those of other owners: its own upkeep comes to them.
    """
    if engines.dialect == "sqlite":
        return await _empty_log(engines)
    for table in metadata.sorted_tables:
        if table.name == _KEYS or any(c.name.startswith(_SEALED) for c in table.columns):
            try:
                await _vacuum(engines, table.name)
            except TryLater as error:
                _log.warning("database.not_swept", table=table.name, reason=error.detail)
    return True


async def _empty_log(engines: Engines) -> bool:
    """Checkpoint on the one connection that may; a transaction must not be open on it."""
    async with translated(), engines.writer.connect() as connection:
        driver: Any = (await connection.get_raw_connection()).driver_connection
        is_busy = True
        for pragma in _EMPTY_LOG:
            async with driver.execute(pragma) as cursor:
                row = await cursor.fetchone()
            if "checkpoint" in pragma:
                is_busy = bool(row[0])
    return not is_busy


async def _vacuum(engines: Engines, table: str) -> None:
    async with translated(), engines.writer.connect() as connection:
        alone = await connection.execution_options(isolation_level="AUTOCOMMIT")
        await alone.execute(text(f'VACUUM "{table}"'))
