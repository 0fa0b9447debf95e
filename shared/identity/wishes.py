"""What customers asked not to be done, by person: it holds for all of their matters.

It stands in the clear beside the pseudonym, because it must be known before anything of the
person is opened; it says that somebody is not to be contacted, and of nobody who that is.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, select

from shared.consent import Refusal, allowed_in, refused_in
from shared.db.base import among
from shared.identity.tables import contact_refusals as refusals

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from shared.db.transaction import Reading, Transaction


@dataclass(frozen=True, kw_only=True)
class Said:
    """A customer block that came with an answer."""

    person_ref: str
    at: datetime
    customer: Mapping[str, Any] = field(repr=False)


async def note_wishes(tx: Transaction, said: Sequence[Said]) -> None:
    """Note who is not to be contacted, and who takes that back with a later answer."""
    speaking = [
        one for one in said if refused_in(one.customer) is not None or allowed_in(one.customer)
    ]
    if not speaking:
        return
    refs = sorted({one.person_ref for one in speaking})
    known: dict[tuple[str, Refusal], datetime] = {
        (row.person_ref, row.refusal): row.said_at
        for row in await tx.all(
            select(refusals).where(among(refusals.c.person_ref, refs, tx.dialect))
        )
    }
    now = dict(known)
    for one in sorted(speaking, key=lambda one: one.at):
        refused = refused_in(one.customer)
        if refused is not None:
            before = now.get((one.person_ref, refused), one.at)
            now[one.person_ref, refused] = max(before, one.at)
        for former in allowed_in(one.customer):
            at = now.get((one.person_ref, former))
            if at is not None and at <= one.at:
                del now[one.person_ref, former]
    for ref, refusal in sorted(set(known) - set(now)):
        await tx.execute(
            delete(refusals).where(refusals.c.person_ref == ref, refusals.c.refusal == refusal)
        )
    statement = tx.insert(refusals)
    changed = sorted(item for item in now.items() if known.get(item[0]) != item[1])
    if changed:
        await tx.execute(
            statement.on_conflict_do_update(
                index_elements=["person_ref", "refusal"],
                set_={"said_at": statement.excluded.said_at},
            ),
            [
                {"person_ref": ref, "refusal": refusal, "said_at": at}
                for (ref, refusal), at in changed
            ],
        )


async def refusals_of(view: Reading, refs: Sequence[str]) -> Mapping[str, Refusal]:
    """Return what these persons asked not to be done; no contact at all weighs more."""
    if not refs:
        return {}
    rows = await view.all(
        select(refusals)
        .where(among(refusals.c.person_ref, sorted(set(refs)), view.dialect))
        # Of two the last one stands: "do_not_contact".
        .order_by(refusals.c.refusal.desc())
    )
    return {row.person_ref: row.refusal for row in rows}


async def forget_wishes(tx: Transaction, refs: Sequence[str]) -> None:
    """Forget what persons asked for who are forgotten: there is nobody left to contact."""
    await tx.execute(
        delete(refusals).where(among(refusals.c.person_ref, list(refs), tx.dialect))
    )
