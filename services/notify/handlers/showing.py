"""The body of a webhook call as it was sent, for those who may see it."""

from __future__ import annotations

from datetime import datetime

from services.notify.domain.alerts import with_person
from services.notify.handlers.readying import Ready, person_of
from services.notify.store import Delivery
from shared.db.transaction import Transaction
from shared.identity import audit
from shared.identity.person_keys import PersonKeys
from shared.identity.principal import Principal
from shared.identity.views import note_views_in


async def body_as_sent(
    tx: Transaction,
    one: Delivery,
    *,
    person_keys: PersonKeys,
    by: Principal,
    now: datetime,
) -> bytes:
    """Return the body with the customer's words, if it had any; the look at them is audited.

    After an erasure nothing opens them any more.
    """
    if not one.sealed_person or not one.person_ref:
        return one.payload
    keys = await person_keys.for_reading(tx, [one.person_ref])
    person = person_of(Ready(delivery=one, person_key=keys.get(one.person_ref)))
    if person is None:
        return one.payload
    await audit.record(tx, by, "delivery.opened", one.id, now=now)
    await note_views_in(tx, {one.person_ref: None}, by=by, via="delivery", now=now)
    return with_person(one.payload, person)
