"""Roll-ups: rows of sums, one for each combination of what is counted by."""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from sqlalchemy import Table

    from shared.db.transaction import Transaction


class Cell(Protocol):
    """What tells one roll-up from another: a named tuple of columns."""

    def __iter__(self) -> Iterator[Any]:
        """Go through the values."""
        ...

    def _asdict(self) -> dict[str, Any]: ...


async def add_to_rollups(
    tx: Transaction, table: Table, changes: Mapping[Any, object], *, sums: Sequence[str]
) -> None:
    """Add to the roll-ups of ``table``, whichever of them exist.

    The keys of ``changes`` are cells; the members of its values that ``sums`` names are added.
    """
    if not changes:
        return
    statement = tx.insert(table)
    await tx.execute(
        statement.on_conflict_do_update(
            index_elements=["key"],
            set_={name: table.c[name] + statement.excluded[name] for name in sums},
        ),
        # In one order everywhere, so that two workers never wait for each other.
        sorted(
            (_row(cell, change, sums) for cell, change in changes.items()),
            key=lambda row: str(row["key"]),
        ),
    )


def _row(cell: Cell, change: object, sums: Sequence[str]) -> dict[str, Any]:
    # The members themselves may be longer than an index can hold.
    key = blake2b("\x1f".join(map(str, cell)).encode(), digest_size=16).hexdigest()
    return {"key": key, **cell._asdict(), **{name: getattr(change, name) for name in sums}}
