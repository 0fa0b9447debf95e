"""Responses and their parts: found by natural key, added, changed, listed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from sqlalchemy import and_, bindparam, func, insert, or_, select, update

from services.ingest.store.rows import NaturalKey, StoredPart, StoredResponse, response_of
from services.ingest.tables import responses, revisions
from shared.db.base import among

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement

    from shared.db.transaction import Reading, Transaction


async def find_by_natural_keys(
    tx: Transaction, keys: Mapping[NaturalKey, str]
) -> dict[NaturalKey, StoredResponse]:
    """Return the responses known under these natural keys, locked until the commit.

    The keys come with their digests. Rows of before lie under the sender's own id.
    """
    by_source: dict[str, dict[tuple[str, bool], str]] = {}
    for (source, external_id), digest in sorted(keys.items()):
        places = by_source.setdefault(source, {})
        places[digest, True] = places[external_id, False] = external_id
    found: dict[NaturalKey, StoredResponse] = {}
    for source, places in by_source.items():
        rows = await tx.all(
            select(responses)
            .where(
                responses.c.source == source,
                among(responses.c.natural_key, [key for key, _ in places], tx.dialect),
            )
            .order_by(responses.c.id)
            .with_for_update()
        )
        for row in rows:
            # What looks like somebody's digest is no digest.
            named = places.get((row.natural_key, row.keyed))
            if named is not None:
                found[source, named] = response_of(row)
    return found


async def fingerprints_of(
    view: Reading, known: Iterable[StoredResponse]
) -> dict[str, dict[str, int]]:
    """Return per response the fingerprint of every part and the revision that it made."""
    found: dict[str, dict[str, int]] = {}
    several: list[str] = []
    for response in known:
        found[response.id] = {}
        if response.revision == 1:
            found[response.id][response.first_fingerprint] = 1
        else:
            several.append(response.id)
    if several:
        rows = await view.all(
            select(
                revisions.c.response_id, revisions.c.fingerprint, revisions.c.revision
            ).where(among(revisions.c.response_id, several, view.dialect))
        )
        for row in rows:
            found[row.response_id][row.fingerprint] = row.revision
    return found


async def parts_of(
    view: Reading, known: Iterable[StoredResponse]
) -> dict[str, list[StoredPart]]:
    """Return per response every part, in the order of arrival."""
    parts: dict[str, list[StoredPart]] = {}
    several: list[str] = []
    for response in known:
        parts[response.id] = [response.only_part()] if response.revision == 1 else []
        if response.revision > 1:
            several.append(response.id)
    if several:
        rows = await view.all(
            select(revisions)
            .where(among(revisions.c.response_id, several, view.dialect))
            .order_by(revisions.c.response_id, revisions.c.revision)
        )
        for row in rows:
            parts[row.response_id].append(StoredPart(**row._asdict()))
    return parts


async def add_responses(tx: Transaction, fresh: Sequence[StoredResponse]) -> set[str]:
    """Insert responses in the order of their natural keys; return the ids that got in.

    One that another process recorded first, under the same natural key, is left out.
    """
    if not fresh:
        return set()
    ordered = sorted(fresh, key=lambda one: (one.source, one.natural_key))
    await tx.execute(
        tx.insert(responses).on_conflict_do_nothing(index_elements=["source", "natural_key"]),
        [one.row() for one in ordered],
    )
    ids = [one.id for one in ordered]
    if tx.dialect == "sqlite":
        return set(ids)  # the only writer has already seen that there was none
    rows = await tx.all(select(responses.c.id).where(among(responses.c.id, ids, tx.dialect)))
    return {row.id for row in rows}


async def add_parts(tx: Transaction, parts: Sequence[StoredPart]) -> None:
    """Insert parts."""
    if parts:
        await tx.execute(insert(revisions), [part.row() for part in parts])


async def save_responses(tx: Transaction, changed: Sequence[StoredResponse]) -> None:
    """Write what became of known responses."""
    if changed:
        columns = [name for name in changed[0].row() if name != "id"]
        await tx.execute(
            update(responses)
            .where(responses.c.id == bindparam("the_id"))
            .values({name: bindparam(f"new_{name}") for name in columns}),
            [
                {"the_id": row.pop("id")} | {f"new_{name}": row[name] for name in columns}
                for row in (one.row() for one in changed)
            ],
        )


async def find_response(view: Reading, response_id: str) -> StoredResponse | None:
    """Return one response, or None."""
    row = await view.first(select(responses).where(responses.c.id == response_id))
    return None if row is None else response_of(row)


async def touchpoints_of(
    view: Reading, source: str, *, latest: int = 1_000, limit: int = 20
) -> list[tuple[str, int]]:
    """Return the touchpoints in a source's latest responses, the most frequent first."""
    recent = (
        select(responses.c.touchpoint)
        .where(responses.c.source == source)
        .order_by(responses.c.id.desc())
        .limit(latest)
        .subquery()
    )
    n = func.count()
    rows = await view.all(
        select(recent.c.touchpoint, n.label("n"))
        .where(recent.c.touchpoint.is_not(None))
        .group_by(recent.c.touchpoint)
        .order_by(n.desc(), recent.c.touchpoint)
        .limit(limit)
    )
    return [(row.touchpoint, row.n) for row in rows]


async def list_responses(
    view: Reading,
    *,
    state: str | None,
    source: str | None,
    external_id: tuple[str, str] | None = None,
    before: str | None,
    limit: int,
) -> list[StoredResponse]:
    """Return up to ``limit`` responses older than the id ``before``, the latest first.

    ``external_id`` is the sender's id and its digest.
    """
    wanted: list[ColumnElement[bool]] = []
    if state is not None:
        wanted.append(responses.c.state == state)
    if source is not None:
        wanted.append(responses.c.source == source)
    if external_id is not None:
        plain, digest = external_id
        wanted.append(
            or_(
                and_(responses.c.natural_key == digest, responses.c.keyed),
                and_(responses.c.natural_key == plain, ~responses.c.keyed),
            )
        )
    if before is not None:
        wanted.append(responses.c.id < before)
    rows = await view.all(
        select(responses).where(*wanted).order_by(responses.c.id.desc()).limit(limit)
    )
    return [response_of(row) for row in rows]
