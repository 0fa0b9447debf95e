"""How Alembic reaches the database: by the connection that the program hands over.

``closed-loop migrate`` passes an open connection; a bare ``alembic`` command (used to write the
next migration) opens the address of the settings.
"""

from __future__ import annotations

from typing import Literal

from alembic import context
from sqlalchemy import Connection, create_engine

import services.ingest.tables
import services.loop.tables
import services.notify.tables
import shared.identity.tables  # noqa: F401 - importing declares the tables
from shared.db.base import metadata
from shared.settings import Settings


def render(kind: str, item: object, autogen_context: object) -> str | Literal[False]:
    """Write our column types by name, so that a migration reads as the tables do."""
    del autogen_context
    if kind == "type" and type(item).__module__ == "shared.db.base":
        return f"{type(item).__name__}()"
    return False


def run(connection: Connection) -> None:
    """Apply the migrations over an open connection."""
    context.configure(
        connection=connection,
        target_metadata=metadata,
        render_as_batch=connection.dialect.name == "sqlite",
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
    engine = create_engine(
        address.replace("+aiosqlite", "")
    )
    with engine.connect() as opened:
        run(opened)
        opened.commit()
