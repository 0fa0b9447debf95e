"""Responses of before, whose sender's words stood in the clear: found, and written sealed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Self

from sqlalchemy import bindparam, select, update

from services.ingest.tables import responses, revisions
from shared.db.base import among

if TYPE_CHECKING:
    from shared.db.transaction import Reading, Transaction


@dataclass(frozen=True, slots=True, kw_only=True)
class EarlierResponse:
    """What is to be changed of a response."""

    id: str
    person_ref: str
    natural_key: str = field(repr=False)
    transaction_id: str | None = field(repr=False)
    sealed_person: str | None = field(repr=False)

    def sealed_as(self, token: str | None, *, natural_key: str) -> Self:
        """Return it without a word in the clear."""
        return replace(self, sealed_person=token, natural_key=natural_key, transaction_id=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class EarlierPart:
    """What is to be changed of one of its parts."""

    response_id: str
    revision: int
    person_ref: str
    members: Mapping[str, Any] = field(repr=False)
    sealed_person: str | None = field(repr=False)

    @property
    def transaction_id(self) -> str | None:
        """Return the word that stands in the clear, if there is one."""
        return self.members.get("transaction_id")

    def sealed_as(self, token: str | None) -> Self:
        """Return it without a word in the clear."""
        kept = {name: said for name, said in self.members.items() if name != "transaction_id"}
        return replace(self, sealed_person=token, members=kept)


async def not_keyed(view: Reading, *, limit: int) -> list[str]:
    """Return the ids of responses that lie under their sender's own id."""
    rows = await view.all(
        select(responses.c.id).where(~responses.c.keyed).order_by(responses.c.id).limit(limit)
    )
    return [row.id for row in rows]


async def earlier_of(
    tx: Transaction, response_ids: Sequence[str]
) -> tuple[list[EarlierResponse], list[EarlierPart]]:
    """Return those of these responses that are not keyed, with all parts, locked."""
    rows = await tx.all(
        select(
            responses.c.id,
            responses.c.person_ref,
            responses.c.natural_key,
            responses.c.transaction_id,
            responses.c.sealed_person,
        )
        .where(among(responses.c.id, response_ids, tx.dialect), ~responses.c.keyed)
        .order_by(responses.c.id)
        .with_for_update()
    )
    found = [EarlierResponse(**row._asdict()) for row in rows]
    parts = await tx.all(
        select(
            revisions.c.response_id,
            revisions.c.revision,
            revisions.c.person_ref,
            revisions.c.members,
            revisions.c.sealed_person,
        ).where(among(revisions.c.response_id, [one.id for one in found], tx.dialect))
    )
    return found, [EarlierPart(**row._asdict()) for row in parts]


async def save_earlier(
    tx: Transaction, changed: Sequence[EarlierResponse], parts: Sequence[EarlierPart]
) -> None:
    """Write them back."""
    if changed:
        await tx.execute(
            update(responses)
            .where(responses.c.id == bindparam("the_id"))
            .values(
                natural_key=bindparam("new_key"),
                keyed=True,
                transaction_id=None,
                sealed_person=bindparam("new_person"),
            ),
            [
                {"the_id": one.id, "new_key": one.natural_key, "new_person": one.sealed_person}
                for one in changed
            ],
        )
    if parts:
        await tx.execute(
            update(revisions)
            .where(
                revisions.c.response_id == bindparam("the_id"),
                revisions.c.revision == bindparam("the_revision"),
            )
            .values(members=bindparam("new_members"), sealed_person=bindparam("new_person")),
            [
                {
                    "the_id": one.response_id,
                    "the_revision": one.revision,
                    "new_members": one.members,
                    "new_person": one.sealed_person,
                }
                for one in parts
            ],
        )
