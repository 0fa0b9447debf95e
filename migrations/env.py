"""How Alembic reaches the database: by the connection that the program hands over.

``closed-loop migrate`` passes an open connection; a bare ``alembic`` command (used to write the
next migration) opens the address of the settings.
"""

from __future__ import annotations

from typing import Literal

from alembic import context
from sqlalchemy import JSON, BigInteger, Connection, create_engine

# Importing declares the tables.
import services.ingest.tables
import services.loop.journey.tables
import services.loop.responses.tables
import services.loop.tables
import services.loop.tasks.tables
import services.loop.themes.tables
import services.notify.tables  # noqa: F401 - imported to be known
import shared.identity.tables  # noqa: F401
from shared.db.base import UtcDateTime, metadata
from shared.settings import Settings


def render(kind: str, item: object, autogen_context: object) -> str | Literal[False]:
    """Write our column types by name, so that a migration reads as the tables do."""
    del autogen_context
    if kind == "type" and isinstance(item, JSON):
        return "Json"
    if kind == "type" and isinstance(item, BigInteger) and item._variant_mapping:  # noqa: SLF001 - as Alembic does
        return "Sequence"
    if kind == "type" and isinstance(item, UtcDateTime):
        return "UtcDateTime()"
    return False


def run(connection: Connection) -> None:
    """Apply the migrations over an open connection."""
    context.configure(
        connection=connection,
        target_metadata=metadata,
        render_item=render,
        compare_type=True,
        transaction_per_migration=False,
    )
    with context.begin_transaction():
        context.run_migrations()


given = context.config.attributes.get("connection")
if isinstance(given, Connection):
    run(given)
else:
    address = Settings.load().database_url
    engine = create_engine(address.replace("+aiosqlite", ""))
    with engine.connect() as opened:
        run(opened)
        opened.commit()
