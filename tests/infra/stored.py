"""Databases as former versions left them, to be opened by this one."""

from __future__ import annotations

import asyncio
import gzip
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tests.infra.postgres import PostgresServer

STORED = Path(__file__).parents[1] / "fixtures" / "stored"
VERSIONS = sorted(path.name[7:11] for path in STORED.glob("sqlite-*.db.gz"))


def known_of(kind: str, version: str) -> dict[str, Any]:
    """Return what stands in it: secret, key, responses, tasks."""
    found: dict[str, Any] = json.loads((STORED / f"{kind}-{version}.json").read_text())
    return found


def unpack_sqlite(version: str, path: Path) -> None:
    """Lay the file of that version there."""
    path.write_bytes(gzip.decompress((STORED / f"sqlite-{version}.db.gz").read_bytes()))


def load_postgres(version: str, server: PostgresServer, database: str) -> None:
    """Run the dump of that version in an empty database."""
    import asyncpg

    dump = gzip.decompress((STORED / f"postgres-{version}.sql.gz").read_bytes()).decode()

    async def load() -> None:
        connection = await asyncpg.connect(
            host=server.host,
            port=server.port,
            user=server.user,
            password=server.password,
            database=database,
            timeout=10,
        )
        try:
            await connection.execute(dump)
        finally:
            await connection.close()

    with ThreadPoolExecutor(1) as pool:
        pool.submit(lambda: asyncio.run(load())).result()
