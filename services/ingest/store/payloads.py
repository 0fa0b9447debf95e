"""The last things that sources sent, sealed: to see what a mapping makes of them.

A sample may hold anything that a customer said, so it lies under a key of the installation,
for seven days at most, and the words of a person who is erased go with the whole sample.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote_plus

from sqlalchemy import and_, delete, func, or_, select, update

from services.ingest.domain.sources import Outcome
from services.ingest.tables import payloads
from shared.db.base import among
from shared.identity.tables import person_keys
from shared.ids import new_id

if TYPE_CHECKING:
    from sqlalchemy import Row

    from shared.db.transaction import Reading, Transaction
    from shared.sealing import Keyring

KEPT_FOR: Final = timedelta(days=7)
"""How long a sample is kept."""
KEPT_OF_A_SOURCE: Final = 50
"""How many samples of one source are kept."""

_PURPOSE: Final = "payload-samples"
_SECRET_HEADERS: Final = frozenset({"authorization", "cookie", "proxy-authorization"})


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One call as it came: its body, and what a mapping may read beside it."""

    body: bytes = field(repr=False)
    content_type: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    """By lower-case name; those that carry credentials are left out when it is kept."""
    query: Mapping[str, Any] = field(default_factory=dict, repr=False)
    outcome: Outcome
    reason: str | None = None
    path: str | None = None
    """Where something was missing or wrong, in the mapping's words; never a value."""
    person_refs: Sequence[str] = ()
    """Whose words are in it, as far as it could be read."""


@dataclass(frozen=True, kw_only=True)
class Kept:
    """A sample as it is listed, without its content."""

    id: str
    source: str
    at: datetime
    content_type: str
    outcome: Outcome
    reason: str | None
    path: str | None


async def keep_payload(
    tx: Transaction, source: str, sample: Sample, *, keyring: Keyring, at: datetime
) -> str:
    """Keep a sample of what a source sent; return its id."""
    payload_id = new_id("pay")
    await keep_payloads(tx, [(payload_id, source, sample)], keyring=keyring, at=at)
    return payload_id


async def keep_payloads(
    tx: Transaction,
    samples: Sequence[tuple[str, str, Sample]],
    *,
    keyring: Keyring,
    at: datetime,
) -> None:
    """Keep samples under given ids, each with its source.

    What a sender repeats of somebody who was erased is not kept again.
    """
    refs = {ref for _, _, sample in samples for ref in sample.person_refs}
    erased = await _erased_among(tx, refs)
    samples = [one for one in samples if erased.isdisjoint(one[2].person_refs)]
    if samples:
        await tx.execute(
            tx.insert(payloads),
            [
                {
                    "id": payload_id,
                    "source": source,
                    "at": at,
                    "content_type": sample.content_type[:200],
                    "outcome": sample.outcome,
                    "reason": sample.reason and sample.reason[:80],
                    "path": sample.path and sample.path[:400],
                    "person_refs": sorted(set(sample.person_refs)),
                    "sealed_body": keyring.seal(_PURPOSE, _packed(sample), context=payload_id),
                }
                for payload_id, source, sample in samples
            ],
        )


async def _erased_among(view: Reading, refs: Collection[str]) -> set[str]:
    """Return those of these persons who were erased."""
    if not refs:
        return set()
    rows = await view.all(
        select(person_keys.c.ref).where(
            among(person_keys.c.ref, sorted(refs), view.dialect),
            person_keys.c.wrapped_key.is_(None),
        )
    )
    return {row.ref for row in rows}


def _packed(sample: Sample) -> bytes:
    head = {
        "headers": {
            name: value
            for name, value in sample.headers.items()
            if name.lower() not in _SECRET_HEADERS
        },
        "query": dict(sample.query),
    }
    return json.dumps(head).encode() + b"\n" + sample.body


async def payloads_of(
    view: Reading, source: str, *, limit: int, before: str | None = None
) -> list[Kept]:
    """Return a source's samples without their content, the latest first."""
    query = (
        select(payloads)
        .with_only_columns(*_CLEAR)
        .where(payloads.c.source == source)
        .order_by(payloads.c.id.desc())
        .limit(limit)
    )
    if before is not None:
        query = query.where(payloads.c.id < before)
    return [_kept(row) for row in await view.all(query)]


async def find_payload(
    view: Reading, payload_id: str, *, keyring: Keyring
) -> tuple[Kept, Sample] | None:
    """Return one sample opened, or None."""
    row = await view.first(select(payloads).where(payloads.c.id == payload_id))
    if row is None:
        return None
    head, _, body = keyring.open(_PURPOSE, row.sealed_body, context=row.id).partition(b"\n")
    said = json.loads(head)
    kept = _kept(row)
    return kept, Sample(
        body=body,
        content_type=row.content_type,
        headers=said["headers"],
        query=said["query"],
        outcome=row.outcome,
        reason=row.reason,
        path=row.path,
        person_refs=tuple(row.person_refs),
    )


async def mark_payload(
    tx: Transaction,
    payload_id: str,
    *,
    outcome: Outcome,
    reason: str | None,
    path: str | None,
    person_refs: Sequence[str] = (),
) -> None:
    """Write what became of a sample that was taken in again."""
    row = await tx.first(
        select(payloads.c.person_refs).where(payloads.c.id == payload_id).with_for_update()
    )
    if row is not None:
        await tx.execute(
            update(payloads)
            .where(payloads.c.id == payload_id)
            .values(
                outcome=outcome,
                reason=reason and reason[:80],
                path=path and path[:400],
                person_refs=sorted({*row.person_refs, *person_refs}),
            )
        )


async def unread_payloads(view: Reading, source: str) -> int:
    """Return how many samples of a source are there that could not be taken in."""
    number: int = await view.scalar(
        select(func.count())
        .select_from(payloads)
        .where(
            payloads.c.source == source,
            or_(payloads.c.outcome == "rejected", payloads.c.outcome == "refused"),
        )
    )
    return number


async def has_old_payloads(view: Reading, *, before: datetime) -> bool:
    """Tell whether there is a sample that is too old, or one too many of a source."""
    old = await view.first(select(payloads.c.id).where(payloads.c.at < before).limit(1))
    if old is not None:
        return True
    many = await view.first(
        select(payloads.c.source)
        .group_by(payloads.c.source)
        .having(func.count() > KEPT_OF_A_SOURCE)
        .limit(1)
    )
    return many is not None


async def forget_payloads(tx: Transaction, *, before: datetime, limit: int) -> int:
    """Delete samples that are too old and those beyond the number kept; return how many."""
    old = await tx.all(
        select(payloads.c.id).where(payloads.c.at < before).order_by(payloads.c.id).limit(limit)
    )
    ids = {row.id for row in old}
    crowded = await tx.all(
        select(payloads.c.source)
        .group_by(payloads.c.source)
        .having(func.count() > KEPT_OF_A_SOURCE)
    )
    for row in crowded:
        beyond = await tx.all(
            select(payloads.c.id)
            .where(payloads.c.source == row.source)
            .order_by(payloads.c.id.desc())
            .offset(KEPT_OF_A_SOURCE)
            .limit(limit)
        )
        ids |= {one.id for one in beyond}
    return await _delete(tx, sorted(ids)[:limit])


async def scrub_payloads(tx: Transaction, person_ref: str) -> int:
    """Delete every sample in which this person's words are known to be; return how many.

    Responses that turned out to be theirs count as well. There are few rows: fifty of a source
    and seven days at the most.
    """
    theirs = await tx.all(
        select(person_keys.c.ref).where(person_keys.c.belongs_to == person_ref)
    )
    refs = {person_ref, *(row.ref for row in theirs)}
    rows = await tx.all(select(payloads.c.id, payloads.c.person_refs))
    return await _delete(
        tx, sorted(row.id for row in rows if not refs.isdisjoint(row.person_refs))
    )


async def payloads_where(
    view: Reading, matches: Callable[[str], bool], *, keyring: Keyring, at_once: int = 20
) -> list[str]:
    """Return the samples of whose words this is true, as they came or decoded from a form."""
    found: list[str] = []
    after = ""
    while rows := await view.all(
        select(payloads.c.id, payloads.c.sealed_body)
        .where(payloads.c.id > after)
        .order_by(payloads.c.id)
        .limit(at_once)
    ):
        after = rows[-1].id
        for row in rows:
            said = keyring.open(_PURPOSE, row.sealed_body, context=row.id).decode(
                "utf-8", "replace"
            )
            if matches(said) or matches(unquote_plus(said)):
                found.append(row.id)
        await asyncio.sleep(0)
    return found


async def drop_payloads(tx: Transaction, ids: Sequence[str]) -> int:
    """Delete these samples; return how many were there."""
    return await _delete(tx, ids)


async def _delete(tx: Transaction, ids: Sequence[str]) -> int:
    if not ids:
        return 0
    result = await tx.execute(delete(payloads).where(and_(payloads.c.id.in_(ids))))
    return result.rowcount


_CLEAR: Final = (
    payloads.c.id,
    payloads.c.source,
    payloads.c.at,
    payloads.c.content_type,
    payloads.c.outcome,
    payloads.c.reason,
    payloads.c.path,
)


def _kept(row: Row[Any]) -> Kept:
    return Kept(
        id=row.id,
        source=row.source,
        at=row.at,
        content_type=row.content_type,
        outcome=row.outcome,
        reason=row.reason,
        path=row.path,
    )
