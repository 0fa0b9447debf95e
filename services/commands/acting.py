"""Whom the audit trail names for what is done on the command line."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shared.errors import NotFound
from shared.identity import people
from shared.identity.audit import SYSTEM
from shared.identity.principal import Principal

if TYPE_CHECKING:
    from shared.db.transaction import Database


async def acting(database: Database, email: str | None) -> Principal:
    """Return a member of staff, or the installation itself where nobody was named."""
    if email is None:
        return SYSTEM
    async with database.reading() as view:
        staff = await people.find_staff(view, email)
    if staff is None or not staff.active:
        message = f"There is no member of staff {email}. See: closed-loop user list"
        raise NotFound(message)
    return Principal(kind="staff", id=staff.id, name=staff.name, scopes=frozenset())
