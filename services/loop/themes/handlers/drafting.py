"""Working on the taxonomy: a draft first, published as a version, put back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from services.loop.themes.domain import Taxonomy, parse_taxonomy
from services.loop.themes.domain.differing import Change, carried_over, differences, in_both
from services.loop.themes.handlers.editing import (
    CurrentTaxonomy,
    change_taxonomy,
    current_taxonomy,
)
from services.loop.themes.store import taxonomies as store
from services.loop.themes.store.taxonomies import DraftRow
from shared.db.transaction import Reading, Transaction
from shared.errors import Conflict, NotFound, Stale
from shared.identity import audit
from shared.identity.principal import Principal

Edit = Callable[[Taxonomy], Taxonomy]
_MOST_RECORDED = 50
"""Changes that the audit trail names one by one; the version itself has them all."""


@dataclass(frozen=True, kw_only=True)
class Draft:
    """The taxonomy that somebody works on; nothing is found by it yet."""

    version: int
    based_on: int
    taxonomy: Taxonomy
    changed_at: datetime
    changed_by: str


@dataclass(frozen=True, kw_only=True)
class Version:
    """One version of the taxonomy, and what it changed of the one before."""

    version: int
    taxonomy: Taxonomy
    changes: Sequence[Change]
    created_at: datetime
    created_by: str | None


@dataclass(frozen=True, kw_only=True)
class Divergence:
    """What a draft changed, what was published since it was begun, and where both did."""

    ours: Sequence[Change]
    theirs: Sequence[Change]
    in_both: Sequence[str]
    """The ids of the themes that were changed in both, each in its own way."""


async def drafted_taxonomy(view: Reading) -> Draft | None:
    """Return the draft, or None where nobody works on one."""
    row = await store.find_draft(view)
    return None if row is None else _draft(row)


async def edited_taxonomy(view: Reading) -> Taxonomy:
    """Return what an editor shows: the draft where there is one, else what is in use."""
    draft = await drafted_taxonomy(view)
    return draft.taxonomy if draft else (await current_taxonomy(view)).taxonomy


async def change_draft(
    tx: Transaction, edit: Edit, *, expected: int | None, by: Principal, now: datetime
) -> Draft:
    """Change the draft, which begins as the taxonomy in use.

    ``expected`` is the version of the draft, 0 where there was none.
    """
    row = await store.find_draft(tx)
    version = row.version if row else 0
    if expected is not None and expected != version:
        raise _stale(version)
    current = await current_taxonomy(tx)
    before = parse_taxonomy(row.document) if row else current.taxonomy
    return await _save(
        tx, edit(before), version + 1, row.based_on if row else current.version, by=by, now=now
    )


async def discard_draft(tx: Transaction, *, by: Principal, now: datetime) -> None:
    """Forget the draft; raise ``NotFound`` where there is none."""
    draft = await _existing(tx)
    await store.drop_draft(tx)
    await audit.record(
        tx, by, "taxonomy.draft-dropped", "taxonomy", {"based_on": draft.based_on}, now=now
    )


async def publish_draft(
    tx: Transaction, *, expected: int | None, by: Principal, now: datetime
) -> CurrentTaxonomy:
    """Put the draft into use."""
    draft = await _existing(tx)
    if expected is not None and expected != draft.version:
        raise _stale(draft.version)
    current = await current_taxonomy(tx)
    if draft.based_on != current.version:
        raise Conflict(
            "Another version was published since this draft was begun. Bring the draft up to"
            " date first, or drop it.",
            slug="overtaken-draft",
            extra={"version": current.version, "based_on": draft.based_on},
        )
    published = await publish(tx, draft.taxonomy, expected=current.version, by=by, now=now)
    await store.drop_draft(tx)
    return published


async def divergence_of(view: Reading, draft: Draft) -> Divergence | None:
    """Return what was published since the draft was begun, or None where it is up to date."""
    current = await current_taxonomy(view)
    if draft.based_on == current.version:
        return None
    base = await _version(view, draft.based_on)
    return Divergence(
        ours=differences(base, draft.taxonomy),
        theirs=differences(base, current.taxonomy),
        in_both=in_both(base, draft.taxonomy, current.taxonomy),
    )


async def bring_up_to_date(
    tx: Transaction, *, expected: int | None, by: Principal, now: datetime
) -> Draft:
    """Carry what the draft changed over to the taxonomy in use.

    A theme that was changed in both stands afterwards as the draft has it.
    """
    draft = await _existing(tx)
    if expected is not None and expected != draft.version:
        raise _stale(draft.version)
    current = await current_taxonomy(tx)
    base = await _version(tx, draft.based_on)
    whole = carried_over(base, draft.taxonomy, current.taxonomy)
    return await _save(
        tx,
        parse_taxonomy(whole.as_document()),
        draft.version + 1,
        current.version,
        by=by,
        now=now,
    )


async def publish(
    tx: Transaction,
    taxonomy: Taxonomy,
    *,
    expected: int | None,
    by: Principal,
    now: datetime,
    restored: int | None = None,
) -> CurrentTaxonomy:
    """Put a taxonomy into use and write down who did and what it changed."""
    before = (await current_taxonomy(tx)).taxonomy
    published = await change_taxonomy(tx, taxonomy, expected=expected, by=by.id, now=now)
    changes = differences(before, taxonomy)
    detail: dict[str, object] = {
        "themes": len(taxonomy.themes),
        "changes": [change.as_detail() for change in changes[:_MOST_RECORDED]],
    }
    if restored is not None:
        detail["restored"] = restored
    await audit.record(
        tx, by, "taxonomy.changed", f"taxonomy/{published.version}", detail, now=now
    )
    return published


async def restore_taxonomy(
    tx: Transaction, version: int, *, by: Principal, now: datetime
) -> CurrentTaxonomy:
    """Put an earlier version into use once more, as the newest."""
    row = await store.taxonomy_of(tx, version)
    if row is None:
        raise NotFound("There is no such version. List them at /v1/taxonomy/versions.")
    taxonomy = parse_taxonomy(row.document)
    return await publish(tx, taxonomy, expected=None, by=by, now=now, restored=version)


async def list_versions(view: Reading, *, before: int | None, most: int) -> Sequence[Version]:
    """Return versions, the latest first, each with what it changed."""
    rows = await store.taxonomies_before(view, before, most=most + 1)
    read = [(row, parse_taxonomy(row.document)) for row in rows]
    former = [taxonomy for _, taxonomy in read[1:]] + [Taxonomy()]
    return [
        Version(
            version=row.version,
            taxonomy=taxonomy,
            changes=differences(was, taxonomy),
            created_at=row.created_at,
            created_by=row.created_by,
        )
        for (row, taxonomy), was in zip(read[:most], former[:most], strict=False)
    ]


async def _existing(view: Reading) -> Draft:
    draft = await drafted_taxonomy(view)
    if draft is None:
        raise no_draft()
    return draft


async def _version(view: Reading, version: int) -> Taxonomy:
    row = await store.taxonomy_of(view, version)
    return Taxonomy() if row is None else parse_taxonomy(row.document)


async def _save(
    tx: Transaction,
    taxonomy: Taxonomy,
    version: int,
    based_on: int,
    *,
    by: Principal,
    now: datetime,
) -> Draft:
    row = DraftRow(
        version=version,
        based_on=based_on,
        document=taxonomy.as_document(),
        changed_at=now,
        changed_by=by.id,
    )
    if not await store.save_draft(tx, row):
        raise _stale(version)
    return Draft(
        version=version,
        based_on=based_on,
        taxonomy=taxonomy,
        changed_at=now,
        changed_by=by.id,
    )


def _draft(row: DraftRow) -> Draft:
    return Draft(
        version=row.version,
        based_on=row.based_on,
        taxonomy=parse_taxonomy(row.document),
        changed_at=row.changed_at,
        changed_by=row.changed_by,
    )


def no_draft() -> NotFound:
    """Return the refusal where nobody works on a draft."""
    return NotFound("There is no draft. Begin one with PUT /v1/taxonomy/draft.")


def _stale(current: int) -> Stale:
    return Stale(
        "Somebody changed the draft of the taxonomy meanwhile. Read it again and repeat the"
        " change.",
        extra={"version": current},
    )
