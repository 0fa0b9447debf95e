"""What every row is measured against: the least that anybody could do with the same bytes.

All of them stand here, so that they can be judged together. Each gets the payload that our side
gets, reads it with the same strict reader where ours reads it, and does nothing else.
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
from typing import TYPE_CHECKING, Any, Final

import asyncpg
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import JSONResponse

from shared.web.bodies import parse_json, read_body, read_json

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_BATCH_LIMIT: Final = 16_000_000
_SQLITE_TABLE: Final = """
CREATE TABLE raw (
    source TEXT, external_id TEXT, score INTEGER, comment TEXT, touchpoint TEXT,
    answered_at TEXT, customer TEXT, UNIQUE (source, external_id)
)"""
_SQLITE_INSERT: Final = "INSERT INTO raw VALUES ('bench', ?, ?, ?, ?, ?, ?)"
_POSTGRES_TABLE: Final = """
CREATE TABLE raw_events (
    event_id text PRIMARY KEY, response_id text, score integer, touchpoint text,
    person text, data jsonb
)"""
_POSTGRES_INSERT: Final = "INSERT INTO raw_events VALUES ($1, $2, $3, $4, $5, $6)"


def no_op(database: Path) -> FastAPI:
    """Return a bare FastAPI application: one route that does nothing, one that inserts.

    The first reads the body and answers; the second reads the lines and gives them to
    ``executemany``, one transaction a body, with the same durability as ours.
    """
    app = FastAPI(openapi_url=None, telemetry=_SILENT)
    connection = sqlite3.connect(database, isolation_level=None, check_same_thread=False)
    for pragma in ("journal_mode=WAL", "synchronous=FULL"):
        connection.execute(f"PRAGMA {pragma}")
    connection.execute(_SQLITE_TABLE)

    @app.post("/v1/responses", status_code=202)
    async def nothing(request: Request) -> JSONResponse:
        await read_json(request)
        return JSONResponse({"status": "accepted"}, status_code=202)

    def insert(body: bytes) -> int:
        rows = []
        for line in body.splitlines():
            one = parse_json(line)
            rows.append(
                (
                    one["external_id"],
                    one["score"],
                    one["comment"],
                    one["touchpoint"],
                    one["answered_at"],
                    json.dumps(one["customer"]),
                )
            )
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany(_SQLITE_INSERT, rows)
        connection.execute("COMMIT")
        return len(rows)

    @app.post("/v1/responses/batch", status_code=202)
    async def executemany(request: Request) -> JSONResponse:
        body = await read_body(request, limit=_BATCH_LIMIT)
        accepted = await asyncio.to_thread(insert, body)
        return JSONResponse({"accepted": accepted}, status_code=202)

    return app


_SILENT: Final[Any] = {
    # As in our own application: neither side pays for telemetry.
    "tracing": False,
    "metrics": False,
    "logs": False,
    "operation_spans": False,
    "auto_configure": False,
}


class Inserter:
    """asyncpg as its manual shows it: one prepared statement, one insert a row."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._connection: Any = None

    async def start(self) -> None:
        """Connect."""
        self._connection = await asyncpg.connect(self._address)

    async def empty(self) -> None:
        """Make the table anew, so that every run finds it as the first one did."""
        for statement in ("DROP TABLE IF EXISTS raw_events", _POSTGRES_TABLE):
            await self._connection.execute(statement)

    async def insert(self, records: Sequence[bytes], *, together: int) -> None:
        """Insert events as they came from the bus, ``together`` of them to a transaction."""
        insert = await self._connection.prepare(_POSTGRES_INSERT)
        for start in range(0, len(records), together):
            async with self._connection.transaction():
                for record in records[start : start + together]:
                    event = parse_json(record)
                    fact = event["data"]
                    await insert.fetch(
                        event["id"],
                        fact["response_id"],
                        fact["score"],
                        fact["touchpoint"],
                        fact["person"],
                        json.dumps(fact),
                    )

    async def stop(self) -> None:
        """Disconnect."""
        await self._connection.close()


class Producer:
    """aiokafka's producer as its manual shows it, waiting for the same acknowledgement."""

    def __init__(self, servers: str) -> None:
        self._producer = AIOKafkaProducer(bootstrap_servers=servers, acks="all", linger_ms=5)

    async def start(self) -> None:
        """Connect."""
        await self._producer.start()

    async def send(
        self, topic: str, records: Sequence[tuple[bytes, bytes]], *, together: int
    ) -> None:
        """Send keys and values, ``together`` on their way at once; return when all are safe."""
        for start in range(0, len(records), together):
            on_their_way = [
                await self._producer.send(topic, value, key=key)
                for key, value in records[start : start + together]
            ]
            await asyncio.gather(*on_their_way)

    async def stop(self) -> None:
        """Disconnect."""
        await self._producer.stop()


async def forget_topics(servers: str, topics: Sequence[str]) -> None:
    """Delete topics that were made for measuring."""
    admin = AIOKafkaAdminClient(bootstrap_servers=servers)
    await admin.start()
    try:
        await admin.delete_topics(list(topics))
    finally:
        await admin.close()
