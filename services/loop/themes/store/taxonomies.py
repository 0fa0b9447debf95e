"""The versions of the taxonomy in and out of the database."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Row, delete, select, update

from services.loop.themes.tables import taxonomies, taxonomy_drafts
from shared.db.transaction import Reading, Transaction


@dataclass(frozen=True, kw_only=True)
class TaxonomyRow:
    """One version of the taxonomy, as its JSON document."""

    version: int
    document: Mapping[str, Any]
    created_at: datetime
    created_by: str | None


@dataclass(frozen=True, kw_only=True)
class DraftRow:
    """The taxonomy that somebody works on, and the version that it began with."""

    version: int
    based_on: int
    document: Mapping[str, Any]
    changed_at: datetime
    changed_by: str


_DRAFT: Final = "taxonomy"


async def current_version(view: Reading) -> int | None:
    """Return the number of the taxonomy in use, or None before the first one."""
    version: int | None = await view.scalar(
        select(taxonomies.c.version).where(taxonomies.c.current.is_(True))
    )
    return version


async def hold_version(tx: Transaction) -> int | None:
    """Return the number of the taxonomy in use, which stays in use until ``tx`` ends."""
    held = select(taxonomies.c.version).where(taxonomies.c.current.is_(True))
    while await current_version(tx) is not None:
        # Whoever waited here for another version to come into use finds no row.
        version: int | None = await tx.scalar(held.with_for_update(read=True))
        if version is not None:
            return version
    return None


async def current_taxonomy(view: Reading) -> TaxonomyRow | None:
    """Return the taxonomy in use, or None before the first one."""
    row = await view.first(select(taxonomies).where(taxonomies.c.current.is_(True)))
    return None if row is None else _taxonomy(row)


async def taxonomy_of(view: Reading, version: int) -> TaxonomyRow | None:
    """Return one version, or None."""
    row = await view.first(select(taxonomies).where(taxonomies.c.version == version))
    return None if row is None else _taxonomy(row)


async def taxonomies_before(
    view: Reading, version: int | None, *, most: int
) -> Sequence[TaxonomyRow]:
    """Return versions, the latest first, beginning behind ``version``."""
    query = select(taxonomies).order_by(taxonomies.c.version.desc()).limit(most)
    if version is not None:
        query = query.where(taxonomies.c.version < version)
    return [_taxonomy(row) for row in await view.all(query)]


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


async def find_draft(view: Reading) -> DraftRow | None:
    """Return the draft, or None where nobody works on one."""
    row = await view.first(select(taxonomy_drafts).where(taxonomy_drafts.c.name == _DRAFT))
    if row is None:
        return None
    return DraftRow(
        version=row.version,
        based_on=row.based_on,
        document=row.document,
        changed_at=row.changed_at,
        changed_by=row.changed_by,
    )


async def save_draft(tx: Transaction, new: DraftRow) -> bool:
    """Write the draft; False when it was changed since the version before this one."""
    values: Mapping[str, Any] = {
        "version": new.version,
        "based_on": new.based_on,
        "document": dict(new.document),
        "changed_at": new.changed_at,
        "changed_by": new.changed_by,
    }
    if new.version == 1:
        made = await tx.execute(
            tx.insert(taxonomy_drafts)
            .values(name=_DRAFT, **values)
            .on_conflict_do_nothing(index_elements=["name"])
        )
    else:
        made = await tx.execute(
            update(taxonomy_drafts)
            .where(
                taxonomy_drafts.c.name == _DRAFT,
                taxonomy_drafts.c.version == new.version - 1,
            )
            .values(**values)
        )
    return made.rowcount == 1


async def drop_draft(tx: Transaction) -> None:
    """Forget the draft."""
    await tx.execute(delete(taxonomy_drafts).where(taxonomy_drafts.c.name == _DRAFT))


def _taxonomy(row: Row[Any]) -> TaxonomyRow:
    return TaxonomyRow(
        version=row.version,
        document=row.document,
        created_at=row.created_at,
        created_by=row.created_by,
    )
