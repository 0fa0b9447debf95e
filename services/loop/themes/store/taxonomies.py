"""The versions of the taxonomy in and out of the database."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select, update

from services.loop.themes.tables import taxonomies
from shared.db.transaction import Reading, Transaction


@dataclass(frozen=True, kw_only=True)
class TaxonomyRow:
    """One version of the taxonomy, as its JSON document."""

    version: int
    document: Mapping[str, Any]
    created_at: datetime
    created_by: str | None


async def current_version(view: Reading) -> int | None:
    """Return the number of the taxonomy in use, or None before the first one."""
    version: int | None = await view.scalar(
        select(taxonomies.c.version).where(taxonomies.c.current.is_(True))
    )
    return version


async def current_taxonomy(view: Reading) -> TaxonomyRow | None:
    """Return the taxonomy in use, or None before the first one."""
    row = await view.first(select(taxonomies).where(taxonomies.c.current.is_(True)))
    if row is None:
        return None
    return TaxonomyRow(
        version=row.version,
        document=row.document,
        created_at=row.created_at,
        created_by=row.created_by,
    )


async def add_taxonomy(tx: Transaction, taxonomy: TaxonomyRow) -> bool:
    """Put a version into use instead of the one before; False when its number is taken."""
    added = await tx.execute(
        tx.insert(taxonomies)
        .values(
            version=taxonomy.version,
            document=taxonomy.document,
            created_at=taxonomy.created_at,
            created_by=taxonomy.created_by,
            current=True,
        )
        .on_conflict_do_nothing(index_elements=["version"])
    )
    if added.rowcount != 1:
        return False
    await tx.execute(
        update(taxonomies)
        .where(taxonomies.c.version < taxonomy.version, taxonomies.c.current.is_(True))
        .values(current=False)
    )
    return True
