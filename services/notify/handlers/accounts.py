"""Who forgot a password gets a mail: to the account's own address, and nobody instead."""

from __future__ import annotations

from datetime import datetime

from services.notify import store
from services.notify.domain.accounts import (
    PASSWORD_RESET,
    ResetFacts,
    reset_document,
    reset_facts_from,
)
from services.notify.domain.deliveries import Channel
from services.notify.store import Delivery, Mailbox, NewDelivery
from shared.db.transaction import Reading, Transaction
from shared.identity.password_resets import PasswordReset, is_open, told_of
from shared.identity.people import wanted


async def tell_of_reset(tx: Transaction, reset: PasswordReset, *, now: datetime) -> bool:
    """Make the mail that answers one wish; False where another process was first."""
    if not await told_of(tx, reset.id, now=now):
        return False
    person = await wanted(tx, reset.staff_id)
    facts = ResetFacts(reset_id=reset.id, expires_at=reset.expires_at)
    mail = NewDelivery(
        event_id=reset.id,
        event_type="account.password-reset",
        channel=Channel.EMAIL,
        target=person.id,
        purpose=PASSWORD_RESET,
        payload=reset_document(facts),
        recipient=Mailbox(
            email=person.email, language=person.language, time_zone=person.time_zone
        ),
    )
    await store.add_deliveries(tx, [mail], now=now)
    return True


async def is_link_over(view: Reading, one: Delivery, *, now: datetime) -> bool:
    """Tell whether the link of a claimed mail would lead nowhere by now."""
    return not await is_open(view, reset_facts_from(one.payload).reset_id, now=now)
