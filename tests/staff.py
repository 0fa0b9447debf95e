"""Members of staff for tests, and what was noted about them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import select

from shared.db.transaction import Database
from shared.identity import people
from shared.identity import tables as t
from shared.identity.principal import Role


async def staff(
    database: Database, now: datetime, email: str = "ann@example.test", **more: Any
) -> people.Staff:
    """Make a member of staff."""
    values: dict[str, Any] = {"name": "Ann Archer", "role": Role.AGENT, **more}
    async with database.transaction() as tx:
        return await people.create_staff(tx, email=email, now=now, **values)


async def audited(database: Database) -> list[str]:
    """Return the names of what was done, in order."""
    async with database.reading() as view:
        return [row.action for row in await view.all(select(t.audit).order_by(t.audit.c.n))]
