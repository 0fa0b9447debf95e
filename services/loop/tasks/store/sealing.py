"""The sealed documents that tasks carry, exchanged for ones that say the same and more."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import bindparam, func, update

from services.loop.tasks.tables import tasks
from shared.db.transaction import Transaction


async def replace_documents(
    tx: Transaction, documents: Mapping[str, tuple[str | None, str | None]]
) -> None:
    """Exchange the former document for the new one, both by response.

    A task that carries another one, because it was revised or forgotten since, keeps it.
    """
    changed = {one: pair for one, pair in documents.items() if pair[0] != pair[1]}
    if changed:
        await tx.execute(
            update(tasks)
            .where(
                tasks.c.response_id == bindparam("the_response"),
                func.coalesce(tasks.c.sealed_person, "") == bindparam("former"),
            )
            .values(sealed_person=bindparam("fresh")),
            [
                {"the_response": one, "former": former or "", "fresh": fresh}
                for one, (former, fresh) in changed.items()
            ],
        )
