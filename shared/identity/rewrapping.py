"""What is sealed under the installation's secret, and how it comes under a new one.

Persons' words are sealed under their own keys, and only those keys are wrapped under the
secret: a new secret means new wrappings, not new words. A walk may end anywhere and begin
anew, beside whoever serves: what is under the new secret already is passed over.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, func, select, tuple_, update

from shared.faults import fault_point
from shared.identity.tables import person_keys, person_requests, second_factors
from shared.sealing import CannotOpen

if TYPE_CHECKING:
    from sqlalchemy import Row, Table

    from shared.db.plumbing import Plumbing
    from shared.db.transaction import Transaction
    from shared.sealing import Keyring


@dataclass(frozen=True, kw_only=True)
class SealedColumn:
    """One column that is sealed under the installation's key for ``purpose``."""

    table: Table
    column: str
    purpose: str
    context: tuple[str, ...] = ("id",)
    """The columns whose values, with slashes between them, are what the seal is bound to."""
    unless: str | None = None
    """The column that says, where it is filled, that the key is a person's instead."""


REGISTER: list[SealedColumn] = [
    SealedColumn(
        table=person_keys, column="wrapped_key", purpose="person-keys", context=("ref",)
    ),
    SealedColumn(table=person_requests, column="sealed_subject", purpose="person-requests"),
    SealedColumn(
        table=second_factors,
        column="sealed_secret",
        purpose="second-factors",
        context=("staff_id",),
    ),
]
"""The sealed columns of the shared tables; each service declares its own as ``SEALED``."""


def plumbing_columns(plumbing: Plumbing) -> tuple[SealedColumn, ...]:
    """Return the sealed columns of a service's hand-over tables."""
    return (
        SealedColumn(
            table=plumbing.dead_letters,
            column="sealed_body",
            purpose="dead-letters",
            context=("consumer", "topic", "partition", "offset"),
        ),
        SealedColumn(
            table=plumbing.requests,
            column="sealed_answer",
            purpose="idempotent-answers",
            context=("key_digest",),
            unless="person_ref",
        ),
    )


@dataclass(frozen=True, kw_only=True)
class Rewrapped:
    """What one step of a walk came to."""

    rewrapped: int
    kept: int
    """Under the secret of today already."""
    unreadable: int
    """Opened by neither secret."""
    last: tuple[Any, ...] | None
    """Behind which row the next step begins; None at the end."""


async def rewrap_some(
    tx: Transaction,
    column: SealedColumn,
    keyring: Keyring,
    *,
    after: tuple[Any, ...] | None,
    most: int,
) -> Rewrapped:
    """Bring up to ``most`` rows behind ``after`` under the secret of today."""
    rows = await _rows(tx, column, after, most)
    key = _key(column)
    changed: list[dict[str, Any]] = []
    unreadable = 0
    for row in rows:
        context = "/".join(str(getattr(row, name)) for name in column.context)
        try:
            fresh = keyring.rewrap(column.purpose, row.sealed, context=context)
        except CannotOpen:
            unreadable += 1
            continue
        if fresh is not None:
            changed.append({f"the_{name}": getattr(row, name) for name in key})
            changed[-1]["fresh"] = fresh
    if changed:
        await tx.execute(
            update(column.table)
            .where(*(column.table.c[name] == bindparam(f"the_{name}") for name in key))
            .values({column.column: bindparam("fresh")}),
            changed,
        )
    fault_point("secret.rewrapping")
    return Rewrapped(
        rewrapped=len(changed),
        kept=len(rows) - len(changed) - unreadable,
        unreadable=unreadable,
        last=tuple(getattr(rows[-1], name) for name in key) if len(rows) == most else None,
    )


async def _rows(
    tx: Transaction, column: SealedColumn, after: tuple[Any, ...] | None, most: int
) -> Sequence[Row[Any]]:
    table = column.table
    sealed = table.c[column.column]
    key = [table.c[name] for name in _key(column)]
    names = dict.fromkeys([*_key(column), *column.context])
    query = (
        select(*(table.c[name] for name in names), sealed.label("sealed"))
        # Emptied is what was settled or erased, and what is being made at this moment.
        .where(func.length(sealed) > 0)
        .order_by(*key)
        .limit(most)
        .with_for_update()
    )
    if column.unless is not None:
        query = query.where(table.c[column.unless].is_(None))
    if after is not None:
        query = query.where(tuple_(*key) > after)
    return await tx.all(query)


def _key(column: SealedColumn) -> list[str]:
    return [one.name for one in column.table.primary_key]
