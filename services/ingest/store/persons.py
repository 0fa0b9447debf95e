"""What is sealed about persons: read through in slices, collected, and scrubbed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from sqlalchemy import func, select, update

from services.ingest.store.responses import parts_of
from services.ingest.store.rows import StoredPart, StoredResponse, response_of
from services.ingest.tables import responses, revisions
from shared.db.base import among
from shared.identity.erasure import FORGOTTEN
from shared.identity.tables import person_keys

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement

    from shared.db.transaction import Reading, Transaction


@dataclass(frozen=True, slots=True, kw_only=True)
class Sealed:
    """One sealed document and whose key it lies under."""

    response_id: str
    person_ref: str
    token: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Presence:
    """How much there is of one person, without a word of it."""

    ref: str
    responses: int
    first_received_at: datetime | None
    last_received_at: datetime | None
    sources: Sequence[str]
    erased: bool


async def documents_after(
    view: Reading, response_id: str, *, limit: int
) -> tuple[list[Sealed], str | None]:
    """Return the documents of the next ``limit`` responses; the last one's id, None at the end.

    A response that came in several parts has a document of its own and one of each part.
    """
    rows = await view.all(
        select(
            responses.c.id,
            responses.c.person_ref,
            responses.c.sealed_person,
            responses.c.revision,
        )
        .where(responses.c.id > response_id)
        .order_by(responses.c.id)
        .limit(limit)
    )
    found = [
        Sealed(response_id=row.id, person_ref=row.person_ref, token=row.sealed_person)
        for row in rows
        if row.sealed_person not in {None, FORGOTTEN}
    ]
    if several := [row.id for row in rows if row.revision > 1]:
        found += [
            Sealed(response_id=row.response_id, person_ref=row.person_ref, token=row.token)
            for row in await view.all(
                select(
                    revisions.c.response_id,
                    revisions.c.person_ref,
                    revisions.c.sealed_person.label("token"),
                ).where(
                    among(revisions.c.response_id, several, view.dialect),
                    revisions.c.sealed_person != FORGOTTEN,
                )
            )
        ]
    return found, rows[-1].id if len(rows) == limit else None


async def owner_of(view: Reading, ref: str) -> str:
    """Return whose a pseudonym is: its own, or that of whoever it turned out to be."""
    owner: str | None = await view.scalar(
        select(person_keys.c.belongs_to).where(person_keys.c.ref == ref)
    )
    return owner or ref


async def presence_of(view: Reading, refs: Sequence[str]) -> list[Presence]:
    """Return what there is of each of these persons; nothing of whom nobody has heard."""
    rows = await view.all(
        select(
            responses.c.person_ref,
            responses.c.source,
            func.count().label("n"),
            func.min(responses.c.received_at).label("first"),
            func.max(responses.c.received_at).label("last"),
        )
        .where(among(responses.c.person_ref, refs, view.dialect))
        .group_by(responses.c.person_ref, responses.c.source)
        .order_by(responses.c.person_ref, responses.c.source)
    )
    keys = await view.all(
        select(person_keys.c.ref, person_keys.c.erased_at).where(
            among(person_keys.c.ref, refs, view.dialect)
        )
    )
    erased = {row.ref: row.erased_at is not None for row in keys}
    found = []
    for ref in dict.fromkeys(refs):
        mine = [row for row in rows if row.person_ref == ref]
        if mine or ref in erased:
            found.append(
                Presence(
                    ref=ref,
                    responses=sum(row.n for row in mine),
                    first_received_at=min((row.first for row in mine), default=None),
                    last_received_at=max((row.last for row in mine), default=None),
                    sources=[row.source for row in mine],
                    erased=erased.get(ref, False),
                )
            )
    return found


async def responses_of(
    view: Reading, refs: Sequence[str]
) -> list[tuple[StoredResponse, list[StoredPart]]]:
    """Return every response of these persons with all its parts, the oldest first."""
    rows = await view.all(
        select(responses)
        .where(among(responses.c.person_ref, refs, view.dialect))
        .order_by(responses.c.id)
    )
    found = [response_of(row) for row in rows]
    parts = await parts_of(view, found)
    return [(one, parts[one.id]) for one in found]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scrubbed:
    """What was emptied."""

    response_ids: Sequence[str]
    revisions: int


async def scrub_persons(tx: Transaction, refs: Sequence[str]) -> Scrubbed:
    """Empty what lies sealed under these pseudonyms; return all their responses."""
    return await _scrub(
        tx,
        among(responses.c.person_ref, refs, tx.dialect),
        among(revisions.c.person_ref, refs, tx.dialect),
    )


async def scrub_responses(tx: Transaction, response_ids: Sequence[str]) -> Scrubbed:
    """Empty these responses alone, whoever they are of; return those that are there."""
    return await _scrub(
        tx,
        among(responses.c.id, response_ids, tx.dialect),
        among(revisions.c.response_id, response_ids, tx.dialect),
    )


async def _scrub(
    tx: Transaction, these: ColumnElement[bool], their_parts: ColumnElement[bool]
) -> Scrubbed:
    ids = await tx.all(select(responses.c.id).where(these).order_by(responses.c.id))
    # A column that is NULL differs from nothing: what was empty stays empty.
    await tx.execute(
        update(responses)
        .where(these, responses.c.sealed_person != FORGOTTEN)
        .values(sealed_person=FORGOTTEN)
    )
    emptied = await tx.execute(
        update(revisions)
        .where(their_parts, revisions.c.sealed_person != FORGOTTEN)
        .values(sealed_person=FORGOTTEN)
    )
    return Scrubbed(response_ids=[row.id for row in ids], revisions=emptied.rowcount)
