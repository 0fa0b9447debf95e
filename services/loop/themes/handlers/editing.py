"""The taxonomy in use, and putting another one in its place."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime

from services.loop.themes import store
from services.loop.themes.domain import Taxonomy, Theme, parse_taxonomy, starter_taxonomy
from services.loop.themes.domain.revising import with_theme
from services.loop.themes.store import TaxonomyRow
from shared.db.transaction import Reading, Transaction
from shared.errors import Stale
from shared.identity import audit


@dataclass(frozen=True, kw_only=True)
class CurrentTaxonomy:
    """The taxonomy in use and its number."""

    version: int
    taxonomy: Taxonomy


async def install_starter(tx: Transaction, *, now: datetime) -> None:
    """Put the shipped taxonomy into use where there is none yet."""
    if await store.current_version(tx) is None:
        first = TaxonomyRow(
            version=1,
            document=starter_taxonomy().as_document(),
            created_at=now,
            created_by=None,
        )
        await store.add_taxonomy(tx, first)


async def current_taxonomy(view: Reading) -> CurrentTaxonomy:
    """Return the taxonomy in use; version 0 and empty before the first one."""
    row = await store.current_taxonomy(view)
    if row is None:
        return CurrentTaxonomy(version=0, taxonomy=Taxonomy())
    return CurrentTaxonomy(version=row.version, taxonomy=parse_taxonomy(row.document))


async def change_taxonomy(
    tx: Transaction,
    taxonomy: Taxonomy,
    *,
    expected: int | None,
    by: str,
    now: datetime,
) -> CurrentTaxonomy:
    """Put a new version into use; what was found before keeps the version that found it.

    ``expected`` is the version the caller knows; None takes the risk of overwriting.
    """
    current = await store.current_version(tx) or 0
    if expected is not None and expected != current:
        raise _stale(current)
    changed = CurrentTaxonomy(version=current + 1, taxonomy=taxonomy)

    saved = await store.add_taxonomy(
        tx,
        TaxonomyRow(
            version=changed.version,
            document=taxonomy.as_document(),
            created_at=now,
            created_by=by,
        ),
    )
    if not saved:
        raise _stale(changed.version)
    return changed


async def add_theme(
    tx: Transaction, theme: Theme, *, by: str, now: datetime
) -> CurrentTaxonomy:
    """Put a version with one theme more into use; an id that is taken raises ``Invalid``.

    ``domain.revising.free_id`` makes an id that is not taken.
    """
    current = await current_taxonomy(tx)
    return await change_taxonomy(
        tx, with_theme(current.taxonomy, theme), expected=current.version, by=by, now=now
    )


async def unassign(tx: Transaction, departments: Collection[str], *, now: datetime) -> None:
    """Leave the themes of departments that are no more, by name, to nobody."""
    current = await current_taxonomy(tx)
    themes = tuple(
        replace(theme, department=None) if theme.department in departments else theme
        for theme in current.taxonomy.themes
    )
    if themes != current.taxonomy.themes:
        changed = replace(current.taxonomy, themes=themes)
        await change_taxonomy(
            tx, changed, expected=current.version, by=audit.SYSTEM.id, now=now
        )


def _stale(current: int) -> Stale:
    return Stale(
        "Somebody changed the taxonomy meanwhile. Read it again and repeat the change.",
        extra={"version": current},
    )
