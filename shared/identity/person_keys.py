"""One key per person: what seals their words, and what erasing them destroys."""

from __future__ import annotations

from os import urandom
from typing import TYPE_CHECKING

from sqlalchemy import ARRAY, LargeBinary, Text, bindparam, func, literal, select, update

from shared.db.base import UtcDateTime, among
from shared.identity.tables import person_keys

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from shared.db.transaction import Reading, Transaction
    from shared.sealing import Keyring

_PURPOSE = "person-keys"


class PersonKeys:
    """Makes, wraps and opens the keys of persons."""

    def __init__(self, keyring: Keyring) -> None:
        self._keyring = keyring

    def ref(self, namespace: str, identifier: str) -> str:
        """Return the pseudonym of ``(namespace, identifier)``: stable, tells nothing."""
        return f"per_{self._keyring.mac('person-refs', namespace, identifier)[:32]}"

    async def for_sealing(
        self, tx: Transaction, refs: Sequence[str], *, now: datetime
    ) -> dict[str, bytes]:
        """Return the keys of these persons, making missing ones; an erased person has none."""
        wanted = list(dict.fromkeys(refs))
        found = await self._load(tx, wanted)
        missing = [ref for ref in wanted if ref not in found]
        if missing:
            found |= await self._make(tx, missing, now)
        return {ref: key for ref, key in found.items() if key is not None}

    async def _make(
        self, tx: Transaction, refs: Sequence[str], now: datetime
    ) -> dict[str, bytes | None]:
        """Make keys for persons of whom none was found a moment ago."""
        if tx.dialect == "sqlite":
            return {**await self.for_new(tx, refs, now=now)}  # the only writer has looked
        made = {ref: urandom(32) for ref in refs}
        rows = await tx.all(
            tx.insert(person_keys)
            .from_select(
                ["ref", "wrapped_key", "created_at"],
                select(
                    func.unnest(literal(list(made), ARRAY(Text))),
                    func.unnest(
                        literal([*map(self._wrapped, made, made.values())], ARRAY(LargeBinary))
                    ),
                    literal(now, UtcDateTime),
                ),
            )
            .on_conflict_do_nothing()
            .returning(person_keys.c.ref)
        )
        ours = {row.ref for row in rows}
        # Somebody else made some at the same moment: theirs are the keys then.
        theirs = [ref for ref in refs if ref not in ours]
        return {ref: made[ref] for ref in ours} | await self._load(tx, theirs)

    def _wrapped(self, ref: str, key: bytes) -> bytes:
        return self._keyring.seal(_PURPOSE, key, context=ref)

    async def for_new(
        self, tx: Transaction, refs: Sequence[str], *, now: datetime
    ) -> dict[str, bytes]:
        """Make the keys of refs that were thought up in this transaction: nobody has them."""
        keys = {ref: urandom(32) for ref in refs}
        if keys:
            await tx.execute(
                tx.insert(person_keys),
                [
                    {
                        "ref": ref,
                        "wrapped_key": self._wrapped(ref, key),
                        "created_at": now,
                    }
                    for ref, key in keys.items()
                ],
            )
        return keys

    async def attribute(
        self, tx: Transaction, owners: Mapping[str, str], *, now: datetime
    ) -> None:
        """Say whose these refs turned out to be: from now on both are erased together.

        What was sealed under the ref of somebody who is erased already is forgotten at once.
        """
        if not owners:
            return
        await self.for_sealing(tx, list(owners), now=now)
        await tx.execute(
            update(person_keys)
            .where(person_keys.c.ref == bindparam("the_ref"))
            .values(belongs_to=bindparam("the_owner")),
            [{"the_ref": ref, "the_owner": owner} for ref, owner in sorted(owners.items())],
        )
        # Locked: an erasure that runs meanwhile waits, and then finds what belongs to them.
        rows = await tx.all(
            select(person_keys.c.ref, person_keys.c.erased_at)
            .where(among(person_keys.c.ref, sorted(set(owners.values())), tx.dialect))
            .order_by(person_keys.c.ref)
            .with_for_update()
        )
        erased = {row.ref for row in rows if row.erased_at is not None}
        if gone := [ref for ref, owner in owners.items() if owner in erased]:
            await tx.execute(
                update(person_keys)
                .where(
                    among(person_keys.c.ref, gone, tx.dialect),
                    person_keys.c.wrapped_key.is_not(None),
                )
                .values(wrapped_key=None, erased_at=now)
            )

    async def erased(self, view: Reading, refs: Sequence[str]) -> set[str]:
        """Return those of these persons who were erased."""
        if not refs:
            return set()
        rows = await view.all(
            select(person_keys.c.ref).where(
                among(person_keys.c.ref, refs, view.dialect),
                person_keys.c.erased_at.is_not(None),
            )
        )
        return {row.ref for row in rows}

    async def for_reading(self, view: Reading, refs: Sequence[str]) -> dict[str, bytes]:
        """Return the keys of those of these persons who have not been erased."""
        found = await self._load(view, list(dict.fromkeys(refs)))
        return {ref: key for ref, key in found.items() if key is not None}

    async def _load(self, view: Reading, refs: Sequence[str]) -> dict[str, bytes | None]:
        if not refs:
            return {}
        rows = await view.all(
            select(person_keys.c.ref, person_keys.c.wrapped_key).where(
                among(person_keys.c.ref, refs, view.dialect)
            )
        )
        return {
            row.ref: (
                None
                if row.wrapped_key is None
                else self._keyring.open(_PURPOSE, row.wrapped_key, context=row.ref)
            )
            for row in rows
        }
