"""Taking a customer out of deliveries, of what others answered, and of captured mail."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, and_, or_, select, update

from services.notify.domain.customers import CUSTOMER_ERASED, CUSTOMER_MAIL_KINDS
from services.notify.domain.deliveries import Channel, State
from services.notify.store.deliveries import Delivery, delivery_from
from services.notify.tables import attempts, captured_mails, deliveries
from shared.db.base import among
from shared.db.transaction import Reading, Transaction
from shared.identity.erasure import FORGOTTEN

MOST_TOLD = 200
"""So many tasks one call to an endpoint names."""


@dataclass(frozen=True, kw_only=True)
class About:
    """Whose deliveries are meant: of these persons, all of them or about these responses."""

    refs: Sequence[str]
    responses: Sequence[str] | None

    def condition(self, dialect: str) -> ColumnElement[bool]:
        """Return it as a condition on deliveries."""
        theirs = among(deliveries.c.person_ref, self.refs, dialect)
        if self.responses is None:
            return theirs
        return and_(theirs, among(deliveries.c.response_id, self.responses, dialect))


async def deliveries_about(view: Reading, about: About) -> Sequence[Delivery]:
    """Return what was sent, or is to be sent, about a customer, the first first."""
    rows = await view.all(
        select(deliveries).where(about.condition(view.dialect)).order_by(deliveries.c.id)
    )
    return [delivery_from(row) for row in rows]


async def told_the_words(view: Reading, about: About) -> Sequence[str]:
    """Return the endpoints that were, or may have been, sent the customer's words."""
    rows = await view.all(
        select(deliveries.c.target)
        .where(
            about.condition(view.dialect),
            deliveries.c.channel == Channel.WEBHOOK,
            deliveries.c.sealed_person.is_not(None),
            or_(deliveries.c.state == State.DELIVERED, deliveries.c.attempts > 0),
        )
        .distinct()
        .order_by(deliveries.c.target)
    )
    return [row.target for row in rows]


async def tasks_told_of(view: Reading, about: About) -> Sequence[str]:
    """Return the tasks by which receivers know the customer, the latest ones of too many."""
    rows = await view.all(
        select(deliveries.c.task_id)
        .where(about.condition(view.dialect), deliveries.c.task_id.is_not(None))
        .distinct()
        .order_by(deliveries.c.task_id.desc())
        .limit(MOST_TOLD)
    )
    return sorted(row.task_id for row in rows)


async def forget_in_deliveries(tx: Transaction, about: About, *, now: datetime) -> int:
    """Empty the words in deliveries; what was still to be asked of the customer is held.

    Return in how many there was anything.
    """
    theirs = about.condition(tx.dialect)
    await tx.execute(
        update(deliveries)
        .where(
            theirs,
            deliveries.c.purpose.in_(CUSTOMER_MAIL_KINDS),
            deliveries.c.state == State.DUE,
        )
        .values(
            state=State.HELD,
            reason=CUSTOMER_ERASED,
            settled_at=now,
            next_attempt_at=None,
        )
    )
    emptied = await tx.execute(
        update(deliveries)
        .where(theirs, deliveries.c.sealed_person != FORGOTTEN)
        .values(sealed_person=FORGOTTEN)
    )
    return emptied.rowcount


async def forget_replies(tx: Transaction, about: About) -> int:
    """Empty what others answered: a server repeats an address, a receiver what it was sent."""
    theirs = select(deliveries.c.id).where(about.condition(tx.dialect))
    emptied = await tx.execute(
        update(attempts)
        .where(attempts.c.delivery_id.in_(theirs), attempts.c.reply != "")
        .values(reply="")
    )
    return emptied.rowcount


async def forget_captured(tx: Transaction, about: About) -> int:
    """Empty captured mails about the customer, and those to them; return how many."""
    theirs = select(deliveries.c.id).where(about.condition(tx.dialect))
    emptied = await tx.execute(
        update(captured_mails)
        .where(captured_mails.c.delivery_id.in_(theirs), captured_mails.c.sealed_message != b"")
        .values(sealed_message=b"")
    )
    return emptied.rowcount
