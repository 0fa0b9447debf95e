"""Records that nobody could handle: parked with their bytes and the reason, for a person.

The bytes are sealed under a key of the installation, because they may hold anything. A letter
is parked in the transaction that would have held the effect, and stays until somebody has it
replayed or discards it; either way its bytes are wiped.
"""

from __future__ import annotations

import traceback
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256
from pathlib import PurePath
from typing import TYPE_CHECKING

from sqlalchemy import and_, delete, func, select, update

from shared.db.base import among
from shared.errors import ClosedLoopError, Conflict, NotFound
from shared.ids import new_id

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from sqlalchemy import Row, Table

    from shared.db.transaction import Reading, Transaction
    from shared.sealing import Keyring

PURPOSE = "dead-letters"


class LetterState(StrEnum):
    """What became of a letter."""

    PARKED = "parked"
    REPLAYED = "replayed"
    DISCARDED = "discarded"


@dataclass(frozen=True, kw_only=True)
class Undeliverable:
    """A record as it was read, and why it cannot be handled."""

    topic: str
    partition: int
    offset: int
    key: str
    body: bytes | None
    headers: Mapping[str, str]
    error: str
    digest: str
    tries: int
    event_id: str | None = None
    event_type: str | None = None


@dataclass(frozen=True, kw_only=True)
class DeadLetter:
    """One parked record, without its bytes."""

    id: str
    consumer: str
    topic: str
    partition: int
    offset: int
    event_id: str | None
    event_type: str | None
    error: str
    digest: str
    tries: int
    state: LetterState
    parked_at: datetime
    settled_at: datetime | None


@dataclass(frozen=True, kw_only=True)
class OpenLetter(DeadLetter):
    """A parked record with everything that was read."""

    key: str
    body: bytes
    headers: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Pile:
    """How many letters are parked, and since when the oldest one."""

    count: int
    oldest: datetime | None


def describe(error: BaseException) -> tuple[str, str]:
    """Return what failed where, and a digest of the whole stack.

    Never the text of a foreign error: a database's complaint quotes the row. Our own errors
    hold nothing of a record by their contract.
    """
    frames = traceback.extract_tb(error.__traceback__)
    where = f" at {PurePath(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    said = f": {error}" if isinstance(error, ClosedLoopError) else ""
    stack = "\n".join(f"{f.filename}:{f.lineno}:{f.name}" for f in frames)
    digest = sha256(f"{type(error).__qualname__}\n{stack}".encode()).hexdigest()
    return f"{type(error).__name__}{said}{where}"[:200], digest


def _storable(text: str, most: int) -> str:
    """Return foreign text so that both databases take it."""
    return "".join(c if c.isprintable() else "\ufffd" for c in text[:most])


def _context(consumer: str, topic: str, partition: int, offset: int) -> str:
    """Bind sealed bytes to their origin, so that rows cannot swap them."""
    return f"{consumer}/{topic}/{partition}/{offset}"


async def park(
    tx: Transaction,
    records: Sequence[Undeliverable],
    *,
    consumer: str,
    keyring: Keyring,
    now: datetime,
) -> None:
    """Park records of one consumer; one that is parked already stays as it is."""
    if not records:
        return
    await tx.execute(
        tx.insert(tx.plumbing.dead_letters).on_conflict_do_nothing(
            index_elements=["consumer", "topic", "partition", "offset"]
        ),
        [
            {
                "id": new_id("ltr"),
                "consumer": consumer,
                "topic": record.topic,
                "partition": record.partition,
                "offset": record.offset,
                "event_id": record.event_id and _storable(record.event_id, 80),
                "event_type": record.event_type and _storable(record.event_type, 80),
                "key": _storable(record.key, 200),
                "sealed_body": keyring.seal(
                    PURPOSE,
                    record.body or b"",
                    context=_context(consumer, record.topic, record.partition, record.offset),
                ),
                "headers": {
                    _storable(name, 100): _storable(value, 500)
                    for name, value in list(record.headers.items())[:50]
                },
                "error": record.error[:200],
                "digest": record.digest,
                "tries": record.tries,
                "state": LetterState.PARKED,
                "parked_at": now,
                "settled_at": None,
            }
            for record in records
        ],
    )


async def parked_among(
    tx: Transaction, *, consumer: str, offsets: Mapping[tuple[str, int], Sequence[int]]
) -> set[tuple[str, int, int]]:
    """Return which of these records have a letter: by (topic, partition), their offsets."""
    table = tx.plumbing.dead_letters
    found: set[tuple[str, int, int]] = set()
    for (topic, partition), some in offsets.items():
        rows = await tx.all(
            select(table.c.offset).where(
                table.c.consumer == consumer,
                table.c.topic == topic,
                table.c.partition == partition,
                table.c.offset.between(min(some), max(some)),
            )
        )
        found |= {(topic, partition, row.offset) for row in rows}
    return found


async def list_letters(
    view: Reading,
    table: Table,
    *,
    state: LetterState | None = LetterState.PARKED,
    consumer: str | None = None,
    after: str | None = None,
    limit: int = 50,
    oldest_first: bool = False,
) -> Sequence[DeadLetter]:
    """Return letters, latest first; ``after`` is the id of the last one already seen."""
    # Ids sort by the time they were made.
    order = table.c.id if oldest_first else table.c.id.desc()
    query = select(table).order_by(order).limit(limit)
    if state is not None:
        query = query.where(table.c.state == state)
    if consumer is not None:
        query = query.where(table.c.consumer == consumer)
    if after is not None:
        query = query.where(table.c.id < after)
    return [_letter(row) for row in await view.all(query)]


async def pile(view: Reading, table: Table) -> Pile:
    """Return how much is parked."""
    row = await view.first(
        select(func.count().label("parked"), func.min(table.c.parked_at).label("oldest")).where(
            table.c.state == LetterState.PARKED
        )
    )
    return Pile(count=row.parked if row else 0, oldest=row.oldest if row else None)


async def get(view: Reading, table: Table, letter_id: str) -> DeadLetter:
    """Return one letter; raise ``NotFound``."""
    row = await view.first(select(table).where(table.c.id == letter_id))
    if row is None:
        raise NotFound("There is no such dead letter.")
    return _letter(row)


async def open_letter(tx: Transaction, letter_id: str, *, keyring: Keyring) -> OpenLetter:
    """Return a parked letter with its bytes, locked until the transaction ends.

    Raises ``NotFound``, and ``Conflict`` when it is settled already.
    """
    table = tx.plumbing.dead_letters
    row = await tx.first(select(table).where(table.c.id == letter_id).with_for_update())
    if row is None:
        raise NotFound("There is no such dead letter.")
    if row.state != LetterState.PARKED:
        raise Conflict(f"This dead letter is {row.state} already.", slug="letter-settled")
    body = keyring.open(
        PURPOSE,
        row.sealed_body,
        context=_context(row.consumer, row.topic, row.partition, row.offset),
    )
    return OpenLetter(**vars(_letter(row)), key=row.key or "", body=body, headers=row.headers)


async def settle(tx: Transaction, letter_id: str, *, state: LetterState, now: datetime) -> None:
    """Say what became of a letter that was parked, and wipe its bytes."""
    table = tx.plumbing.dead_letters
    await tx.execute(
        update(table)
        .where(table.c.id == letter_id)
        .values(state=state, settled_at=now, sealed_body=b"", headers={}, key=None)
    )


async def discard(tx: Transaction, letter_id: str, *, now: datetime) -> None:
    """Give a letter up for good; raise ``NotFound`` or, when settled already, ``Conflict``."""
    table = tx.plumbing.dead_letters
    row = await tx.first(select(table.c.state).where(table.c.id == letter_id).with_for_update())
    if row is None:
        raise NotFound("There is no such dead letter.")
    if row.state != LetterState.PARKED:
        raise Conflict(f"This dead letter is {row.state} already.", slug="letter-settled")
    await settle(tx, letter_id, state=LetterState.DISCARDED, now=now)


async def rewrite(
    tx: Transaction,
    keys: Sequence[str],
    change: Callable[[bytes], bytes | None],
    *,
    keyring: Keyring,
    now: datetime,
) -> int:
    """Change the bytes of what is parked under these keys; return how many letters changed.

    Where ``change`` returns None, nothing of the record may stay: the letter is discarded.
    """
    table = tx.plumbing.dead_letters
    rows = await tx.all(
        select(table)
        .where(table.c.state == LetterState.PARKED, among(table.c.key, keys, tx.dialect))
        .order_by(table.c.id)
        .with_for_update()
    )
    changed = 0
    for row in rows:
        context = _context(row.consumer, row.topic, row.partition, row.offset)
        before = keyring.open(PURPOSE, row.sealed_body, context=context)
        after = change(before)
        changed += after != before
        if after is None:
            await settle(tx, row.id, state=LetterState.DISCARDED, now=now)
        elif after != before:
            sealed = keyring.seal(PURPOSE, after, context=context)
            await tx.execute(
                update(table).where(table.c.id == row.id).values(sealed_body=sealed)
            )
    return changed


async def failed_again(tx: Transaction, letter_id: str, error: BaseException) -> None:
    """Note on a letter that its replay failed, and why."""
    table = tx.plumbing.dead_letters
    said, digest = describe(error)
    await tx.execute(
        update(table)
        .where(and_(table.c.id == letter_id, table.c.state == LetterState.PARKED))
        .values(tries=table.c.tries + 1, error=said, digest=digest)
    )


async def count_settled(view: Reading, table: Table, *, before: datetime) -> int:
    """Count the letters that were settled before that moment."""
    old = select(func.count()).select_from(table).where(table.c.settled_at < before)
    return int(await view.scalar(old))


async def prune(tx: Transaction, *, before: datetime, limit: int = 1_000) -> int:
    """Forget letters settled before that moment; return how many."""
    table = tx.plumbing.dead_letters
    old = select(table.c.id).where(table.c.settled_at < before).limit(limit)
    result = await tx.execute(delete(table).where(table.c.id.in_(old)))
    return result.rowcount


def _letter(row: Row[tuple[object, ...]]) -> DeadLetter:
    return DeadLetter(
        id=row.id,
        consumer=row.consumer,
        topic=row.topic,
        partition=row.partition,
        offset=row.offset,
        event_id=row.event_id,
        event_type=row.event_type,
        error=row.error,
        digest=row.digest,
        tries=row.tries,
        state=LetterState(row.state),
        parked_at=row.parked_at,
        settled_at=row.settled_at,
    )
