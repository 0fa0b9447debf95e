"""Forgetting a person, and the register of every column that holds something personal.

What a customer said and who they are is sealed under a key of their own; destroying that key
forgets all of it at once, in tables, backups and events alike. What cannot be sealed because it
is searched or addressed is named here as ``scrub``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from sqlalchemy import delete, or_, select, update

from shared.identity.tables import person_keys

if TYPE_CHECKING:
    from datetime import datetime

    from shared.db.transaction import Transaction


FORGOTTEN: Final = "erased"
"""Stands where a sealed document stood that was scrubbed; there is nothing in it to open."""


@dataclass(frozen=True, kw_only=True)
class PersonalColumn:
    """One column with something personal in it, and how it is forgotten.

    ``sealed`` dies with the person's key; ``scrub`` is emptied or replaced row by row.
    """

    table: str
    column: str
    how: Literal["sealed", "scrub"]


REGISTER: list[PersonalColumn] = [
    PersonalColumn(table="shared_staff", column="email", how="scrub"),
    PersonalColumn(table="shared_staff", column="name", how="scrub"),
    PersonalColumn(table="shared_teams", column="email", how="scrub"),
    PersonalColumn(table="shared_second_factors", column="sealed_secret", how="scrub"),
    PersonalColumn(table="shared_person_keys", column="wrapped_key", how="scrub"),
    PersonalColumn(table="shared_person_requests", column="sealed_subject", how="scrub"),
    PersonalColumn(table="shared_person_request_parts", column="sealed_part", how="sealed"),
]
"""The personal columns of the shared tables; each service declares its own as ``PERSONAL``."""


async def erase_person(tx: Transaction, ref: str, now: datetime) -> bool:
    """Destroy the key of a person; return whether there was one to destroy.

    The row stays, without its key, so that no later message makes a new key for them. A person
    never heard of gets such a row too. What was sealed before anybody knew whose it is goes
    with them.
    """
    await tx.execute(
        tx.insert(person_keys)
        .values(ref=ref, wrapped_key=None, created_at=now, erased_at=now)
        .on_conflict_do_nothing()
    )
    had_one = await tx.scalar(
        select(person_keys.c.ref).where(
            person_keys.c.ref == ref, person_keys.c.wrapped_key.is_not(None)
        )
    )
    # The person first: whoever says at this moment that something is theirs is waited for.
    for column in (person_keys.c.ref, person_keys.c.belongs_to):
        await tx.execute(
            update(person_keys)
            .where(column == ref, person_keys.c.wrapped_key.is_not(None))
            .values(wrapped_key=None, erased_at=now)
        )
    return had_one is not None


async def let_return(tx: Transaction, ref: str) -> None:
    """Treat somebody who was forgotten as somebody new should they ever answer again.

    For those whose time was over: they asked for nothing. Whoever asked to be forgotten stays
    without a key.
    """
    await tx.execute(
        delete(person_keys).where(
            or_(person_keys.c.ref == ref, person_keys.c.belongs_to == ref),
            person_keys.c.wrapped_key.is_(None),
        )
    )
